//! How tests ask an emulator: AWS's JSON protocol, spoken by hand, so that no library of the product judges the product.

use serde_json::{Value, json};
use testkit::client::request;

/// Whom a call is for, as `X-Amz-Target` names it.
pub(super) const CLOUDWATCH: &str = "GraniteServiceVersion20100801";
pub(super) const ECS: &str = "AmazonEC2ContainerServiceV20141113";
pub(super) const SCALING: &str = "AnyScaleFrontendService";
pub(super) const SECRETS: &str = "secretsmanager";
pub(super) const SQS: &str = "AmazonSQS";

/// What the service answers to `action`.
///
/// # Panics
/// When it refuses.
pub(super) async fn ask(address: &str, service: &str, action: &str, body: Value) -> Value {
    let (status, answer) = attempt(address, service, action, body.clone()).await;
    assert_eq!(status, 200, "{action} {body:#}: {answer:#}");
    answer
}

/// The same for what may be refused: the status and what was said.
pub(super) async fn attempt(address: &str, service: &str, action: &str, body: Value) -> (u16, Value) {
    // The emulators read the service and the region out of the signature, and nobody checks the rest.
    let scope = match service {
        CLOUDWATCH => "monitoring",
        ECS => "ecs",
        SCALING => "application-autoscaling",
        SECRETS => "secretsmanager",
        _ => "sqs",
    };
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{scope}/aws4_request, SignedHeaders=host, Signature=0");
    let headers =
        format!("content-type: application/x-amz-json-1.0\r\nx-amz-target: {service}.{action}\r\nauthorization: {authorization}\r\n");
    let answer = request(address, "POST", "/", &headers, body.to_string().as_bytes()).await;
    let said = if answer.body.is_empty() { Value::Null } else { answer.json() };
    (answer.status, said)
}

/// Every message that is visible in the queue called `name`, taken out of it.
pub(super) async fn drain(address: &str, name: &str) -> Vec<Value> {
    let url = queue_url(address, name).await;
    let mut all = Vec::new();
    loop {
        let answer = ask(address, SQS, "ReceiveMessage", json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 })).await;
        let Some(messages) = answer["Messages"].as_array().filter(|messages| !messages.is_empty()) else { return all };
        for message in messages {
            ask(address, SQS, "DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] })).await;
            all.push(message.clone());
        }
    }
}

/// How many messages the queue called `name` holds, visible or not.
pub(super) async fn held(address: &str, name: &str) -> u64 {
    let url = queue_url(address, name).await;
    let answer = ask(address, SQS, "GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["All"] })).await;
    let count = |name: &str| answer["Attributes"][name].as_str().map_or(0, |count| count.parse::<u64>().unwrap());
    count("ApproximateNumberOfMessages") + count("ApproximateNumberOfMessagesNotVisible")
}

pub(super) async fn queue_url(address: &str, name: &str) -> String {
    ask(address, SQS, "GetQueueUrl", json!({ "QueueName": name })).await["QueueUrl"].as_str().unwrap().to_owned()
}

/// Calls SNS, which knows no JSON: `form` is what a page would send.
pub(super) async fn ask_sns(address: &str, form: &[(&str, &str)]) -> String {
    let authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0";
    let headers = format!("content-type: application/x-www-form-urlencoded\r\nauthorization: {authorization}\r\n");
    let encoded = form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&");
    let answer = request(address, "POST", "/", &headers, encoded.as_bytes()).await;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{said}");
    said
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
