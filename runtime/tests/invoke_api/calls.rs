//! What a call answers, by invocation type and by how it ends.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use codeteam::invoke_api::{LogTailLayer, Options};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::door::{self, Answer, Door};

const EVENT: &str = "X-Amz-Invocation-Type: Event\r\n";

#[tokio::test]
async fn a_call_answers_with_the_response_and_names_its_version_and_request() {
    let answer = Door::open().await.invoke("work", "", r#"{"do":"echo","text":"olá"}"#).await;
    assert_eq!((answer.status, answer.json()), (200, json!("olá")));
    assert_eq!((answer.header("x-amz-executed-version"), answer.header("content-type")), (Some("$LATEST"), Some("application/json")));
    assert_eq!(answer.header("x-amzn-requestid").map(str::len), Some(36));
    assert_eq!((answer.header("x-amz-function-error"), answer.header("x-amz-log-result")), (None, None));
}

#[tokio::test]
async fn a_handler_is_found_by_name_qualifier_and_arn() {
    let door = Door::open().await;
    for function in [
        "ping",
        "ping:$LATEST",
        "ping?Qualifier=live",
        "arn:aws:lambda:us-east-1:123456789012:function:ping",
        "123456789012%3Afunction%3Aping",
    ] {
        let answer = door.invoke(function, "", "[1]").await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"[1]".as_slice()), "{function}");
    }
}

#[tokio::test]
async fn no_body_is_an_empty_object() {
    assert_eq!(Door::open().await.invoke("ping", "", "").await.json(), json!({}));
}

#[tokio::test]
async fn envelopes_are_opened_at_this_door_too() {
    let event = json!({"Records": [
        {"messageId": "1", "eventSource": "aws:sqs", "body": r#"{"do":"echo","text":"a"}"#},
        {"messageId": "2", "eventSource": "aws:sqs", "body": r#"{"do":"fail"}"#},
    ]});
    let answer = Door::open().await.invoke("work", "", event.to_string()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"batchItemFailures": [{"itemIdentifier": "2"}]})));
}

/// Status, function error, Retry-After and body.
fn parts(answer: &Answer) -> (u16, Option<&str>, Option<&str>, Value) {
    (answer.status, answer.header("x-amz-function-error"), answer.header("retry-after"), answer.json())
}

fn failed() -> Value {
    json!({"errorType": "Invalid", "errorMessage": "no such branch \"main\"", "stackTrace": []})
}

