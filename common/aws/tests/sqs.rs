use std::time::Duration;

use aws::AwsError;
use aws::sqs::{Handled, Hint, Inbox, Message, WakeQueue, event};
use domain::{JobId, Mode};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;
use wiremock::matchers::{body_json, body_partial_json};

use crate::stub::{Stub, refused};
use crate::with_keys;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/wake-mechanic";

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn wake(stub: &Stub) -> WakeQueue {
    WakeQueue::new(&with_keys(), URL, stub.endpoint().as_ref())
}

fn inbox(stub: &Stub) -> Inbox {
    Inbox::new(&with_keys(), URL, stub.endpoint().as_ref())
}

fn message(id: &str, body: &str) -> Value {
    json!({"MessageId": id, "ReceiptHandle": format!("receipt-{id}"), "Body": body, "Attributes": {"ApproximateReceiveCount": "2"}})
}

/// Answers the first request for messages with `messages`, and what is deleted with a yes.
async fn holding(stub: &Stub, messages: &[Value]) {
    let asked = json!({"QueueUrl": URL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20});
    let once = stub.json("AmazonSQS.ReceiveMessage").and(body_partial_json(asked));
    once.respond_with(ok(json!({ "Messages": messages }))).up_to_n_times(1).mount(&stub.server).await;
    stub.json("AmazonSQS.DeleteMessageBatch").respond_with(ok(json!({"Successful": [], "Failed": []}))).mount(&stub.server).await;
    let hidden = stub.json("AmazonSQS.ChangeMessageVisibilityBatch");
    hidden.respond_with(ok(json!({"Successful": [], "Failed": []}))).mount(&stub.server).await;
}

