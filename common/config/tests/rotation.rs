use std::time::Duration;

use config::failure;
use domain::Secret;
use github::{ForgeError, sign};
use llm::{ModelRequest, Turn};
use serde_json::json;
use store::StoreError;
use testkit::TlsPostgres;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::Entries;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_database_password_that_is_replaced_is_used_without_a_restart() {
    let server = TlsPostgres::start("first-Zs8nBcQ7").await;
    let url = |password: &str| server.url("localhost", password, &server.authority()).expose().to_owned();
    let entries = Entries::start(&[("DATABASE_URL", &url("first-Zs8nBcQ7"))]).await;
    let services = entries.services(&[]);
    let migrated = store::Db::connect(&services.database_url().await.unwrap().unwrap(), 1, PATIENCE).await.unwrap();
    migrated.migrate().await.unwrap();
    migrated.close().await;
    let db = services.db().await.unwrap();
    server.change_password("second-kX9vQ2mL").await;
    let refused = loop {
        match db.server_version().await {
            Err(error) if error.is_login_refused() => break error,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    entries.set("DATABASE_URL", &url("second-kX9vQ2mL"));
    let used = async {
        // What every handler does with an error of the store.
        while let Err(error) = db.server_version().await {
            failure::of_store(error);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, used).await.expect("the new password is read when the old one is refused");
    assert_eq!(services.database_url().await.unwrap().unwrap().expose(), url("second-kX9vQ2mL"));
}

#[tokio::test]
async fn a_model_key_that_is_replaced_is_used_by_the_call_that_the_old_one_was_refused_for() {
    let openai = MockServer::start().await;
    let call =
        |key: &str| Mock::given(method("POST")).and(path("/v1/responses")).and(header("authorization", format!("Bearer {key}").as_str()));
    let refusal = json!({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}});
    let refused = ResponseTemplate::new(401).set_body_json(refusal);
    let reply = json!({"id": "resp_1", "object": "response", "status": "completed", "output": []});
    let reply = ResponseTemplate::new(200).set_body_json(reply);
    call("first-key").respond_with(reply.clone()).up_to_n_times(1).mount(&openai).await;
    call("first-key").respond_with(refused).expect(1).mount(&openai).await;
    call("second-key").respond_with(reply).expect(2).mount(&openai).await;
    let entries = Entries::start(&[("OPENAI_API_KEY", "first-key")]).await;
    let services = entries.services(&[("OPENAI_BASE_URL", &format!("{}/v1", openai.uri()))]);
    let (models, providers) = (services.models().unwrap(), services.providers().unwrap());
    let model = models.lookup("gpt-5-mini").unwrap();
    let provider = providers.provider_for(model).unwrap();
    let request = ModelRequest {
        model: model.name_at_provider().to_owned(),
        step_no: 1,
        system: "Answer with one word.".to_owned(),
        turns: vec![Turn::User { text: "Say yes.".to_owned() }],
        tools: [].into(),
        max_output: 16,
    };
    let body = provider.encode(&request).unwrap();
    let cancel = CancellationToken::new();
    let call = || provider.call(&body, &request, Instant::now() + PATIENCE, &cancel);
    call().await.unwrap();
    // What was read is used for five minutes: only the refusal has it looked at again.
    entries.set("OPENAI_API_KEY", "second-key");
    for _ in 0..2 {
        call().await.unwrap();
    }
}

#[tokio::test]
async fn a_webhook_secret_that_is_replaced_is_believed_without_a_restart() {
    let (old, new) = ("old-Zs8nBcQ7-kX9v", "new-Qm7pRt4w-L2sD");
    let entries = Entries::start(&[("GITHUB_WEBHOOK_SECRET", old)]).await;
    let services = entries.services(&[]);
    let secrets = services.webhook_secrets().unwrap().unwrap();
    let verify = |secret: &str| secrets.verify(Some(&sign(&Secret::new(secret), b"x")), b"x");
    let believed = |secret: &str| verify(secret).is_ok();
    assert_eq!((believed(old), believed(new)), (true, false));
    entries.set("GITHUB_WEBHOOK_SECRET", new);
    entries.set("GITHUB_WEBHOOK_SECRET_PREVIOUS", old);
    let seen = async {
        while !believed(new) {
            failure::of_forge(ForgeError::Denied("Bad credentials".to_owned()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("it is looked at when GitHub refuses something");
    assert!(believed(old), "what GitHub signed before is believed as long as the entry is there");
    // GitHub signs with a third one before anybody has looked.
    let third = "third-Ht6yGf3d-W9xC";
    entries.set("GITHUB_WEBHOOK_SECRET", third);
    let seen = async {
        while let Err(error) = verify(third) {
            failure::of_signature(error);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("it is looked at when a signature does not hold");
}

#[tokio::test]
async fn a_token_is_shown_only_to_a_server_that_proves_who_it_is() {
    let entries = Entries::start(&[("DATABASE_URL", "postgres://app@db.example/codeteam?sslmode=require")]).await;
    let iam = [("DATABASE_AUTH", "iam")];
    let error = entries.services(&iam).database_url().await.unwrap_err().to_string();
    assert!(error.starts_with("DATABASE_AUTH=iam shows a token") && error.contains("sslmode=verify-full&sslrootcert="), "{error}");
    let verified = "postgres://app@db.example/codeteam?sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem";
    entries.set("DATABASE_URL", verified);
    let url = entries.services(&iam).database_url().await.unwrap().unwrap();
    let start = format!("{verified}&password=db.example%3A5432%2F%3FAction%3Dconnect%26DBUser%3Dapp%26");
    assert!(url.expose().starts_with(&start), "{}", url.expose());
}
