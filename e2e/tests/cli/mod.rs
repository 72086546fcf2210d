//! The commands from outside: exit codes, messages, data, and how a job ends that does not succeed.

mod data;
mod endings;
mod github;
mod github_deployed;
mod money;
mod queue;
mod refusals;
mod root;
mod sandbox;
mod schedules;
mod sleep;
mod steer;
mod up;

use e2e::{Codeteam, Ran, Repository};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use testkit::TestDb;

/// What stands in every secret of a command that fails.
const SECRET: &str = "hunter2-and-more";

/// Runs a command whose settings hold secrets, and fails if one of them is said.
async fn with_secrets(command: Codeteam) -> Ran {
    let secrets = ["ANTHROPIC_API_KEY", "GITHUB_WEBHOOK_SECRET", "CODETEAM_INVOKE_SECRET_KEY"];
    let ran = secrets.into_iter().fold(command, |command, name| command.env(name, SECRET)).run().await;
    assert!(!ran.said().contains(SECRET), "a secret is said:\n{}", ran.said());
    ran
}

/// A reply that calls one tool.
fn call(name: &str, input: Value) -> Value {
    json!({ "text": "so", "tool_calls": [{ "name": name, "input": input }] })
}

/// A file of replies.
fn script(replies: &[Value]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &json!({ "name": "a test", "replies": replies })).unwrap();
    file
}

/// A job on `repository`, done by a worker in `db` with these replies and settings: its id. What the worker says
/// holds no secret.
async fn done(db: &TestDb, repository: &Repository, replies: &[Value], settings: &[(&str, &str)]) -> String {
    let (url, script) = (db.url.expose(), script(replies));
    let remote = repository.path.to_str().unwrap();
    let job = json!({ "repository": "acme/shop", "remote": remote, "input": { "title": "Do something" }, "mode": "mechanic", "model": "scripted" });
    let enqueue = Codeteam::new(["invoke", "enqueue", "-"]).stdin(job.to_string()).env("CODETEAM_LOCAL_REMOTES", "1");
    let accepted = enqueue.on(url).run().await.json(0);
    let work = Codeteam::new(["work", "--until-idle"]).on(url).env("CODETEAM_SCRIPT", script.path());
    let work = settings.iter().fold(work, |work, (name, value)| work.env(name, value));
    with_secrets(work).await.expect(0, &[]);
    accepted["job_id"].as_str().unwrap().to_owned()
}

/// `codeteam run` on `repository` with the replies in `script`.
fn run_on(repository: &Repository, script: &NamedTempFile) -> Codeteam {
    let script = script.path().to_str().unwrap();
    Codeteam::new(["run", repository.path.to_str().unwrap(), "Do something", "--json", "--script", script])
}
