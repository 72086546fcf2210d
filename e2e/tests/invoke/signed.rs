//! `codeteam serve --invoke-api`: whoever signs with its key may call, and nobody else.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use e2e::{Codeteam, Up, root, skipped, tools};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::TestDb;
use testkit::client::{self as http, HttpAnswer as Answer};
use tokio::task::JoinSet;

use super::{invoke, path_of};

/// A client that signs as AWS describes it (Signature Version 4).
#[derive(Clone)]
struct Client {
    address: String,
    access_key: String,
    secret_key: String,
    /// The database's clock, such as `20260102T030405Z`.
    now: String,
}

impl Client {
    async fn invoke(&self, function: &str, event: &str) -> Answer {
        let (date, address, now) = (&self.now[..8], &self.address, &self.now);
        let hash = |text: &str| hex::encode(Sha256::digest(text));
        let payload = hash(event);
        let path = path_of(function);
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!("POST\n{path}\n\nhost:{address}\nx-amz-content-sha256:{payload}\nx-amz-date:{now}\n\n{names}\n{payload}");
        let scope = format!("{date}/us-east-1/lambda/aws4_request");
        let to_sign = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hash(&canonical));
        let mac = |key: &[u8], text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let first = format!("AWS4{}", self.secret_key).into_bytes();
        let key = [date, "us-east-1", "lambda", "aws4_request"].iter().fold(first, |key, part| mac(&key, part));
        let signature = hex::encode(mac(&key, &to_sign));
        let access_key = &self.access_key;
        let authorization = format!("AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}");
        let headers = [("authorization", authorization.as_str()), ("x-amz-date", now), ("x-amz-content-sha256", &payload)];
        http::post(address, &path, &headers, event.as_bytes()).await
    }
}

/// A server, its state directory, and a client that has its key.
async fn served(db: &TestDb, state: &Path) -> (Up, Client) {
    let serve = Codeteam::new(["serve", "--listen", "127.0.0.1:0", "--invoke-api"]).on(db.url.expose()).state(state);
    let up = Up::start(serve).await;
    let file = state.join("invoke-key.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "nobody else can read the key");
    let keys: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    let now = db.value("select to_char(now() at time zone 'utc', 'YYYYMMDD\"T\"HH24MISS\"Z\"')").await;
    let client = Client { address: up.address.clone(), access_key: key("access_key"), secret_key: key("secret_key"), now };
    (up, client)
}

#[tokio::test]
async fn sixty_four_parallel_invocations_are_sixty_four_jobs() {
    let (db, state) = (TestDb::new().await, tempfile::tempdir().unwrap());
    let (_up, client) = served(&db, state.path()).await;
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let client = client.clone();
        calls.spawn(async move {
            let job = json!({ "repository": "acme/shop", "input": { "title": format!("Task {number}") }, "idempotency_key": format!("{number}") });
            let answer = client.invoke("enqueue", &job.to_string()).await;
            assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!("new")));
        });
    }
    assert_eq!(calls.join_all().await.len(), 64);
    assert_eq!(db.value("select count(distinct input ->> 'title') from jobs").await, "64");
}

#[tokio::test]
async fn whoever_does_not_sign_or_signs_wrongly_stays_outside() {
    let (db, state) = (TestDb::new().await, tempfile::tempdir().unwrap());
    let (up, client) = served(&db, state.path()).await;
    let job = json!({ "repository": "acme/shop", "input": { "title": "Fix it" } }).to_string();
    let unsigned = invoke(&up.address, "enqueue", &job).await;
    assert_eq!((unsigned.status, unsigned.headers["x-amzn-errortype"].as_str()), (403, "MissingAuthenticationTokenException"));
    let wrong = Client { secret_key: "another".to_owned(), ..client.clone() }.invoke("enqueue", &job).await;
    assert_eq!((wrong.status, wrong.headers["x-amzn-errortype"].as_str()), (403, "InvalidSignatureException"));
    let old = Client { now: "20200101T000000Z".to_owned(), ..client.clone() }.invoke("enqueue", &job).await;
    assert_eq!(old.status, 403, "a signature of long ago");
    assert_eq!(db.value("select count(*) from jobs").await, "0");
    assert_eq!(client.invoke("enqueue", &job).await.json()["accepted"], "new");

    let closed = Up::start(Codeteam::new(["serve", "--listen", "127.0.0.1:0"]).on(db.url.expose())).await;
    assert_eq!(invoke(&closed.address, "enqueue", &job).await.status, 404, "unless asked for, there is no such door");
}

#[tokio::test]
async fn the_aws_command_line_drives_the_handlers() {
    if !tools::has("aws").await {
        return skipped("aws lambda invoke", "there is no program aws on this machine");
    }
    let (db, state) = (TestDb::new().await, tempfile::tempdir().unwrap());
    let (up, client) = served(&db, state.path()).await;
    let (answer, endpoint) = (state.path().join("answer.json"), format!("http://{}", up.address));
    let invoke = async |function: &str, event: &str, secret: &str| {
        let payload = format!("fileb://{}", root().join("events").join(event).display());
        let arguments = ["lambda", "invoke", "--function-name", function, "--payload", &payload, "--endpoint-url", &endpoint];
        let keys = [("AWS_ACCESS_KEY_ID", client.access_key.as_str()), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_REGION", "us-east-1")];
        let none = [("AWS_SESSION_TOKEN", ""), ("AWS_CONFIG_FILE", "/dev/null"), ("AWS_DEFAULT_REGION", "us-east-1")];
        tools::attempt(tools::command("aws").args(arguments).arg(&answer).envs(keys).envs(none)).await
    };
    let called = invoke("enqueue", "enqueue-new-job.json", &client.secret_key).await;
    assert!(called.exit.success(), "{}", called.stderr_text());
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&answer).unwrap()).unwrap();
    assert_eq!(read()["accepted"], "new");
    let failed = invoke("step", "step.json", &client.secret_key).await;
    assert!(failed.stdout_text().contains("\"FunctionError\": \"Unhandled\""), "{}", failed.stdout_text());
    assert_eq!(read()["errorType"], "LeaseLost");
    let forged = invoke("enqueue", "enqueue-new-job.json", "another").await;
    assert!(!forged.exit.success() && forged.stderr_text().contains("InvalidSignature"), "{}", forged.stderr_text());
}
