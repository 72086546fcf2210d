use std::io::Write;

use aws::secrets::Vault;
use aws::{Access, Aws, AwsError, Http};
use domain::Secret;
use redact::Redactor;
use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stub::{Stub, refused};
use crate::{REGION, with_keys};

const TARGET: &str = "secretsmanager.GetSecretValue";

fn vault(access: Option<Access>, endpoint: Option<&Secret>) -> Vault {
    Vault::new(&Aws::new(&Http::new(None).unwrap(), REGION, access), "p", endpoint)
}

#[tokio::test]
async fn the_keys_of_a_task_are_fetched_with_its_token_used_until_they_expire_and_known_to_the_redactor() {
    let role = MockServer::start().await;
    let keys = json!({
        "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "role-secret-Zs8nBcQ7", "Token": "role-session-kX9vQ2mL",
        "Expiration": "2999-01-01T00:00:00Z", "RoleArn": "arn:aws:iam::1:role/task",
    });
    let get = Mock::given(method("GET")).and(path("/v2/credentials/1")).and(header("authorization", "file-token-Qm7pRt4w"));
    get.respond_with(ResponseTemplate::new(200).set_body_json(keys)).expect(1).mount(&role).await;
    let stub = Stub::start("secretsmanager").await;
    let signed = stub.json(TARGET).and(header("x-amz-security-token", "role-session-kX9vQ2mL"));
    signed.respond_with(ResponseTemplate::new(200).set_body_json(json!({"SecretString": "s"}))).expect(2).mount(&stub.server).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"file-token-Qm7pRt4w\n").unwrap();
    let url = format!("{}/v2/credentials/1", role.uri());
    let access = Access::Container { url, token: Some(Secret::new("unused")), token_file: Some(file.path().to_owned()) };
    let vault = vault(Some(access), stub.endpoint().as_ref());
    vault.read("A").await.unwrap();
    vault.read("B").await.unwrap();
    let told = Redactor::of_process().text("role-secret-Zs8nBcQ7 role-session-kX9vQ2mL file-token-Qm7pRt4w");
    assert_eq!(told, "[redacted: AWS_SECRET_ACCESS_KEY] [redacted: AWS_SESSION_TOKEN] [redacted: AWS_CONTAINER_AUTHORIZATION_TOKEN]");
}

#[tokio::test]
async fn without_keys_it_is_said_where_they_could_come_from() {
    let stub = Stub::start("secretsmanager").await;
    let told = vault(None, stub.endpoint().as_ref()).read("A").await.unwrap_err().to_string();
    assert!(told.contains("no keys in the environment, in a file or from a role"), "{told}");
    assert!(told.contains("give the task a role"), "{told}");
    assert_eq!(stub.server.received_requests().await.unwrap().len(), 0);
    let role = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"SecretAccessKey": "hidden""#))
        .mount(&role)
        .await;
    let access = Access::Container { url: role.uri(), token: None, token_file: None };
    let error = vault(Some(access), stub.endpoint().as_ref()).read("A").await.unwrap_err();
    assert!(matches!(error, AwsError::Credentials { .. }), "{error:?}");
    assert!(!error.to_string().contains("hidden") && !error.to_string().contains(&role.uri()), "{error}");
}

#[tokio::test]
async fn keys_that_aws_does_not_take_are_told_without_what_was_signed() {
    let stub = Stub::start("secretsmanager").await;
    let words = "The Canonical String should have been 'x-amz-security-token:hunter2'";
    stub.json(TARGET).respond_with(refused("SignatureDoesNotMatch", words)).mount(&stub.server).await;
    let vault = Vault::new(&with_keys(), "p", stub.endpoint().as_ref());
    let error = vault.read("A").await.unwrap_err();
    let expected = AwsError::Credentials {
        action: "secretsmanager:GetSecretValue",
        what: "secret p/A".to_owned(),
        told: "SignatureDoesNotMatch".to_owned(),
    };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_passes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = Secret::new(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let error = Vault::new(&with_keys(), "p", Some(&closed)).read("A").await.unwrap_err();
    assert!(error.passes() && error.to_string().contains("Connection refused"), "{error}");
}
