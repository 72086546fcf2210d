//! Webhooks through the load balancer and the API gateway: the signature is over the bytes that GitHub sent.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dispatch::HttpRequest;
use serde_json::{Value, json};

use crate::{NOTHING, ONE_JOB, World, delivery, sample};

/// The envelope in `file` around `request`.
fn wrap(file: &str, request: &HttpRequest, base64: bool) -> Value {
    let mut event: Value = serde_json::from_slice(&sample(&format!("envelopes/{file}"))).unwrap();
    let headers: Value = request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let (path, method) = (json!(request.path), json!(request.method));
    if event["version"] == "2.0" {
        event["rawPath"] = path.clone();
        event["requestContext"]["http"]["path"] = path;
        event["requestContext"]["http"]["method"] = method;
    } else {
        event["path"] = path;
        event["httpMethod"] = method;
    }
    event["headers"] = headers;
    event["isBase64Encoded"] = json!(base64);
    event["body"] = match base64 {
        true => json!(BASE64_STANDARD.encode(&request.body)),
        false => json!(String::from_utf8(request.body.clone()).unwrap()),
    };
    event
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_signed_webhook_is_accepted_in_every_envelope_and_is_one_job_in_all_of_them() {
    let world = World::new().await;
    let request = delivery("issues", "d1", &sample("github-issue-labeled.json"));
    let mut answers = Vec::new();
    for (file, base64) in [("alb.json", false), ("alb.json", true), ("apigw-v2.json", false), ("apigw-v2.json", true)] {
        let answer = world.json(wrap(file, &request, base64)).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{file}: {answer}");
        answers.push(body(&answer));
    }
    assert_eq!(answers.iter().map(|answer| answer["accepted"].as_str().unwrap()).collect::<Vec<_>>(), ["new", "known", "known", "known"]);
    assert!(answers.iter().all(|answer| answer["job_id"] == answers[0]["job_id"]));
    assert_eq!(world.rows().await, ONE_JOB);
}

#[tokio::test]
async fn a_refused_webhook_is_an_http_answer_with_its_status() {
    let world = World::new().await;
    let genuine = delivery("issues", "d1", &sample("github-issue-labeled.json"));
    let mut forged = genuine.clone();
    forged.body.push(b'\n');
    let mut nameless = genuine.clone();
    nameless.headers.remove("x-github-delivery");
    for file in ["alb.json", "apigw-v2.json"] {
        let answer = world.json(wrap(file, &forged, true)).await.unwrap();
        assert_eq!((&answer["statusCode"], &body(&answer)["errorType"]), (&json!(401), &json!("Denied")), "{file}");
        let answer = world.json(wrap(file, &nameless, true)).await.unwrap();
        assert_eq!((&answer["statusCode"], &body(&answer)["errorType"]), (&json!(400), &json!("Invalid")), "{file}");
        let mut broken = wrap(file, &genuine, true);
        broken["body"] = json!("not base64!");
        let answer = world.json(broken).await.unwrap();
        assert_eq!(answer["statusCode"], 400, "{file}");
    }
    assert_eq!(world.rows().await, NOTHING);
}

#[tokio::test]
async fn a_job_that_comes_over_http_and_not_as_a_webhook_is_denied() {
    for file in ["alb.json", "alb-base64.json", "apigw-v2.json"] {
        let world = World::new().await;
        let answer = world.json(serde_json::from_slice(&sample(&format!("envelopes/{file}"))).unwrap()).await.unwrap();
        assert_eq!((&answer["statusCode"], &body(&answer)["errorType"]), (&json!(401), &json!("Denied")), "{file}: {answer}");
        assert_eq!(world.rows().await, NOTHING, "{file}");
    }
}

#[tokio::test]
async fn a_queue_of_jobs_reports_only_the_ones_that_failed() {
    let world = World::new().await;
    let record = |id: &str, body: Value| {
        json!({ "messageId": id, "receiptHandle": id, "body": body.to_string(), "attributes": {}, "messageAttributes": {},
                "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:jobs", "awsRegion": "us-east-1" })
    };
    let job = |title: &str| json!({ "repository": "acme/shop", "mode": "mechanic", "input": { "title": title } });
    let event = json!({ "Records": [record("a", job("Fix")), record("b", job("")), record("c", job("Mend"))] });
    let answer = world.json(event).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] }));
    assert_eq!(world.rows().await, [2, 2, 2, 0, 0]);
}
