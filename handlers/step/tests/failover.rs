//! A provider that is down: the next model of the mode's list takes the next step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dispatch::HandlerError;
use domain::{NewJob, Outcome};
use llm::{Breakers, LlmError, ModelRequest, Provider, ProviderName, Providers, Reply, Scripted};
use serde_json::{Value, json};
use step::StepResponse;
use testkit::new_job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Counted, Worker, World, finish, shell};

/// A scripted model in the place of a vendor's, which can be down.
struct Vendor {
    name: ProviderName,
    script: Scripted,
    down: Arc<AtomicBool>,
    error: fn(ProviderName) -> LlmError,
}

#[async_trait]
impl Provider for Vendor {
    fn name(&self) -> ProviderName {
        self.name
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        self.script.encode(request)
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        if self.down.load(Ordering::SeqCst) {
            return Err((self.error)(self.name));
        }
        self.script.call(body, request, deadline, cancel).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        Ok(Reply { provider: self.name, ..self.script.decode(raw)? })
    }
}

fn overloaded(provider: ProviderName) -> LlmError {
    LlmError::Overloaded { provider, status: 529, retry_after: None, message: "busy".to_owned() }
}

/// A worker with the mechanic's first model and its last, and the switch that takes the first one's provider down.
fn worker(world: &World, replies: &Value, error: fn(ProviderName) -> LlmError) -> (Worker, Arc<AtomicBool>) {
    let script = Scripted::parse("test.json", &json!({ "name": "test", "replies": replies }).to_string()).unwrap();
    let (calls, down) = (Arc::default(), Arc::new(AtomicBool::new(true)));
    let counted = |model: Vendor| Counted { model, calls: Arc::clone(&calls) };
    let first = Vendor { name: ProviderName::OpenAi, script: script.clone(), down: down.clone(), error };
    let last = Vendor { name: ProviderName::Anthropic, script, down: Arc::default(), error };
    let providers = Providers::new().with(counted(first)).with(counted(last));
    (world.worker_of("a", providers, Arc::clone(&calls)), down)
}

/// The models that were asked, in the order of the ledger.
async fn asked(world: &World) -> String {
    world.test.value("select string_agg(step_no || ' ' || model, ', ' order by seq) from ledger where kind = 'reserved'").await
}

#[tokio::test]
async fn the_next_model_takes_the_step_and_the_first_comes_back_when_it_is_up() {
    let auth = |provider| LlmError::Auth { provider, status: 401, message: "expired".to_owned() };
    let unreachable = |provider| LlmError::Unreachable { provider, url: String::new(), cause: "refused".to_owned() };
    let gone = |provider| LlmError::NoModel { provider, message: "it was shut down".to_owned() };
    for error in [overloaded, auth, unreachable, gone] {
        let world = World::new().await;
        let (mut worker, down) = worker(&world, &json!([shell("echo a"), shell("echo b"), finish()]), error);
        let (job_id, epoch) = world.job(new_job()).await;
        match worker.step(job_id, epoch).await.unwrap_err() {
            HandlerError::RetryAfter { after, message } => {
                assert_eq!(after, Duration::ZERO);
                assert!(message.contains("openai") && message.ends_with("the next call goes to claude-haiku-4-5"), "{message}");
            }
            other => panic!("{other}"),
        }
        assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 1 });
        assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 2 });
        // Its pause is over, and it is back: the conversation now holds turns of the other.
        down.store(false, Ordering::SeqCst);
        worker.step.breakers = Breakers::default();
        let ended = worker.step(job_id, epoch).await.unwrap();
        assert!(matches!(ended, StepResponse::Done { outcome: Outcome::Succeeded { .. } }), "{ended:?}");
        assert_eq!(asked(&world).await, "1 gpt-5-mini, 1 claude-haiku-4-5, 2 claude-haiku-4-5, 3 gpt-5-mini");
        assert!(world.ledger().await.starts_with("reserved 1, released 1, reserved 1, settled 1, "));
    }
}

#[tokio::test]
async fn a_model_that_somebody_named_is_not_replaced() {
    let world = World::new().await;
    let (worker, _down) = worker(&world, &json!([finish()]), overloaded);
    let (job_id, epoch) = world.job(NewJob { model: Some("gpt-5-mini".to_owned()), ..new_job() }).await;
    for _ in 0..2 {
        let error = worker.step(job_id, epoch).await.unwrap_err();
        assert_eq!(error.error_type(), "RetryAfter");
        assert!(!error.to_string().contains("claude"), "{error}");
    }
    assert_eq!(asked(&world).await, "1 gpt-5-mini, 1 gpt-5-mini");
}

#[tokio::test]
async fn while_all_are_down_nobody_is_asked_and_nothing_is_held_back() {
    let world = World::new().await;
    let (worker, _down) = worker(&world, &json!([finish()]), overloaded);
    let (job_id, epoch) = world.job(new_job()).await;
    for provider in [ProviderName::OpenAi, ProviderName::Anthropic] {
        worker.step.breakers.failed(provider, &overloaded(provider), Instant::now());
    }
    match worker.step(job_id, epoch).await.unwrap_err() {
        HandlerError::RetryAfter { after, message } => {
            assert!(after > Duration::from_secs(20), "{after:?}");
            assert!(message.contains("every provider that is set up for a mechanic is down"), "{message}");
        }
        other => panic!("{other}"),
    }
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![], ""));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_sent_elsewhere() {
    let world = World::new().await;
    let wrong = |provider| LlmError::BadRequest { provider, message: "no".to_owned() };
    let (worker, _down) = worker(&world, &json!([finish()]), wrong);
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap_err().error_type(), "Invalid");
    assert_eq!(asked(&world).await, "1 gpt-5-mini");
}
