//! Every envelope, from the sample events in `events/envelopes/`.

use dispatch::{HandlerError, InvokeError, Registry};
use serde_json::{Value, json};

use crate::handlers::{Echo, Obedient, ctx, event};

const FIRST_MESSAGE: &str = "059f36b4-87a3-44ab-83d2-661975830a7d";
const SECOND_MESSAGE: &str = "2e1424d4-f796-459a-8184-9c92662be6da";

fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

/// The request that `body` in an HTTP event is meant to be.
fn new_job() -> Value {
    json!({"repository": "acme/shop", "input": {"title": "Totals are rounded twice"}, "mode": "mechanic"})
}

#[tokio::test]
async fn plain_json_is_the_request_itself() {
    for request in [json!({"job_id": 7}), json!(null), json!([1, 2]), json!({"Records": []}), json!({"Records": [{"title": "My Song"}]})] {
        assert_eq!(Echo::new().invoke(request.clone()).await.unwrap(), json!({ "echo": request }));
    }
}

#[tokio::test]
async fn every_sqs_record_is_one_call() {
    let echo = Echo::new();
    assert_eq!(echo.invoke(event("sqs")).await.unwrap(), nothing_failed());
    let jobs = ["019ad8a1-6c00-7a3e-9d53-0f2b6c1d7e01", "019ad8a1-6c0a-7b11-8f0e-5a9c3e2d1f02", "019ad8a1-6c14-7c77-a2b4-7d6e5f4c3b03"];
    assert_eq!(echo.seen(), jobs.map(|job_id| json!({"job_id": job_id, "mode": "mechanic"})));
}

#[tokio::test]
async fn a_bad_sqs_record_fails_alone() {
    let echo = Echo::failing_for("019ad8a1-6c0a");
    let answer = echo.invoke(event("sqs")).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": SECOND_MESSAGE}]}));
    assert_eq!(echo.seen().len(), 2);
}

