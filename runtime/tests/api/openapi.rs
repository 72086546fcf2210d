//! The description of the API.

use std::collections::BTreeSet;
use std::path::PathBuf;

use codeteam::api::openapi_document;
use serde_json::Value;
use testkit::client::request;

use super::World;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json")
}

#[test]
fn the_description_in_docs_is_that_of_this_release() {
    let kept = std::fs::read_to_string(file()).unwrap_or_default();
    assert!(
        kept.trim_end() == openapi_document().trim_end(),
        "the API is not what docs/openapi.json says: look at the change, then `make openapi`"
    );
}

#[test]
#[ignore = "renews docs/openapi.json: `make openapi`"]
fn renew_the_description_in_docs() {
    std::fs::write(file(), openapi_document() + "\n").unwrap();
}

#[tokio::test]
async fn everybody_may_read_the_description_and_nothing_else() {
    let world = World::new().await;
    let answer = request(&world.address, "GET", "/api/v1/openapi.json", "", b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let document = answer.json();
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{job_id}", "0198cb5e-7a40-7c21-9f3e-5b6d8a2cbeef");
            let answer = request(&world.address, &method.to_uppercase(), &path, "", b"").await;
            assert_eq!(super::problem(&answer, 401), "unauthorized", "{method} {path}");
            assert!(operation["security"][0]["token"][0].is_string(), "{method} {path} names its scope");
            assert!(seen.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path} has a name of its own");
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
}

#[test]
fn every_reference_leads_somewhere_and_every_endpoint_is_explained() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 10), "{operation}");
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                references.push(reference.to_owned());
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
