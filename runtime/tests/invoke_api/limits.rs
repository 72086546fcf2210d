//! What does not become a call, and how many calls fit.

use codeteam::invoke_api::{Options, REQUEST_LIMIT, RESPONSE_LIMIT};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::door::{self, Answer, Door};

/// Status, error type and message, of an answer that both AWS clients and cargo-lambda can read.
fn refusal(answer: &Answer) -> (u16, Option<&str>, Value) {
    let body = answer.json();
    assert_eq!((&body["Type"], answer.header("content-type")), (&json!("User"), Some("application/json")));
    assert_eq!((body["errorType"].as_str(), &body["errorMessage"]), (answer.header("x-amzn-errortype"), &body["Message"]));
    (answer.status, answer.header("x-amzn-errortype"), answer.json()["Message"].clone())
}

#[tokio::test]
async fn sixty_four_calls_run_at_the_same_time_and_none_is_lost() {
    let door = Door::open().await;
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let address = door.address;
        calls.spawn(async move {
            let body = json!({"do": "meet", "number": number}).to_string();
            let answer = door::invoke(address, "work", "", body.as_bytes()).await;
            assert_eq!((answer.status, answer.json()), (200, json!(number)));
        });
    }
    assert_eq!(calls.join_all().await.len(), 64);
    assert_eq!(door.work.counts(), (64, 64));
}

#[tokio::test]
async fn the_call_beyond_the_limit_of_its_handler_is_told_to_come_back() {
    let door = Door::open().await;
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let address = door.address;
        let headers = if number % 2 == 0 { "" } else { "X-Amz-Invocation-Type: Event\r\n" };
        calls.spawn(async move { door::invoke(address, "work", headers, br#"{"do":"wait"}"#).await.status });
    }
    door.work.until_waiting(64).await;
    for headers in ["", "X-Amz-Invocation-Type: Event\r\n"] {
        let answer = door.invoke("work", headers, r#"{"do":"wait"}"#).await;
        let message = json!("work already runs 64 calls, its limit; try again in a second");
        assert_eq!(refusal(&answer), (429, Some("TooManyRequestsException"), message));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(door.invoke("ping", "", "1").await.status, 200, "another handler has its own limit");
    door.work.open();
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 32], [202; 32]].concat());
    door.api.drained().await;
    assert_eq!(door.work.counts(), (64, 64));
    assert_eq!(door.invoke("work", "", r#"{"do":"wait"}"#).await.status, 200, "the limit is free again");
}

#[tokio::test]
async fn the_limit_is_an_option() {
    let door = Door::with(Options { calls_per_handler: 0, ..Options::default() }).await;
    assert_eq!(door.invoke("ping", "", "").await.status, 429);
}

#[tokio::test]
async fn an_unknown_function_is_answered_with_those_there_are() {
    let answer = Door::open().await.invoke("claimm:live", "", "{}").await;
    let message = json!(r#"no function "claimm"; known: ping, work"#);
    assert_eq!(refusal(&answer), (404, Some("ResourceNotFoundException"), message));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_the_place() {
    let answer = Door::open().await.invoke("work", "", r#"{"do":"#).await;
    let message = json!("could not parse request body into json: EOF while parsing a value at line 1 column 6");
    assert_eq!(refusal(&answer), (400, Some("InvalidRequestContentException"), message));
}

#[tokio::test]
async fn an_unknown_invocation_type_is_refused() {
    let answer = Door::open().await.invoke("ping", "X-Amz-Invocation-Type: Later\r\n", "{}").await;
    let message = json!(r#"no invocation type "Later"; known: RequestResponse, Event, DryRun"#);
    assert_eq!(refusal(&answer), (400, Some("InvalidParameterValueException"), message));
}

#[tokio::test]
async fn a_request_of_6_mib_is_taken_and_a_larger_one_is_not() {
    let door = Door::open().await;
    let body = |size: usize| format!("[{}]", " ".repeat(size - 2));
    let answer = door.invoke("ping", "", body(REQUEST_LIMIT)).await;
    assert_eq!((answer.status, answer.json()), (200, json!([])));
    let too_large = json!("request must be at most 6291456 bytes for the invoke operation");
    for size in [REQUEST_LIMIT + 1, 2 * REQUEST_LIMIT] {
        let answer = door.invoke("ping", "", body(size)).await;
        assert_eq!(refusal(&answer), (413, Some("RequestTooLargeException"), too_large.clone()));
    }
}

#[tokio::test]
async fn a_request_that_announces_far_too_much_is_refused_unread() {
    let door = Door::open().await;
    let answer = door::answer(door::announce(door.address, "ping", "", 8 * REQUEST_LIMIT + 1).await).await;
    assert_eq!(refusal(&answer).0, 413);
}

#[tokio::test]
async fn a_response_over_the_limit_is_a_function_error() {
    let door = Door::open().await;
    let letters = |size: usize| json!({"do": "letters", "size": size - 2}).to_string();
    let answer = door.invoke("work", "", letters(RESPONSE_LIMIT)).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("x-amz-function-error")), (200, RESPONSE_LIMIT, None));
    let answer = door.invoke("work", "", letters(RESPONSE_LIMIT + 1)).await;
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, Some("Unhandled")));
    assert_eq!(door.invoke("work:errors-as-status", "", letters(RESPONSE_LIMIT + 1)).await.status, 500);
    assert_eq!(answer.json()["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(answer.json()["errorMessage"], "Response payload size exceeded maximum allowed payload size (6291556 bytes).");
}

#[tokio::test]
async fn an_open_door_is_closed_to_browsers_and_to_names_that_are_not_ours() {
    let door = Door::open().await;
    let strangers = [
        "Origin: https://example.com\r\n",
        "Sec-Fetch-Mode: no-cors\r\n",
        "Host: example.com\r\n",
        "Host: 127.0.0.1.example.com:80\r\n",
        "Host: 192.0.2.1\r\n",
    ];
    for headers in strangers {
        let answer = door.invoke("work", headers, r#"{"do":"echo","text":"hi"}"#).await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (403, Some("AccessDeniedException")), "{headers}");
    }
    assert_eq!(door.work.counts(), (0, 0));
    for headers in ["Host: 127.0.0.1:8787\r\n", "Host: [::1]:8787\r\n", "Host: LocalHost\r\n"] {
        assert_eq!(door.invoke("work", headers, r#"{"do":"echo","text":"hi"}"#).await.status, 200, "{headers}");
    }
}
