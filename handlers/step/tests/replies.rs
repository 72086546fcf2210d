//! Models that do not do what they should: the job ends in a named state and the ledger is whole.

use async_trait::async_trait;
use domain::CapReached;
use llm::{LlmError, ModelRequest, Provider, ProviderName, Reply, Scripted};
use serde_json::json;
use step::StepResponse;
use testkit::new_job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{World, calls, cause, finish, shell};

/// What a model does when it is called.
type Answer = fn() -> Result<String, LlmError>;

/// A model that gives a verbatim reply, or an error.
struct Raw(Answer);

#[async_trait]
impl Provider for Raw {
    fn name(&self) -> ProviderName {
        ProviderName::Scripted
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        empty_script().encode(request)
    }

    async fn call(&self, _: &str, _: &ModelRequest, _: Instant, _: &CancellationToken) -> Result<String, LlmError> {
        (self.0)()
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        empty_script().decode(raw)
    }
}

fn empty_script() -> Scripted {
    Scripted::parse("none", r#"{ "name": "none", "replies": [] }"#).unwrap()
}

#[tokio::test]
async fn a_reply_that_nobody_understands_fails_the_attempt_stays_reserved_and_is_bought_once_more_only() {
    for raw in [|| Ok("not json".to_owned()), || Ok("{}".to_owned()), || Ok(r#"{"model":"scripted","script":"x""#.to_owned())] {
        let world = World::new().await;
        let worker = world.worker_with("a", Raw(raw));
        let (job_id, epoch) = world.job(new_job()).await;
        let error = worker.step(job_id, epoch).await.unwrap_err();
        assert_eq!(error.error_type(), "Internal", "{error}");
        assert!(error.to_string().contains("cannot be used"), "{error}");
        assert_eq!((world.ledger().await.as_str(), world.halves().await.as_str()), ("reserved 1", ""));
        // Once more may be bad luck; twice is paid for twice, and enough.
        let epoch = world.take_over(job_id).await;
        assert_eq!(worker.step(job_id, epoch).await.unwrap_err().error_type(), "Invalid");
        assert_eq!(world.ledger().await, "reserved 1, reserved 1");
    }
}

#[tokio::test]
async fn a_call_that_cannot_have_cost_anything_gives_its_money_back() {
    let scripted = ProviderName::Scripted;
    let errors: [(Answer, &str); 4] = [
        (
            || Err(LlmError::RateLimited { provider: ProviderName::Scripted, retry_after: None, message: "slow down".to_owned() }),
            "RetryAfter",
        ),
        (
            || Err(LlmError::Overloaded { provider: ProviderName::Scripted, status: 529, retry_after: None, message: String::new() }),
            "RetryAfter",
        ),
        (|| Err(LlmError::Auth { provider: ProviderName::Scripted, status: 401, message: "no".to_owned() }), "RetryAfter"),
        (|| Err(LlmError::BadRequest { provider: ProviderName::Scripted, message: "no".to_owned() }), "Invalid"),
    ];
    for (answer, kind) in errors {
        let world = World::new().await;
        let worker = world.worker_with("a", Raw(answer));
        let (job_id, epoch) = world.job(new_job()).await;
        let error = worker.step(job_id, epoch).await.unwrap_err();
        assert_eq!(error.error_type(), kind, "{error}");
        assert!(error.to_string().contains(&scripted.to_string()), "{error}");
        assert_eq!(world.ledger().await, "reserved 1, released 1");
        assert_eq!(world.test.value("select cost_microusd from queue").await, "0");
    }
}

#[tokio::test]
async fn a_call_that_may_have_been_charged_stays_reserved() {
    let world = World::new().await;
    let worker = world.worker_with("a", Raw(|| Err(LlmError::Cut { provider: ProviderName::Scripted, cause: "reset".to_owned() })));
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap_err().error_type(), "RetryAfter");
    assert_eq!(world.ledger().await, "reserved 1");
    assert_ne!(world.test.value("select cost_microusd from queue").await, "0");
}

#[tokio::test]
async fn a_model_that_refuses_ends_the_job_with_its_words() {
    let world = World::new().await;
    let worker = world.worker("a", json!([{ "text": "I will not do that.", "stop": "refusal" }]));
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(cause(worker.drive(job_id, epoch).await.unwrap()), "the model refused: I will not do that.");
    assert_eq!(world.ledger().await, "reserved 1, settled 1");
}

#[tokio::test]
async fn calls_of_tools_that_do_not_exist_are_answered_and_after_three_the_job_fails() {
    let world = World::new().await;
    let worker =
        world.worker("a", json!([calls("teleport", json!({})), calls("levitate", json!({})), calls("shell", json!({ "cmd": "ls" }))]));
    let (job_id, epoch) = world.job(new_job()).await;
    let cause = cause(worker.drive(job_id, epoch).await.unwrap());
    assert_eq!(cause, "3 steps in a row held only calls that no tool understands");
    let answered = world.test.value("select results from steps where step_no = 1 and half = 'results'").await;
    assert!(answered.contains("teleport") && answered.contains("edit_file"), "{answered}");
}

#[tokio::test]
async fn a_model_that_only_talks_is_reminded_and_then_given_up() {
    let world = World::new().await;
    let talk = json!({ "text": "I think I see it." });
    let worker = world.worker("a", json!([talk, talk, talk, talk]));
    let (job_id, epoch) = world.job(new_job()).await;
    let cause = cause(worker.drive(job_id, epoch).await.unwrap());
    assert_eq!(cause, "the model gave 3 replies in a row without calling a tool");
}

#[tokio::test]
async fn a_model_that_repeats_itself_is_given_up_after_the_fourth_time() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("ls"), shell("ls"), shell("ls"), shell("ls"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    let cause = cause(worker.drive(job_id, epoch).await.unwrap());
    assert!(cause.starts_with("the same call had the same result 4 times in a row"), "{cause}");
}

#[tokio::test]
async fn a_model_that_never_finishes_ends_at_its_cap() {
    let world = World::new().await;
    let replies: Vec<_> = ('a'..='z').map(|letter| shell(&format!("echo {letter}"))).collect();
    let worker = world.worker("a", json!(replies));
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::CapReached { cap: CapReached::Steps });
    assert_eq!(world.test.value("select step_no from queue").await, "20");
}

#[tokio::test]
async fn a_script_that_ends_before_the_job_says_so_and_costs_nothing() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("ls")]));
    let (job_id, epoch) = world.job(new_job()).await;
    let error = worker.drive(job_id, epoch).await.unwrap_err();
    assert_eq!(error.error_type(), "Invalid");
    assert!(error.to_string().contains("no reply for step 2 in test.json"), "{error}");
    assert_eq!(world.ledger().await, "reserved 1, settled 1, reserved 2, released 2");
}
