//! The REST API of the built binary: tokens, pages, streams, and what its description promises.

mod fuzz;
mod pages;
mod resume;
mod tokens;

use e2e::{Codeteam, Up};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::client::{HttpAnswer, request};

/// `codeteam serve` on a fresh database.
async fn serve(db: &TestDb) -> Up {
    serve_as(db, &[]).await
}

/// The same with settings.
async fn serve_as(db: &TestDb, settings: &[(&str, &str)]) -> Up {
    let serve = Codeteam::new(["serve", "--listen", "127.0.0.1:0"]).on(db.url.expose());
    Up::start(settings.iter().fold(serve, |serve, (name, value)| serve.env(name, value))).await
}

/// A token made at the command line.
async fn token(db: &TestDb, name: &str, scope: &str) -> String {
    let ran = Codeteam::new(["token", "create", "--name", name, "--scope", scope]).on(db.url.expose()).run().await;
    ran.expect(0, &["it is not shown again"]);
    ran.stdout.trim().to_owned()
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

async fn get(up: &Up, token: &str, path: &str) -> HttpAnswer {
    request(&up.address, "GET", path, &bearer(token), b"").await
}

/// Starts a job that waits for nobody: there is no worker.
async fn start_job(up: &Up, token: &str, title: &str) -> Value {
    let job = json!({ "repository": "acme/shop", "input": { "title": title }, "mode": "mechanic" });
    let headers = format!("{}content-type: application/json\r\n", bearer(token));
    loop {
        let answer = request(&up.address, "POST", "/api/v1/jobs", &headers, job.to_string().as_bytes()).await;
        match answer.status {
            201 => return answer.json()["job_id"].clone(),
            // Nobody is exempt from the limits.
            429 => tokio::time::sleep(std::time::Duration::from_secs(answer.header("retry-after").parse().unwrap())).await,
            status => panic!("{status}: {}", answer.json()),
        }
    }
}