#[tokio::test]
async fn sqs_records_that_panic_or_cannot_be_decoded_fail_alone() {
    let mut event = event("sqs");
    event["Records"][0]["body"] = json!(r#"{"do": "panic", "message": "boom"}"#);
    event["Records"][1]["body"] = json!("not JSON at all");
    event["Records"][2]["body"] = json!(r#"{"do": "add", "terms": [1]}"#);
    let answer = Registry::new().with(Obedient).invoke("obedient", ctx(), event).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": FIRST_MESSAGE}, {"itemIdentifier": SECOND_MESSAGE}]}));
}

#[tokio::test(start_paused = true)]
async fn a_slow_sqs_record_does_not_hold_up_the_others() {
    let mut event = event("sqs");
    event["Records"][0]["body"] = json!(r#"{"do": "sleep", "millis": 90000}"#);
    event["Records"][1]["body"] = json!(r#"{"do": "sleep", "millis": 40000}"#);
    event["Records"][2]["body"] = json!(r#"{"do": "sleep", "millis": 40000}"#);
    let answer = Registry::new().with(Obedient).invoke("obedient", ctx(), event).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": FIRST_MESSAGE}]}));
}

#[tokio::test]
async fn an_sqs_record_without_a_message_id_fails_the_batch_since_it_cannot_be_named() {
    let mut event = event("sqs");
    event["Records"][1].as_object_mut().unwrap().remove("messageId");
    let error = Echo::new().invoke(event).await.unwrap_err();
    assert_eq!(error.to_string(), "SQS event: Records[1]: no messageId");
}

#[tokio::test]
async fn an_sns_message_is_the_request() {
    let echo = Echo::new();
    echo.invoke(event("sns")).await.unwrap();
    let [alarm] = <[Value; 1]>::try_from(echo.seen()).unwrap();
    assert_eq!(
        (&alarm["AlarmName"], &alarm["NewStateValue"], &alarm["Trigger"]["MetricName"]),
        (&json!("codeteam-mechanic-stuck-jobs"), &json!("ALARM"), &json!("StuckJobs"))
    );
}

#[tokio::test]
async fn a_failing_sns_message_fails_the_event_so_that_it_is_sent_again() {
    let error = Echo::failing_for("StuckJobs").invoke(event("sns")).await.unwrap_err();
    assert!(matches!(error, InvokeError::Handler(HandlerError::RetryAfter { .. })), "{error}");
}

#[tokio::test]
async fn sns_notifications_in_sqs_are_unwrapped_and_plain_text_becomes_a_string() {
    let echo = Echo::new();
    assert_eq!(echo.invoke(event("sns-in-sqs")).await.unwrap(), nothing_failed());
    let [alarm, budget] = <[Value; 2]>::try_from(echo.seen()).unwrap();
    assert_eq!(alarm["NewStateValue"], "ALARM");
    assert!(budget.as_str().unwrap().starts_with("AWS Budget Notification December 01, 2025\n"), "{budget}");
}

#[tokio::test]
async fn the_detail_of_an_eventbridge_event_is_the_request() {
    let detail = event("eventbridge")["detail"].clone();
    assert_eq!(Echo::new().invoke(event("eventbridge")).await.unwrap(), json!({ "echo": detail }));
}

#[tokio::test]
async fn an_eventbridge_event_in_sqs_is_unwrapped_twice() {
    let echo = Echo::new();
    assert_eq!(echo.invoke(event("eventbridge-in-sqs")).await.unwrap(), nothing_failed());
    assert_eq!(echo.seen(), [event("eventbridge")["detail"].clone()]);
}

#[tokio::test]
async fn an_eventbridge_event_in_sns_in_sqs_is_unwrapped_three_times() {
    let mut notification: Value = serde_json::from_str(event("sns-in-sqs")["Records"][0]["body"].as_str().unwrap()).unwrap();
    notification["Message"] = json!(event("eventbridge").to_string());
    let mut batch = event("eventbridge-in-sqs");
    batch["Records"][0]["body"] = json!(notification.to_string());
    let echo = Echo::new();
    assert_eq!(echo.invoke(batch).await.unwrap(), nothing_failed());
    assert_eq!(echo.seen(), [event("eventbridge")["detail"].clone()]);
}

#[tokio::test]
async fn envelopes_nest_four_deep_and_no_deeper() {
    let wrap = |detail: Value| json!({"detail-type": "x", "source": "y", "detail": detail});
    let four = wrap(wrap(wrap(wrap(json!("core")))));
    assert_eq!(Echo::new().invoke(four.clone()).await.unwrap(), json!({"echo": "core"}));
    let error = Echo::new().invoke(wrap(four)).await.unwrap_err();
    assert_eq!(error.to_string(), "more than 4 event envelopes lie in each other");
}

#[tokio::test]
async fn every_s3_record_is_one_call_with_its_key_decoded() {
    let echo = Echo::new();
    let answers = echo.invoke(event("s3")).await.unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 2);
    let objects: Vec<_> =
        echo.seen().iter().map(|record| (record["eventName"].clone(), record["s3"]["object"]["urlDecodedKey"].clone())).collect();
    let expected = [("ObjectCreated:Put", "handbook/on call.md"), ("ObjectCreated:CompleteMultipartUpload", "handbook/férias.pdf")];
    assert_eq!(objects, expected.map(|(name, key)| (json!(name), json!(key))));
}

#[tokio::test]
async fn the_test_event_of_s3_reaches_no_handler() {
    let echo = Echo::new();
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2025-12-01T14:36:11.000Z", "Bucket": "codeteam-documents",
        "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE"});
    assert_eq!(echo.invoke(test).await.unwrap(), Value::Null);
    assert_eq!(echo.seen(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_alb_event_is_an_http_request() {
    let answer = Echo::new().invoke(event("alb")).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)));
    assert_eq!(answer["headers"], json!({"content-type": "application/json", "x-request-id": "r-1"}));
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let request = &body["echo"];
    assert_eq!((&request["method"], &request["path"]), (&json!("POST"), &json!("/api/jobs")));
    assert_eq!(request["headers"]["x-forwarded-for"], "203.0.113.7");
    let mut parameters: Vec<_> = request["query"].as_str().unwrap().split('&').collect();
    parameters.sort_unstable();
    assert_eq!(parameters, ["dry_run=false", "note=a%20b"]);
    assert_eq!(serde_json::from_str::<Value>(request["body"].as_str().unwrap()).unwrap(), new_job());
}

#[tokio::test]
async fn a_base64_body_is_decoded_and_lists_of_headers_are_answered_by_lists() {
    let answer = Echo::new().invoke(event("alb-base64")).await.unwrap();
    assert_eq!(answer["multiValueHeaders"], json!({"content-type": ["application/json"], "x-request-id": ["r-1"]}));
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let request = &body["echo"];
    assert_eq!((&request["query"], &request["headers"]["accept"]), (&json!("tag=a&tag=b"), &json!("application/json, text/plain")));
    assert_eq!(serde_json::from_str::<Value>(request["body"].as_str().unwrap()).unwrap(), new_job());
}

#[tokio::test]
async fn an_api_gateway_v2_event_is_an_http_request() {
    let answer = Echo::new().invoke(event("apigw-v2")).await.unwrap();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let request = &body["echo"];
    assert_eq!(
        (&answer["statusCode"], &request["method"], &request["path"], &request["query"], &request["headers"]["cookie"]),
        (&json!(200), &json!("POST"), &json!("/api/jobs"), &json!("dry_run=false&note=a%20b"), &json!("session=abc; theme=dark"))
    );
    assert_eq!(serde_json::from_str::<Value>(request["body"].as_str().unwrap()).unwrap(), new_job());
}

/// What `obedient` answers to an API Gateway request with `body`.
async fn http_answer(body: &str) -> (Value, Value, Value) {
    let mut event = event("apigw-v2");
    event["body"] = json!(body);
    let answer = Registry::new().with(Obedient).invoke("obedient", ctx(), event).await.unwrap();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].clone(), answer["headers"]["retry-after"].clone(), body)
}

