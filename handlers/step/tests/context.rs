//! A long job on a small window: it is masked and summed up, by any worker alike, and finishes.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::{Caps, Outcome};
use llm::{LlmError, ModelRequest, Models, Provider, ProviderName, Reply, Scripted};
use serde_json::{Value, json};
use step::StepResponse;
use testkit::{Repository, TestDb, new_job};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Worker, World, calls, finish};

const WINDOW: usize = 16_000;
const STEPS: usize = 100;
/// What the request for a summary says, and no other.
const ASKED: &str = "is about to be shortened";

/// A model with a small window: it refuses what does not fit, and sums up when it is asked to.
struct Small {
    script: Scripted,
    seen: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Provider for Small {
    fn name(&self) -> ProviderName {
        ProviderName::Scripted
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        self.script.encode(request)
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        let tokens = body.len() / 4 + request.max_output as usize;
        if tokens > WINDOW {
            return Err(LlmError::BadRequest { provider: ProviderName::Scripted, message: format!("{tokens} tokens do not fit") });
        }
        self.seen.lock().unwrap().push(body.to_owned());
        let raw = self.script.call(body, request, deadline, cancel).await?;
        if !body.contains(ASKED) {
            return Ok(raw);
        }
        // The script numbers its replies by step, so a summary takes the place of one.
        let mut reply: Value = serde_json::from_str(&raw).unwrap();
        reply["message"] = json!({ "text": format!("Read up to step {}.", request.step_no), "tool_calls": [] });
        reply["stop"] = json!("end_turn");
        Ok(reply.to_string())
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        self.script.decode(raw)
    }
}

/// A world whose repository has a file that is far larger than the window: what a hundred lines of it are is 9 kB.
async fn world() -> World {
    let log: String = (1..=STEPS * 100 + 100).map(|no| format!("line {no}: {}\n", "lorem ipsum ".repeat(6))).collect();
    World { test: TestDb::new().await, repository: Repository::with(&[("log.txt", &log)]).await }
}

/// A worker whose model has the small window, and what it was asked.
fn worker(world: &World, name: &str) -> (Worker, Arc<Mutex<Vec<String>>>) {
    let read = |no: usize| calls("read_file", json!({ "path": "log.txt", "offset": no * 100 + 1, "limit": 100 }));
    let replies: Vec<Value> = (1..STEPS).map(read).chain([finish()]).collect();
    let script = json!({ "name": "long", "replies": replies }).to_string();
    let seen = Arc::new(Mutex::default());
    let model = Small { script: Scripted::parse("long.json", &script).unwrap(), seen: Arc::clone(&seen) };
    let caps = Caps { steps: 100, tokens: 2_000_000, active_ms: 600_000, ..Caps::GENIUS };
    let mut worker = world.worker_with(name, model).with_caps(caps);
    worker.step.models = with_window(WINDOW);
    (worker, seen)
}

/// The price table with one model, `scripted`, of that window.
fn with_window(context_window: usize) -> Models {
    let price = json!({ "input_per_million": 1, "cache_read_per_million": 1, "cache_write_per_million": 1, "output_per_million": 1 });
    let mut model = json!({
        "name": "scripted", "provider": "scripted", "context_window": context_window, "max_output": 1_000,
        "priced_on": "2026-01-01", "source": "none",
    });
    model.as_object_mut().unwrap().extend(price.as_object().unwrap().clone());
    serde_json::from_value(json!({ "modes": {}, "model": [model] })).unwrap()
}

#[tokio::test]
async fn a_hundred_steps_with_large_outputs_finish_on_a_small_window() {
    let world = world().await;
    let (worker, seen) = worker(&world, "a");
    let (job_id, epoch) = world.job(new_job()).await;
    let done = worker.drive(job_id, epoch).await.unwrap();
    assert!(matches!(done, StepResponse::Done { outcome: Outcome::Succeeded { .. } }), "{done:?}");
    assert_eq!(worker.calls(), (1..=STEPS as u32).map(|no| (no, 1)).collect::<Vec<_>>(), "each step is bought once");
    let summaries = "select count(*) from steps where results ? 'summary'";
    let summaries: usize = world.test.value(summaries).await.parse().unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.iter().filter(|body| body.contains(ASKED)).count(), summaries);
    assert!((1..=20).contains(&summaries), "{summaries}");
    assert!(seen.last().unwrap().contains(">\\nRead up to step "));
    let entries = world.test.value("select count(*) from ledger where kind = 'settled'").await;
    assert_eq!((entries.as_str(), world.ledger().await.contains("released")), ("100", false), "a summary is paid for like any step");
}

#[tokio::test]
async fn another_worker_rebuilds_the_same_requests_and_keeps_a_summary_that_was_bought() {
    let world = world().await;
    let (first, _) = worker(&world, "first");
    let (job_id, mut epoch) = world.job(new_job()).await;
    let asked =
        "select coalesce(bool_or(request_of(job_id, step_no) like '%is about to be shortened%'), false) from steps where half = 'reply'";
    while world.test.value(asked).await != "true" {
        assert!(matches!(first.step(job_id, epoch).await.unwrap(), StepResponse::Continue { .. }));
    }
    // The worker that bought the summary dies before it has kept it.
    world
        .test
        .execute(
            "begin; set local session_replication_role = replica;
             delete from steps where half = 'results' and step_no = (select max(step_no) from steps); commit;
             update queue set step_no = step_no - 1",
        )
        .await;
    let bought = first.calls().len();
    epoch = world.take_over(job_id).await;
    let (second, seen) = worker(&world, "second");
    assert_eq!(second.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: bought as u32 });
    assert_eq!(second.calls(), [], "what was bought is kept");
    assert_eq!(world.test.value("select count(*) from steps where results ? 'summary'").await, "1");
    // From here two workers take turns; whoever builds a request builds the same.
    let (third, again) = worker(&world, "third");
    second.step(job_id, epoch).await.unwrap();
    world
        .test
        .execute(
            "begin; set local session_replication_role = replica;
             delete from steps where step_no = (select max(step_no) from steps); commit;
             update queue set step_no = step_no - 1",
        )
        .await;
    epoch = world.take_over(job_id).await;
    third.step(job_id, epoch).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), *again.lock().unwrap());
    assert!(seen.lock().unwrap()[0].contains("<summary-"));
}
