//! The product behind the real PgBouncer in transaction mode, and without notifications. Where PgBouncer is not
//! installed, the first of these says so and tests nothing.

mod deployed;

use e2e::wait::until;
use e2e::{Codeteam, Repository};
use process::Signal;
use serde_json::{Value, json};
use testkit::{Pooler, TestDb};

/// Replies that hand in at once.
fn script() -> tempfile::NamedTempFile {
    let finish = json!({ "title": "Read", "summary": "Nothing to do.", "tests_run": [], "confidence": "high" });
    let replies = json!([{ "text": "Done.", "tool_calls": [{ "name": "finish", "input": finish }] }]);
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &json!({ "name": "hand in", "replies": replies })).unwrap();
    file
}

/// Enqueues `jobs` jobs and waits until two workers have ended them, and said `hearing`.
async fn workers_end(test: &TestDb, jobs: usize, settings: &[(&str, &str)], hearing: &str) {
    let (script, repository) = (script(), Repository::of(&[("README.md", "A shop.\n")]).await);
    let (state, bare) = (tempfile::tempdir().unwrap(), repository.bare().await);
    let command = |arguments: &[&str]| {
        let base = Codeteam::new(arguments.iter().copied()).state(state.path());
        let base = base.env("CODETEAM_SCRIPT", script.path()).env("MODEL", "scripted").env("CODETEAM_LOCAL_REMOTES", "1");
        settings.iter().fold(base, |base, (name, value)| base.env(name, value))
    };
    command(&["migrate"]).run().await.expect(0, &["the schema is up to date"]);
    let workers = [command(&["work", "--slots", "2"]).start(), command(&["work", "--slots", "2"]).start()];
    for worker in &workers {
        worker.says("working on jobs").await;
    }
    let job: Value =
        json!({ "repository": "acme/shop", "remote": bare, "input": { "title": "Look" }, "mode": "mechanic", "kind": "analysis" });
    for _ in 0..jobs {
        command(&["invoke", "enqueue", "-", "--json"]).stdin(job.to_string()).run().await.json(0);
    }
    let ended = "select count(*) from jobs where outcome = 'succeeded'";
    until("every job has ended", async || (test.value(ended).await == jobs.to_string()).then_some(())).await;
    for worker in workers {
        worker.says(hearing).await;
        worker.end(Signal::TERM).await;
    }
}

#[tokio::test]
async fn workers_end_jobs_through_a_pooler_and_hear_around_it() {
    let test = TestDb::new().await;
    let Some(pooler) = Pooler::start(&test).await else { return };
    let through = pooler.url(&test.url);
    let settings = [("DATABASE_URL", through.expose()), ("DATABASE_POOLER", "transaction"), ("DATABASE_LISTEN_URL", test.url.expose())];
    workers_end(&test, 6, &settings, "listening for notifications").await;
}

#[tokio::test]
async fn workers_that_hear_nothing_say_so_and_end_jobs_all_the_same() {
    let test = TestDb::new().await;
    let settings = [("DATABASE_URL", test.url.expose()), ("DATABASE_LISTEN_URL", "postgres://codeteam@127.0.0.1:1/none")];
    workers_end(&test, 3, &settings, "notifications are not heard").await;
}
