//! What kind of job a request is, and who does it: by rules, and by a model where none knows.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::{JobInput, Kind, Mode, NewJob, Scope};
use llm::{LlmError, ModelRequest, Provider, ProviderName, Providers, Reply, Scripted};
use serde_json::{Value, json};
use store::{budgets, jobs, ledger};
use testkit::new_job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{World, registry_with};

/// The provider of a mechanic's model, which says `text`, or fails.
struct Says {
    text: Result<&'static str, fn() -> LlmError>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn wire() -> Scripted {
    Scripted::parse("none", r#"{ "name": "none", "replies": [] }"#).unwrap()
}

#[async_trait]
impl Provider for Says {
    fn name(&self) -> ProviderName {
        ProviderName::Anthropic
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        wire().encode(request)
    }

    async fn call(&self, body: &str, request: &ModelRequest, _: Instant, _: &CancellationToken) -> Result<String, LlmError> {
        assert!(request.max_output <= 1_500 && request.tools.is_empty());
        self.asked.lock().unwrap().push(body.to_owned());
        let text = self.text.map_err(|error| error())?;
        let usage = json!({ "uncached_input": 400, "cache_read": 0, "cache_write": 0, "output": 40 });
        let message = json!({ "text": text, "tool_calls": [] });
        let reply = json!({ "model": request.model, "script": "", "step_no": 0, "message": message, "stop": "end_turn", "usage": usage });
        Ok(reply.to_string())
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        wire().decode(raw)
    }
}

/// A job of the API that names no mode.
fn unnamed(title: &str) -> NewJob {
    NewJob { mode: None, input: JobInput { title: title.to_owned(), ..JobInput::default() }, ..new_job() }
}

/// Triage of `job` where the model says `text`: what was decided, and how often the model was asked.
async fn sorted(world: &World, job: NewJob, text: Result<&'static str, fn() -> LlmError>) -> (Value, Vec<String>) {
    let asked = Arc::new(Mutex::default());
    let providers = Providers::new().with(Says { text, asked: Arc::clone(&asked) });
    let registry = registry_with(&world.test, world.forge.clone(), providers);
    let job_id = world.write(job).await;
    let ctx = dispatch::Ctx::with_timeout(std::time::Duration::from_secs(20));
    let decided = registry.invoke("triage", ctx, json!({ "job_id": job_id })).await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (decided, asked)
}

const GENIUS: &str = r#"{"kind":"question","mode":"genius","reason":"it spans many modules"}"#;

#[tokio::test]
async fn a_model_is_asked_where_no_rule_knows_and_what_it_cost_is_on_the_books() {
    let world = World::new().await;
    let (decided, asked) = sorted(&world, unnamed("Greet everybody"), Ok(GENIUS)).await;
    assert_eq!((&decided["kind"], &decided["mode"]), (&json!("question"), &json!("genius")));
    assert_eq!(decided["reason"], "a model was asked: it spans many modules");
    assert!(asked.len() == 1 && asked[0].contains("<untrusted-request-") && asked[0].contains(">\\nGreet everybody"), "{asked:?}");
    let entries = world.test.value("select string_agg(concat_ws(' ', kind, step_no, model), ', ' order by seq) from ledger").await;
    assert_eq!(entries, "reserved 0 claude-haiku-4-5, settled 0 claude-haiku-4-5");
    assert_eq!(ledger::verify(&world.test.db, None).await.unwrap().faults, []);
    // 400 tokens in and 40 out, at $1 and $5 a million.
    assert_eq!(world.queued("tokens, cost_microusd").await, "440 600");
    let told: Value = serde_json::from_str(&world.test.value("select data from events where kind = 'triaged'").await).unwrap();
    assert_eq!(told, json!({ "kind": "question", "mode": "genius", "reason": "a model was asked: it spans many modules" }));
    let job = jobs::get(&world.test.db, serde_json::from_value(decided["job_id"].clone()).unwrap()).await.unwrap().job;
    assert_eq!((job.kind, job.mode), (Kind::Question, Some(Mode::Genius)));
}

#[tokio::test]
async fn a_model_says_only_what_nobody_else_has_said() {
    let world = World::new().await;
    let (decided, asked) = sorted(&world, unnamed("Add an export"), Ok(GENIUS)).await;
    assert_eq!((&decided["kind"], &decided["mode"], asked.len()), (&json!("change"), &json!("genius"), 1));
    let review = NewJob { kind: Kind::Review, ..unnamed("The totals") };
    for (job, kind, mode) in [
        (unnamed("Where is the price list?"), "question", "mechanic"),
        (unnamed("Fix the SQL injection in the search"), "change", "genius"),
        (review, "review", "mechanic"),
    ] {
        let (decided, asked) = sorted(&world, job, Ok(GENIUS)).await;
        assert_eq!((&decided["kind"], &decided["mode"], asked.len()), (&json!(kind), &json!(mode), 0));
    }
}

#[tokio::test]
async fn what_cannot_be_understood_or_had_leaves_the_default() {
    let away: fn() -> LlmError =
        || LlmError::Overloaded { provider: ProviderName::Anthropic, status: 529, retry_after: None, message: String::new() };
    let cut: fn() -> LlmError = || LlmError::Cut { provider: ProviderName::Anthropic, cause: "reset".to_owned() };
    for (text, entries, words) in [
        (Ok("I would say: genius."), "reserved, settled", "the model's answer is not what was asked for"),
        (Ok(r#"{"kind":"poem","mode":"genius"}"#), "reserved, settled", "the model's answer is not what was asked for"),
        (Err(away), "reserved, released", "the model could not be asked"),
        (Err(cut), "reserved", "the model could not be asked"),
    ] {
        let world = World::new().await;
        let (decided, _) = sorted(&world, unnamed("Greet everybody"), text).await;
        assert_eq!((&decided["kind"], &decided["mode"]), (&json!("change"), &json!("mechanic")), "{decided}");
        assert!(decided["reason"].as_str().unwrap().contains(words), "{decided}");
        assert_eq!(world.test.value("select string_agg(kind, ', ' order by seq) from ledger").await, entries);
        assert_eq!(ledger::verify(&world.test.db, None).await.unwrap().faults, []);
    }
}

#[tokio::test]
async fn nobody_is_asked_for_whom_nobody_may_start_a_job_nor_without_a_budget() {
    let world = World::new().await;
    let trigger = domain::Trigger::Label { label: "genius".to_owned() };
    let input = JobInput { title: "Greet everybody".to_owned(), requester: Some("dan".to_owned()), ..JobInput::default() };
    let (decided, asked) = sorted(&world, NewJob { trigger, input, ..new_job() }, Ok(GENIUS)).await;
    assert_eq!((&decided["decided"], asked.len()), (&json!("refused"), 0));
    budgets::set(&world.test.db, &Scope::All, domain::MicroUsd(1)).await.unwrap();
    let (decided, asked) = sorted(&world, unnamed("Greet everybody"), Ok(GENIUS)).await;
    assert_eq!((&decided["decided"], asked.len()), (&json!("waits"), 0));
    assert_eq!(world.queued("state, waiting_for, mode").await, "waiting budget");
    budgets::remove(&world.test.db, &Scope::All).await.unwrap();
    assert_eq!(world.queued("state, waiting_for, mode").await, "waiting triage", "it is looked at again");
}
