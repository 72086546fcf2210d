use std::time::Duration;

use aws::AwsError;
use aws::secrets::{Entry, Vault};
use domain::Secret;
use serde_json::json;
use wiremock::matchers::body_json;
use wiremock::{MockBuilder, ResponseTemplate};

use crate::stub::{Stub, refused};
use crate::with_keys;

const TARGET: &str = "secretsmanager.GetSecretValue";

fn vault(stub: &Stub) -> Vault {
    Vault::new(&with_keys(), "ai-coding-team/dev", stub.endpoint().as_ref())
}

fn asked(stub: &Stub, name: &str) -> MockBuilder {
    stub.json(TARGET).and(body_json(json!({"SecretId": format!("ai-coding-team/dev/{name}")})))
}

async fn holds(stub: &Stub, name: &str, value: &str, times: u64) {
    let answer = ResponseTemplate::new(200).set_body_json(json!({"Name": name, "SecretString": value}));
    asked(stub, name).respond_with(answer).up_to_n_times(times).expect(times).mount(&stub.server).await;
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

#[tokio::test]
async fn a_secret_is_asked_for_once_until_somebody_wants_it_as_it_is_now() {
    let stub = Stub::start("secretsmanager").await;
    holds(&stub, "OPENAI_API_KEY", "first\n", 1).await;
    holds(&stub, "OPENAI_API_KEY", "second", 1).await;
    let vault = vault(&stub);
    assert_eq!(vault.get("OPENAI_API_KEY").await.unwrap(), secret("first"));
    assert_eq!(vault.clone().get("OPENAI_API_KEY").await.unwrap(), secret("first"), "clones share what was read");
    assert_eq!(vault.read("OPENAI_API_KEY").await.unwrap(), secret("second"));
    assert_eq!(vault.get("OPENAI_API_KEY").await.unwrap(), secret("second"));
}

#[tokio::test]
async fn a_secret_is_asked_for_again_when_it_is_no_longer_fresh() {
    let stub = Stub::start("secretsmanager").await;
    holds(&stub, "OPENAI_API_KEY", "first", 1).await;
    holds(&stub, "OPENAI_API_KEY", "second", 1).await;
    let vault = vault(&stub).fresh_for(Duration::ZERO);
    assert_eq!(vault.get("OPENAI_API_KEY").await.unwrap(), secret("first"));
    assert_eq!(vault.get("OPENAI_API_KEY").await.unwrap(), secret("second"));
}

#[tokio::test]
async fn an_entry_that_is_missing_or_empty_is_no_secret() {
    let stub = Stub::start("secretsmanager").await;
    let missing = refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    asked(&stub, "GOOGLE_API_KEY").respond_with(missing).expect(1).mount(&stub.server).await;
    holds(&stub, "ANTHROPIC_API_KEY", " ", 1).await;
    let vault = vault(&stub);
    for name in ["GOOGLE_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"] {
        assert_eq!(vault.get(name).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn bytes_are_a_secret_where_they_are_text() {
    let stub = Stub::start("secretsmanager").await;
    let bytes = |encoded: &str| ResponseTemplate::new(200).set_body_json(json!({ "SecretBinary": encoded }));
    asked(&stub, "TEXT").respond_with(bytes("aHVudGVyMg==")).mount(&stub.server).await;
    asked(&stub, "BYTES").respond_with(bytes("/w==")).mount(&stub.server).await;
    assert_eq!(vault(&stub).get("TEXT").await.unwrap(), secret("hunter2"));
    let error = vault(&stub).get("BYTES").await.unwrap_err().to_string();
    let expected = "secret ai-coding-team/dev/BYTES: secretsmanager:GetSecretValue failed: it holds bytes that are no text";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_says_which_where_and_what_right_is_missing() {
    let stub = Stub::start("secretsmanager").await;
    asked(&stub, "DATABASE_URL").respond_with(refused("AccessDeniedException", "not authorized")).expect(1).mount(&stub.server).await;
    let error = vault(&stub).get("DATABASE_URL").await.unwrap_err().to_string();
    let expected = "secret ai-coding-team/dev/DATABASE_URL in us-east-1: secretsmanager:GetSecretValue is denied; allow it in the policy of \
                    the task's role (AccessDeniedException: not authorized)";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_failed_read_leaves_what_was_known() {
    let stub = Stub::start("secretsmanager").await;
    holds(&stub, "OPENAI_API_KEY", "first", 1).await;
    let vault = vault(&stub);
    vault.get("OPENAI_API_KEY").await.unwrap();
    asked(&stub, "OPENAI_API_KEY").respond_with(refused("InternalServiceError", "oops")).mount(&stub.server).await;
    assert!(matches!(vault.read("OPENAI_API_KEY").await.unwrap_err(), AwsError::Other { .. } | AwsError::Unreachable { .. }));
    assert_eq!(vault.get("OPENAI_API_KEY").await.unwrap(), secret("first"));
}

#[tokio::test]
async fn a_value_is_put_into_an_entry_that_is_there_and_known_from_then_on() {
    let stub = Stub::start("secretsmanager").await;
    let put = "secretsmanager.PutSecretValue";
    let answer = ResponseTemplate::new(200).set_body_json(json!({"Name": "ai-coding-team/dev/GITHUB_APP_ID", "VersionId": "1"}));
    stub.json(put).respond_with(answer).expect(1).mount(&stub.server).await;
    let vault = vault(&stub);
    vault.put("GITHUB_APP_ID", &Secret::new("4711")).await.unwrap();
    let sent = stub.asked(put).await;
    assert_eq!((&sent[0]["SecretId"], &sent[0]["SecretString"]), (&json!("ai-coding-team/dev/GITHUB_APP_ID"), &json!("4711")));
    assert!(sent[0]["ClientRequestToken"].as_str().is_some_and(|token| token.len() >= 32), "what is sent again is put in once: {sent:?}");
    assert_eq!(vault.get("GITHUB_APP_ID").await.unwrap(), secret("4711"));
}

#[tokio::test]
async fn a_value_that_is_not_put_in_is_in_no_message() {
    let stub = Stub::start("secretsmanager").await;
    let (put, value) = ("secretsmanager.PutSecretValue", "line-Zs8nBcQ7kX9v\nline-Qm7pRt4wL2sD");
    let quoted = |code: &str| refused(code, "Value 'line-Zs8nBcQ7kX9v\nline-Qm7pRt4wL2sD' at 'secretString' is not taken");
    for code in ["InvalidParameterException", "AccessDeniedException", "ResourceNotFoundException"] {
        stub.server.reset().await;
        stub.json(put).respond_with(quoted(code)).mount(&stub.server).await;
        let error = vault(&stub).put("GITHUB_APP_PRIVATE_KEY", &Secret::new(value)).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("Zs8nBcQ7kX9v") && !told.contains("Qm7pRt4wL2sD"), "{told}");
        assert!(told.contains("secret ai-coding-team/dev/GITHUB_APP_PRIVATE_KEY"), "{told}");
    }
}

#[tokio::test]
async fn an_entry_is_there_or_not_or_not_for_long() {
    let stub = Stub::start("secretsmanager").await;
    let describe =
        |name: &str| stub.json("secretsmanager.DescribeSecret").and(body_json(json!({"SecretId": format!("ai-coding-team/dev/{name}")})));
    let told = |body: serde_json::Value| ResponseTemplate::new(200).set_body_json(body);
    describe("EMPTY").respond_with(told(json!({"Name": "ai-coding-team/dev/EMPTY"}))).mount(&stub.server).await;
    describe("GONE").respond_with(told(json!({"Name": "ai-coding-team/dev/GONE", "DeletedDate": 1.7e9}))).mount(&stub.server).await;
    let missing = refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    describe("NONE").respond_with(missing).mount(&stub.server).await;
    describe("SECRET").respond_with(refused("AccessDeniedException", "not authorized")).mount(&stub.server).await;
    let vault = vault(&stub);
    for (name, expected) in [("EMPTY", Entry::There), ("GONE", Entry::BeingDeleted), ("NONE", Entry::Missing)] {
        assert_eq!(vault.look(name).await.unwrap(), expected, "{name}");
    }
    assert!(matches!(vault.look("SECRET").await.unwrap_err(), AwsError::Denied { action: "secretsmanager:DescribeSecret", .. }));
}
