//! What every call gets: decoding, deadline, cancellation, panic isolation.

use std::time::Duration;

use dispatch::{CANCEL_GRACE, Ctx, HandlerError, HttpRequest, InvokeError, Registry, call};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::handlers::{Echo, Obedient, Order, ctx};

async fn invoke(ctx: Ctx, order: Value) -> Result<Value, HandlerError> {
    match Registry::new().with(Obedient).invoke("obedient", ctx, order).await {
        Ok(response) => Ok(response),
        Err(InvokeError::Handler(error)) => Err(error),
        Err(unknown) => panic!("{unknown}"),
    }
}

#[tokio::test]
async fn a_request_is_decoded_and_its_response_encoded() {
    assert_eq!(invoke(ctx(), json!({"do": "add", "terms": [1, 2, 3]})).await.unwrap(), json!(6));
}

#[tokio::test]
async fn a_direct_call_needs_no_json() {
    assert_eq!(call(&Obedient, ctx(), Order::Add { terms: vec![1, 2, 3] }).await.unwrap(), 6);
}

#[tokio::test]
async fn a_handler_takes_http_requests_from_our_own_server() {
    let request: HttpRequest =
        serde_json::from_value(json!({"method": "POST", "path": "/", "body": r#"{"do":"add","terms":[4]}"#})).unwrap();
    assert_eq!(Registry::new().with(Obedient).invoke_http("obedient", ctx(), request).await.unwrap(), json!(4));
}

#[tokio::test]
async fn a_bad_request_names_its_handler_and_the_bad_value() {
    let error = invoke(ctx(), json!({"do": "dance"})).await.unwrap_err();
    assert_eq!(error.error_type(), "Invalid");
    assert!(error.to_string().starts_with("obedient request: do: unknown variant `dance`, expected one of `add`"), "{error}");
}

#[tokio::test]
async fn an_unknown_handler_is_named_beside_those_there_are() {
    let registry = Registry::new().with(Obedient).with(Echo::new());
    assert_eq!(registry.names().collect::<Vec<_>>(), ["echo", "obedient"]);
    let error = registry.invoke("obedeint", ctx(), Value::Null).await.unwrap_err();
    assert_eq!(error.to_string(), r#"no handler "obedeint"; known: echo, obedient"#);
}

#[test]
#[should_panic(expected = r#"two handlers are named "obedient""#)]
fn two_handlers_of_one_name_are_a_mistake() {
    let _registry = Registry::new().with(Obedient).with(Obedient);
}

#[tokio::test]
async fn a_panic_is_an_error_with_its_message_and_the_next_call_works() {
    let registry = Registry::new().with(Obedient);
    let error = registry.invoke("obedient", ctx(), json!({"do": "panic", "message": "index 7 is out of range"})).await.unwrap_err();
    assert!(matches!(&error, InvokeError::Handler(HandlerError::Panic(message)) if message == "index 7 is out of range"), "{error:?}");
    assert_eq!(registry.invoke("obedient", ctx(), json!({"do": "add", "terms": [1]})).await.unwrap(), json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_dropped_at_its_deadline() {
    let started = Instant::now();
    let error = invoke(Ctx::new("r-1", Duration::from_millis(1_500)), json!({"do": "sleep", "millis": 60_000})).await.unwrap_err();
    assert_eq!((error.error_type(), error.to_string().as_str()), ("Timeout", "passed its deadline after 1500 ms"));
    assert_eq!(started.elapsed(), Duration::from_millis(1_500));
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_does_not_start() {
    let echo = Echo::new();
    let late = Ctx { deadline: Instant::now(), ..ctx() };
    let error = Registry::new().with(echo.clone()).invoke("echo", late, json!(1)).await.unwrap_err();
    assert!(matches!(error, InvokeError::Handler(HandlerError::Timeout(Duration::ZERO))), "{error:?}");
    assert_eq!(echo.seen(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_cancelled_call_does_not_start() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = invoke(ctx().cancelled_by(cancel), json!({"do": "add", "terms": []})).await.unwrap_err();
    assert_eq!((error.error_type(), error.retry_after_seconds()), ("RetryAfter", Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_running_call_may_end_by_itself_when_it_is_cancelled() {
    let cancel = CancellationToken::new();
    let running = tokio::spawn(invoke(ctx().cancelled_by(cancel.clone()), json!({"do": "sleep_until_cancelled"})));
    tokio::task::yield_now().await;
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap(), json!(1));
}

#[tokio::test(start_paused = true)]
async fn a_running_call_that_ignores_its_cancellation_is_dropped_after_the_grace() {
    let cancel = CancellationToken::new();
    let running = tokio::spawn(invoke(ctx().cancelled_by(cancel.clone()), json!({"do": "sleep", "millis": 50_000})));
    tokio::task::yield_now().await;
    let started = Instant::now();
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().error_type(), "RetryAfter");
    assert!((CANCEL_GRACE..CANCEL_GRACE + Duration::from_millis(10)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_internal_error_tells_its_causes() {
    let error = invoke(ctx(), json!({"do": "break"})).await.unwrap_err();
    assert_eq!(error.to_json(), json!({"errorType": "Internal", "errorMessage": "cannot store the reply", "stackTrace": ["disk full"]}));
}