#[tokio::test]
async fn a_handlers_error_is_a_200_with_a_function_error_as_on_aws() {
    let door = Door::open().await;
    assert_eq!(parts(&door.invoke("work", "", r#"{"do":"fail"}"#).await), (200, Some("Unhandled"), None, failed()));
    let broken = json!({"errorType": "Internal", "errorMessage": "cannot store the reply", "stackTrace": ["disk full"]});
    assert_eq!(parts(&door.invoke("work", "", r#"{"do":"break"}"#).await), (200, Some("Unhandled"), None, broken));
    let unknown = door.invoke("work", "", r#"{"do":"dance"}"#).await.json();
    assert!(unknown["errorMessage"].as_str().unwrap().starts_with("work request: do: unknown variant `dance`"), "{unknown}");
}

#[tokio::test]
async fn a_qualifier_or_an_option_makes_a_handlers_error_an_http_status() {
    let busy = json!({"errorType": "RetryAfter", "errorMessage": "provider is busy", "stackTrace": []});
    let strict = Door::with(Options { errors_as_status: true, ..Options::default() }).await;
    let lenient = Door::open().await;
    for (door, function) in [(&strict, "work"), (&lenient, "work:errors-as-status"), (&lenient, "work?Qualifier=errors-as-status")] {
        assert_eq!(parts(&door.invoke(function, "", r#"{"do":"fail"}"#).await), (400, Some("Unhandled"), None, failed()), "{function}");
        assert_eq!(parts(&door.invoke(function, "", r#"{"do":"busy"}"#).await), (503, Some("Unhandled"), Some("7"), busy.clone()));
        let broken = door.invoke(function, "", r#"{"do":"break"}"#).await;
        assert_eq!((broken.status, broken.header("x-amzn-errortype")), (500, Some("Internal")));
        assert_eq!(door.invoke(function, "", r#"{"do":"echo","text":"a"}"#).await.status, 200);
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_times_out() {
    let door = Door::with(Options { timeout: Duration::from_millis(30), ..Options::default() }).await;
    let answer = door.invoke("work", "", r#"{"do":"wait"}"#).await;
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, Some("Unhandled")));
    assert_eq!(answer.json()["errorType"], "Timeout");
    assert_eq!(door.work.counts(), (1, 0));
}

#[tokio::test]
async fn a_dry_run_checks_and_does_not_run() {
    let door = Door::open().await;
    let dry = "X-Amz-Invocation-Type: DryRun\r\n";
    let answer = door.invoke("work", dry, r#"{"do":"echo","text":"a"}"#).await;
    assert_eq!((answer.status, answer.body.as_slice()), (204, b"".as_slice()));
    assert_eq!(door.invoke("wrok", dry, "{}").await.status, 404);
    assert_eq!(door.work.counts(), (0, 0));
}

#[tokio::test]
async fn an_event_is_accepted_at_once_and_shutdown_waits_for_it() {
    let door = Door::open().await;
    let answer = door.invoke("work", EVENT, r#"{"do":"wait"}"#).await;
    assert_eq!((answer.status, answer.body.as_slice()), (202, b"".as_slice()));
    door.work.until_waiting(1).await;
    assert!(tokio::time::timeout(Duration::from_millis(20), door.api.drained()).await.is_err());
    door.work.open();
    door.api.drained().await;
    assert_eq!(door.work.counts(), (1, 1));
}

#[tokio::test]
async fn a_call_goes_on_when_its_client_goes_away() {
    let door = Door::open().await;
    let connection = door::request(door.address, "work", "", br#"{"do":"wait"}"#).await;
    door.work.until_waiting(1).await;
    drop(connection);
    door.work.open();
    door.api.drained().await;
    assert_eq!(door.work.counts(), (1, 1));
}

#[tokio::test]
async fn a_cancelled_door_starts_no_call() {
    let door = Door::open().await;
    door.cancel.cancel();
    let answer = door.invoke("work:errors-as-status", "", r#"{"do":"echo","text":"a"}"#).await;
    assert_eq!((answer.status, door.work.counts()), (503, (0, 0)));
}

/// Installs the layer for the whole process: a subscriber of this thread alone would miss the call sites that
/// another test reached first.
fn keep_logs() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(LogTailLayer::default())).unwrap();
    tracing::callsite::rebuild_interest_cache();
}

#[tokio::test]
async fn tail_logs_hold_what_the_call_logged_and_no_other_call() {
    keep_logs();
    let door = Door::open().await;
    let tail = "X-Amz-Log-Type: Tail\r\n";
    let (mine, other) = tokio::join!(
        door.invoke("work", tail, r#"{"do":"log","text":"mine"}"#),
        door.invoke("work", tail, r#"{"do":"log","text":"other"}"#)
    );
    for (answer, text, foreign) in [(mine, "mine", "other"), (other, "other", "mine")] {
        let log = String::from_utf8(BASE64_STANDARD.decode(answer.header("x-amz-log-result").unwrap()).unwrap()).unwrap();
        let id = answer.header("x-amzn-requestid").unwrap();
        assert!(log.starts_with(&format!("START RequestId: {id} Version: $LATEST\n")), "{log}");
        assert!(log.contains(&format!(": heard {text} length={}\n", text.len())) && !log.contains(foreign), "{log}");
        assert!(log.contains(&format!("END RequestId: {id}\nREPORT RequestId: {id}\tDuration: ")), "{log}");
    }
    let failed = door.invoke("work", tail, r#"{"do":"break"}"#).await;
    let log = String::from_utf8(BASE64_STANDARD.decode(failed.header("x-amz-log-result").unwrap()).unwrap()).unwrap();
    assert!(log.contains("WARN codeteam::invoke_api: work failed: cannot store the reply"), "{log}");
    assert!(log.contains(r#"causes=["disk full"]"#), "{log}");
}
