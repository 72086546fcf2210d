//! Under `cargo lambda watch` and behind our own door a handler answers alike.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;

use e2e::{Codeteam, Up, product, root, tools, wait};
use process::{Output, Service};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::TestDb;

use super::invoke;

/// The Lambda emulator of cargo-lambda with our handlers' own binaries behind it.
struct Watch {
    port: String,
    _running: Vec<Service>,
    _logs: TempDir,
}

impl Watch {
    /// Starts it with `handlers` on the database at `url`.
    ///
    /// `--only-lambda-apis` leaves it to us to start the handlers: they are built already, and cargo-lambda would
    /// build them once more with the features of each alone.
    async fn start(handlers: &[&str], url: &str) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let log = |name: &str| File::create(logs.path().join(name)).unwrap();
        // It takes a port and prints no other, so the port is chosen here.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let watch = cargo_lambda(&["watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port", &port]);
        let mut running = vec![Service::start(&watch, log("watch")).unwrap()];
        wait::until_line(&logs.path().join("watch"), "starting Runtime server").await;
        for handler in handlers {
            let binary = product::binary().with_file_name(handler);
            assert!(binary.exists(), "{} is missing: type `cargo build --workspace --bins`, or `make test`, which does", binary.display());
            let command = tools::command(binary.to_str().unwrap())
                .env("DATABASE_URL", url)
                .env("CODETEAM_USER", "root")
                .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{port}/.rt/{handler}"))
                .env("AWS_LAMBDA_FUNCTION_NAME", *handler)
                .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
                .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512");
            running.push(Service::start(&command, log(handler)).unwrap());
        }
        Self { port, _running: running, _logs: logs }
    }
}

/// `cargo lambda …`: what scripts/tools.sh has installed for the tests, else the person's own.
fn cargo_lambda(arguments: &[&str]) -> process::Command {
    let ours = root().join(".venv/bin/cargo-lambda");
    let program = if ours.exists() { ours.display().to_string() } else { "cargo-lambda".to_owned() };
    tools::command(&program).arg("lambda").args(arguments).cwd(root())
}

/// Invokes by `cargo lambda invoke`.
async fn by_cargo_lambda(port: &str, function: &str, file: &Path) -> Output {
    let file = file.to_str().unwrap();
    let arguments = ["invoke", function, "--invoke-address", "127.0.0.1", "--invoke-port", port, "--data-file", file];
    tools::attempt(cargo_lambda(&arguments)).await
}

#[tokio::test]
async fn cargo_lambda_gets_the_same_answers_from_its_own_emulator_and_from_our_door() {
    let db = TestDb::new().await;
    let url = db.url.expose();
    let watch = Watch::start(&["claim", "enqueue"], url).await;
    let up = Up::start(Codeteam::new(["up", "--listen", "127.0.0.1:0"]).on(url)).await;
    let ours = up.address.strip_prefix("127.0.0.1:").unwrap();

    // One job, asked for both ways: its idempotency key makes it one.
    let event = root().join("events/enqueue-new-job.json");
    let answer = |output: Output| -> Value {
        assert!(output.exit.success(), "{}\n{}", output.stdout_text(), output.stderr_text());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout_text()))
    };
    let first = answer(by_cargo_lambda(&watch.port, "enqueue", &event).await);
    let second = answer(by_cargo_lambda(ours, "enqueue", &event).await);
    let third = answer(by_cargo_lambda(&watch.port, "enqueue", &event).await);
    assert_eq!(first["accepted"], "new", "{first}");
    assert_eq!(second, json!({ "accepted": "known", "job_id": first["job_id"] }));
    assert_eq!(second, third);
    assert_eq!(db.value("select count(*) from jobs").await, "1");

    // What has no job in it is answered alike, word for word; so is every kind of error.
    let emulator = format!("127.0.0.1:{}", watch.port);
    let sqs = json!({ "Records": [{ "messageId": "m-1", "eventSource": "aws:sqs", "body": "{\"mode\":\"wizard\"}" }] });
    for (function, event) in [
        ("claim", json!({ "mode": "genius", "job_id": "0198cb5e-7a40-7c21-9f3e-5b6d8a2c4e10" })),
        ("claim", json!({ "mode": "wizard" })),
        ("claim", json!([])),
        ("claim", sqs),
        ("enqueue", json!({ "repository": "acme", "input": { "title": "Fix it" } })),
        ("enqueue", json!({ "repository": "acme/shop", "input": { "title": " " } })),
        ("enqueue", json!({ "headers": {}, "method": "POST", "path": "/webhooks/github", "body": "" })),
    ] {
        let event = event.to_string();
        let theirs = invoke(&emulator, function, &event).await.json();
        let ours = invoke(&up.address, function, &event).await.json();
        let kept = |answer: &Value| match answer.get("errorType") {
            Some(kind) => json!([kind, answer["errorMessage"]]),
            None => answer.clone(),
        };
        assert_eq!(kept(&ours), kept(&theirs), "{function} {event}");
    }
}
