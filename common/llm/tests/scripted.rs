//! Replies from a file.

use std::time::Duration;

use domain::Usage;
use llm::{LlmError, ModelRequest, Provider, Reply, Scripted, StopReason, ToolResult, Turn};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SCRIPT: &str = r#"{
    "name": "repair",
    "replies": [
        { "text": "I look.", "tool_calls": [{ "name": "shell", "input": { "command": "ls" } }, { "name": "shell", "input": {} }] },
        { "text": "I stop.", "usage": { "uncached_input": 7, "cache_read": 5, "cache_write": 3, "output": 2 } },
        { "stop": "refusal" }
    ]
}"#;

fn request(step_no: u32, turns: Vec<Turn>) -> ModelRequest {
    ModelRequest { model: "scripted".into(), step_no, system: "s".repeat(400), turns, tools: [].into(), max_output: 100 }
}

fn first() -> Vec<Turn> {
    vec![Turn::User { text: "Repair it.".to_owned() }]
}

async fn ask(provider: &Scripted, request: &ModelRequest) -> Result<Reply, LlmError> {
    let body = provider.encode(request)?;
    let raw = provider.call(&body, request, Instant::now() + Duration::from_secs(30), &CancellationToken::new()).await?;
    provider.decode(&raw)
}

#[tokio::test]
async fn it_answers_by_step_however_often_it_is_asked() {
    let provider = Scripted::parse("repair.json", SCRIPT).unwrap();
    let again = [ask(&provider, &request(1, first())).await.unwrap(), ask(&provider, &request(1, first())).await.unwrap()];
    assert_eq!(again[0].raw, again[1].raw);
    let ids: Vec<&str> = again[0].tool_calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!((ids, &again[0].stop), (vec!["call_1_1", "call_1_2"], &StopReason::ToolUse));
    let second = ask(&provider, &request(2, first())).await.unwrap();
    assert_eq!((second.text.as_str(), second.stop), ("I stop.", StopReason::EndTurn));
    assert_eq!(second.usage, Usage { uncached_input: 7, cache_read: 5, cache_write: 3, output: 2 });
    assert_eq!(ask(&provider, &request(3, first())).await.unwrap().stop, StopReason::Refusal);
}

#[tokio::test]
async fn nominal_usage_takes_what_was_sent_before_from_the_cache() {
    let provider = Scripted::parse("repair.json", SCRIPT).unwrap();
    let reply = ask(&provider, &request(1, first())).await.unwrap();
    assert_eq!(reply.usage.cache_read, 0);
    let results = reply.tool_calls.iter().map(|call| ToolResult { call_id: call.id.clone(), content: "x".repeat(4000), is_error: false });
    let results = Turn::ToolResults { results: results.collect(), note: None };
    let sent = reply.usage.input();
    let turns = [first(), vec![Turn::Assistant(reply.into()), results]].concat();
    let next = ask(&provider, &request(1, turns)).await.unwrap();
    assert_eq!(next.usage.cache_read, sent);
    assert!((2000..2200).contains(&next.usage.uncached_input), "{:?}", next.usage);
}

#[tokio::test]
async fn a_step_beyond_the_file_names_the_file_and_the_step() {
    let provider = Scripted::parse("repair.json", SCRIPT).unwrap();
    let error = ask(&provider, &request(4, first())).await.unwrap_err();
    assert!(error.to_string().contains("no reply for step 4 in repair.json, which ends with step 3"), "{error}");
    assert!(!error.is_transient());
}

#[test]
fn a_file_that_is_wrong_is_refused_by_name_and_line() {
    let error = Scripted::parse("repair.json", "{\n  \"name\": \"x\",\n  \"replys\": []\n}").unwrap_err();
    assert!(error.to_string().starts_with("repair.json: unknown field `replys`"), "{error}");
    assert!(error.to_string().contains("line 3"), "{error}");
    let error = Scripted::load(std::path::Path::new("/nowhere/repair.json")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/repair.json"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_ends_with_the_deadline_and_with_a_cancellation() {
    let provider = Scripted::parse("slow.json", r#"{ "name": "slow", "delay_ms": 60000, "replies": [{ "text": "at last" }] }"#).unwrap();
    let (request, cancel) = (request(1, first()), CancellationToken::new());
    let body = provider.encode(&request).unwrap();
    let error = provider.call(&body, &request, Instant::now() + Duration::from_secs(1), &cancel).await.unwrap_err();
    assert!(matches!(error, LlmError::Timeout { sent: false, .. }), "{error}");
    cancel.cancel();
    let error = provider.call(&body, &request, Instant::now() + Duration::from_secs(600), &cancel).await.unwrap_err();
    assert!(matches!(error, LlmError::Cancelled { sent: false, .. }), "{error}");
}