#[tokio::test]
async fn unless_a_handler_says_otherwise_the_body_is_the_request() {
    assert_eq!(http_answer(r#"{"do": "add", "terms": [1, 2]}"#).await, (json!(200), Value::Null, json!(3)));
}

#[tokio::test]
async fn over_http_an_error_is_a_status_with_a_json_body() {
    let error = |kind: &str, message: &str| json!({"errorType": kind, "errorMessage": message, "stackTrace": []});
    let bad_field = r#"obedient request: invalid type: string "x", expected u32"#;
    let answer = http_answer(r#"{"do": "add", "terms": [1, "x"]}"#).await;
    assert_eq!(answer, (json!(400), Value::Null, error("Invalid", bad_field)));
    assert_eq!(http_answer(r#"{"do": "deny"}"#).await, (json!(401), Value::Null, error("Denied", "signature does not match")));
    let hidden = "internal error, see the log for request r-1";
    assert_eq!(http_answer(r#"{"do": "break"}"#).await, (json!(500), Value::Null, error("Internal", hidden)));
    assert_eq!(http_answer(r#"{"do": "panic", "message": "secret"}"#).await, (json!(500), Value::Null, error("Panic", hidden)));
}

#[tokio::test]
async fn a_busy_handler_says_over_http_when_to_come_back() {
    let answer = Echo::failing_for("acme/shop").invoke(event("alb")).await.unwrap();
    assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&json!(503), &json!("5")));
}

#[tokio::test]
async fn a_body_that_is_not_base64_although_it_says_so_is_the_callers_fault() {
    let mut event = event("alb");
    event["isBase64Encoded"] = json!(true);
    let answer = Echo::new().invoke(event).await.unwrap();
    assert_eq!(answer["statusCode"], 400);
    assert!(answer["body"].as_str().unwrap().contains("body is not base64"), "{answer}");
}

#[tokio::test]
async fn an_http_event_inside_a_queue_is_refused() {
    let mut batch = event("eventbridge-in-sqs");
    batch["Records"][0]["body"] = json!(event("alb").to_string());
    let echo = Echo::new();
    assert_eq!(echo.invoke(batch).await.unwrap(), json!({"batchItemFailures": [{"itemIdentifier": FIRST_MESSAGE}]}));
    assert_eq!(echo.seen(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_envelope_with_a_bad_field_names_its_path() {
    let mut event = event("sns");
    event["Records"][0]["Sns"]["Timestamp"] = json!("yesterday");
    let error = Echo::new().invoke(event).await.unwrap_err();
    assert!(error.to_string().starts_with("SNS event: Records[0].Sns.Timestamp: "), "{error}");
}