/// The receipts of what was deleted.
async fn deleted(stub: &Stub) -> Vec<String> {
    let entries = stub.asked("AmazonSQS.DeleteMessageBatch").await.into_iter().flat_map(|body| body["Entries"].as_array().unwrap().clone());
    entries.map(|entry| entry["ReceiptHandle"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_hint_names_the_job_and_its_mode() {
    let stub = Stub::start("sqs").await;
    let hint = Hint { job_id: JobId::new(), mode: Mode::Mechanic };
    let body = format!(r#"{{"job_id":"{}","mode":"mechanic"}}"#, hint.job_id);
    let sent = stub.json("AmazonSQS.SendMessage").and(body_json(json!({"QueueUrl": URL, "MessageBody": body})));
    sent.respond_with(ok(json!({"MessageId": "m-1"}))).expect(1).mount(&stub.server).await;
    wake(&stub).send(hint).await.unwrap();
}

#[tokio::test]
async fn hints_are_deleted_at_once_and_so_is_what_is_none() {
    let stub = Stub::start("sqs").await;
    let hint = Hint { job_id: JobId::new(), mode: Mode::Genius };
    let good = json!({"job_id": hint.job_id, "mode": "genius"}).to_string();
    let more = json!({"job_id": hint.job_id, "mode": "genius", "run": "rm -rf /"}).to_string();
    let bodies = ["", "wake up", "{}", r#"{"job_id":"1","mode":"genius"}"#, r#"["genius"]"#, &more, &good, "\u{0}"];
    let messages: Vec<Value> = bodies.iter().enumerate().map(|(index, body)| message(&index.to_string(), body)).collect();
    holding(&stub, &messages).await;
    assert_eq!(wake(&stub).receive().await.unwrap(), [hint]);
    let all: Vec<String> = (0..bodies.len()).map(|index| format!("receipt-{index}")).collect();
    assert_eq!(deleted(&stub).await, all);
}

#[tokio::test]
async fn an_empty_queue_gives_no_hint_and_nothing_is_deleted() {
    let stub = Stub::start("sqs").await;
    stub.json("AmazonSQS.ReceiveMessage").respond_with(ok(json!({}))).expect(1).mount(&stub.server).await;
    assert_eq!(wake(&stub).receive().await.unwrap(), []);
}

#[tokio::test]
async fn what_failed_is_not_deleted_and_the_rest_is() {
    let stub = Stub::start("sqs").await;
    holding(&stub, &[message("a", "1"), message("b", "2"), message("c", "3")]).await;
    let mut seen = Vec::new();
    let inbox = inbox(&stub);
    let handled = inbox.work(|messages| {
        seen = messages;
        async { vec!["b".to_owned()] }
    });
    assert_eq!(handled.await.unwrap(), Handled { done: 2, failed: 1 });
    assert_eq!(seen.iter().map(|message| (message.body.as_str(), message.received)).collect::<Vec<_>>(), [("1", 2), ("2", 2), ("3", 2)]);
    assert_eq!(deleted(&stub).await, ["receipt-a", "receipt-c"]);
}

#[tokio::test]
async fn messages_stay_hidden_for_as_long_as_they_are_being_handled() {
    let stub = Stub::start("sqs").await;
    holding(&stub, &[message("a", "1"), message("b", "2")]).await;
    let beats = || stub.asked("AmazonSQS.ChangeMessageVisibilityBatch");
    let inbox = inbox(&stub).hidden_for(Duration::from_secs(1));
    let handled = inbox.work(|_| async {
        while beats().await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Vec::new()
    });
    assert_eq!(handled.await.unwrap(), Handled { done: 2, failed: 0 });
    let entry = |id: &str, receipt: &str| json!({"Id": id, "ReceiptHandle": receipt, "VisibilityTimeout": 1});
    let expected = json!({"QueueUrl": URL, "Entries": [entry("0", "receipt-a"), entry("1", "receipt-b")]});
    for beat in beats().await {
        assert_eq!(beat, expected);
    }
    assert_eq!(stub.asked("AmazonSQS.ReceiveMessage").await[0]["VisibilityTimeout"], 1);
}

#[tokio::test]
async fn what_a_reader_drops_in_the_middle_is_left_in_the_queue() {
    let stub = Stub::start("sqs").await;
    holding(&stub, &[message("a", "1")]).await;
    let (begun, wait) = tokio::sync::oneshot::channel();
    let inbox = inbox(&stub);
    let handled = inbox.work(|_| async {
        begun.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        _ = handled => panic!("it never ends"),
        begun = wait => begun.unwrap(),
    }
    assert_eq!(deleted(&stub).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_an_error_that_says_so() {
    let stub = Stub::start("sqs").await;
    stub.json("AmazonSQS.ReceiveMessage").respond_with(ok(json!({"Messages": [message("a", "1")]}))).mount(&stub.server).await;
    let failed = json!({"Id": "0", "SenderFault": true, "Code": "ReceiptHandleIsInvalid", "Message": "too late"});
    let answer = ok(json!({"Successful": [], "Failed": [failed]}));
    stub.json("AmazonSQS.DeleteMessageBatch").respond_with(answer).mount(&stub.server).await;
    let error = inbox(&stub).work(|_| async { Vec::new() }).await.unwrap_err();
    assert_eq!(error.to_string(), "queue wake-mechanic: sqs:DeleteMessage failed: ReceiptHandleIsInvalid: too late");
}

#[tokio::test]
async fn what_passes_is_tried_three_times() {
    let stub = Stub::start("sqs").await;
    let busy = stub.json("AmazonSQS.SendMessage").respond_with(refused("com.amazonaws.sqs#RequestThrottled", "slow down"));
    busy.expect(3).mount(&stub.server).await;
    let error = wake(&stub).send(Hint { job_id: JobId::new(), mode: Mode::Mechanic }).await.unwrap_err();
    assert_eq!(error, AwsError::Throttled { action: "sqs:SendMessage", what: "queue wake-mechanic".to_owned() });
    assert!(error.passes());
}

#[tokio::test]
async fn a_service_that_recovers_is_not_noticed() {
    let stub = Stub::start("sqs").await;
    stub.json("AmazonSQS.SendMessage").respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&stub.server).await;
    stub.json("AmazonSQS.SendMessage").respond_with(ok(json!({"MessageId": "m-1"}))).expect(1).mount(&stub.server).await;
    wake(&stub).send(Hint { job_id: JobId::new(), mode: Mode::Mechanic }).await.unwrap();
}

#[tokio::test]
async fn what_does_not_pass_is_tried_once_and_says_what_to_do() {
    let stub = Stub::start("sqs").await;
    let denied = refused("com.amazonaws.sqs#AccessDeniedException", "User: arn:aws:iam::1:user/a is not authorized");
    stub.json("AmazonSQS.ReceiveMessage").respond_with(denied).expect(1).mount(&stub.server).await;
    let error = wake(&stub).receive().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "queue wake-mechanic in us-east-1: sqs:ReceiveMessage is denied; allow it in the policy of the task's role \
         (AccessDeniedException: User: arn:aws:iam::1:user/a is not authorized)"
    );
    let none = refused("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.");
    stub.json("AmazonSQS.GetQueueAttributes").respond_with(none).expect(1).mount(&stub.server).await;
    assert_eq!(wake(&stub).check().await.unwrap_err().to_string(), "there is no queue wake-mechanic in us-east-1");
}

#[tokio::test]
async fn messages_become_the_event_that_every_handler_takes() {
    let stub = Stub::start("sqs").await;
    holding(&stub, &[message("a", r#"{"AlarmName":"x"}"#)]).await;
    let mut made = Value::Null;
    let inbox = inbox(&stub);
    let handled = inbox.work(|messages: Vec<Message>| {
        made = event(&messages);
        async { Vec::new() }
    });
    handled.await.unwrap();
    let record = json!({
        "messageId": "a", "receiptHandle": "receipt-a", "body": r#"{"AlarmName":"x"}"#, "attributes": {"ApproximateReceiveCount": "2"},
        "messageAttributes": {}, "eventSource": "aws:sqs",
    });
    assert_eq!(made, json!({ "Records": [record] }));
}
