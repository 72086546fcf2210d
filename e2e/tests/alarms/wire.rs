//! The built service between a queue of alarms and a topic, both on loopback.

use e2e::wait::until;
use e2e::{Codeteam, Up, root};
use serde_json::{Value, json};
use testkit::TestDb;
use wiremock::matchers::{body_string_contains, header, method};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const QUEUE: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/alarms";

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// The body of the message in a sample event.
fn body(file: &str) -> String {
    let event: Value = serde_json::from_slice(&std::fs::read(root().join("events").join(file)).unwrap()).unwrap();
    event["Records"][0]["body"].as_str().unwrap().to_owned()
}

/// Answers the first look into the queue with `bodies`, and everything else as AWS does.
async fn aws(bodies: &[String]) -> MockServer {
    let server = MockServer::start().await;
    let sqs = |name: &str| Mock::given(method("POST")).and(header("x-amz-target", format!("AmazonSQS.{name}").as_str()));
    let message = |(index, body): (usize, &String)| json!({"MessageId": format!("m-{index}"), "ReceiptHandle": format!("r-{index}"), "Body": body, "Attributes": {"ApproximateReceiveCount": "1"}});
    let messages: Vec<Value> = bodies.iter().enumerate().map(message).collect();
    sqs("ReceiveMessage").respond_with(ok(json!({ "Messages": messages }))).up_to_n_times(1).mount(&server).await;
    let nothing = ok(json!({})).set_delay(std::time::Duration::from_secs(20));
    sqs("ReceiveMessage").respond_with(nothing).mount(&server).await;
    for name in ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"] {
        sqs(name).respond_with(ok(json!({"Successful": [], "Failed": []}))).mount(&server).await;
    }
    let published = "<PublishResponse><PublishResult><MessageId>n-1</MessageId></PublishResult></PublishResponse>";
    let publish = Mock::given(method("POST")).and(body_string_contains("Action=Publish"));
    publish.respond_with(ResponseTemplate::new(200).set_body_string(published)).mount(&server).await;
    server
}

/// The receipts of what was deleted, once something was.
async fn deleted(server: &MockServer) -> Vec<String> {
    let is_delete = |request: &Request| request.headers.get("x-amz-target").is_some_and(|name| name == "AmazonSQS.DeleteMessageBatch");
    let asked = until("messages are deleted", async || server.received_requests().await.unwrap().into_iter().find(is_delete)).await;
    let asked: Value = serde_json::from_slice(&asked.body).unwrap();
    asked["Entries"].as_array().unwrap().iter().map(|entry| entry["ReceiptHandle"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_was_acted_on_is_deleted_and_what_nobody_understands_stays_in_the_queue() {
    let db = TestDb::new().await;
    let server = aws(&[body("alarm-queue-depth-sns.json"), "not an alarm".to_owned(), body("alarm-aws-budget-80.json")]).await;
    let uri = server.uri();
    let serve = Codeteam::new(["serve", "--listen", "127.0.0.1:0"]).on(db.url.expose());
    let settings = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "a key that opens nothing"),
        ("AWS_ENDPOINT_URL", uri.as_str()),
        ("ALARM_QUEUE_URL", QUEUE),
        ("ALARM_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:notifications"),
    ];
    let serve = settings.into_iter().fold(serve, |serve, (name, value)| serve.env(name, value));
    let _serve = Up::start(serve).await;
    assert_eq!(deleted(&server).await, ["r-0", "r-2"]);
    let rows =
        db.value("select string_agg(concat_ws(' ', name, reaction, completed_at is not null), ', ' order by name) from alarms").await;
    assert_eq!(rows, "ai-coding-team-prod budget t, ai-coding-team-prod-queue-depth queue-depth t");
    let requests = server.received_requests().await.unwrap();
    let told = requests.iter().filter(|request| String::from_utf8_lossy(&request.body).contains("Action=Publish")).count();
    assert_eq!(told, 2);
}
