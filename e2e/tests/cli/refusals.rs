//! What cannot be done is said in a sentence that names the thing and what to do, with the exit code that means it.

use e2e::{Codeteam, Repository};
use serde_json::json;
use testkit::TestDb;

use super::{SECRET, call, done, run_on, script, with_secrets};

/// A URL of a database at which nobody listens, with a password in it.
fn nowhere() -> String {
    format!("postgres://codeteam:{SECRET}@127.0.0.1:1/codeteam")
}

#[tokio::test]
async fn every_command_without_a_database_says_how_to_get_one() {
    let event = e2e::root().join("events/claim.json");
    let invoke = ["invoke", "claim", event.to_str().unwrap()];
    let commands: [&[&str]; 9] = [
        &["jobs"],
        &["show", "1"],
        &["watch", "1"],
        &["stop", "1"],
        &["retry", "1"],
        &["ledger", "verify"],
        &["work"],
        &["serve"],
        &invoke,
    ];
    for command in commands {
        with_secrets(Codeteam::new(command)).await.expect(4, &["DATABASE_URL is not set", "codeteam up"]);
    }
    with_secrets(Codeteam::new(["migrate"])).await.expect(4, &["DATABASE_URL is not set"]);
}

#[tokio::test]
async fn a_database_that_nobody_answers_for_is_the_environments_fault() {
    let repository = Repository::of(&[("a", "1")]).await;
    let script = script(&[call("list_files", json!({ "path": "." }))]);
    let commands = [Codeteam::new(["jobs"]), Codeteam::new(["migrate"]), Codeteam::new(["doctor"]), run_on(&repository, &script)];
    let calls = commands.map(|command| with_secrets(command.env("DATABASE_URL", nowhere())));
    let [jobs, migrate, doctor, run] = calls;
    let (jobs, migrate, doctor, run) = tokio::join!(jobs, migrate, doctor, run);
    for ran in [jobs, migrate, doctor, run] {
        ran.expect(4, &["database"]);
    }
}

#[tokio::test]
async fn an_older_schema_names_the_command_that_brings_it_up_to_date() {
    let db = TestDb::new().await;
    db.execute("drop schema public cascade").await;
    db.execute("create schema public").await;
    let url = db.url.expose();
    for command in [&["jobs"][..], &["work", "--until-idle"], &["doctor"]] {
        with_secrets(Codeteam::new(command).on(url)).await.expect(4, &["older than this program", "codeteam migrate"]);
    }
    Codeteam::new(["migrate"]).on(url).run().await.expect(0, &["up to date"]);
    Codeteam::new(["jobs"]).on(url).run().await.expect(0, &["no jobs yet"]);

    db.execute("insert into _sqlx_migrations values (99999, 'later', now(), true, '', 0)").await;
    // A newer release has been here: this one still works while it is replaced.
    Codeteam::new(["jobs"]).on(url).run().await.expect(0, &["no jobs yet"]);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_wrong_usage() {
    let db = TestDb::new().await;
    for command in [&["show"][..], &["watch"], &["stop"], &["retry"], &["ledger", "show"], &["ledger", "verify"], &["jobs", "--before"]] {
        let ran = with_secrets(Codeteam::new([command, &["0badc0de"]].concat()).on(db.url.expose())).await;
        ran.expect(2, &["no job", "0badc0de"]);
    }
}

#[tokio::test]
async fn what_is_no_repository_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    with_secrets(Codeteam::new(["run", path, "Fix it"])).await.expect(2, &[path, "is not a git repository", "git init"]);
    with_secrets(Codeteam::new(["run", "/no/such/place", "Fix it"])).await.expect(2, &["/no/such/place"]);
}

#[tokio::test]
async fn a_repository_without_commits_is_refused_with_a_sentence() {
    let (db, repository) = (TestDb::new().await, Repository::empty().await);
    let script = script(&[call("list_files", json!({ "path": "." }))]);
    let path = repository.path.to_str().unwrap();
    with_secrets(run_on(&repository, &script).on(db.url.expose())).await.expect(2, &[path, "has no commits"]);
    assert_eq!(db.value("select count(*) from jobs").await, "0");

    done(&db, &repository, &[], &[]).await;
    let ended = db.value("select outcome || ': ' || (outcome_detail ->> 'cause') from jobs").await;
    assert!(ended.starts_with("failed: ") && ended.contains("has no commits"), "{ended}");
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_answered_with_the_nearest_that_does() {
    let repository = Repository::of(&[("a", "1")]).await;
    let path = repository.path.to_str().unwrap();
    let ran = with_secrets(Codeteam::new(["run", path, "Fix it", "--model", "claude-haiku-45"])).await;
    ran.expect(2, &["\"claude-haiku-45\"", "claude-haiku-4-5"]);
}

#[tokio::test]
async fn a_model_without_its_key_names_the_key() {
    let repository = Repository::of(&[("a", "1")]).await;
    let path = repository.path.to_str().unwrap();
    for model in [&["--model", "claude-haiku-4-5"][..], &[]] {
        let ran = Codeteam::new([&["run", path, "Fix it"], model].concat()).run().await;
        ran.expect(4, &["ANTHROPIC_API_KEY"]);
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_used_is_named_with_the_place() {
    let repository = Repository::of(&[("a", "1")]).await;
    let path = repository.path.to_str().unwrap();
    let missing = with_secrets(Codeteam::new(["run", path, "Fix it", "--script", "/no/replies.json"])).await;
    missing.expect(4, &["/no/replies.json", "No such file"]);

    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(broken.path(), "{\n  \"name\": \"x\",\n  \"replys\": []\n}\n").unwrap();
    let file = broken.path().to_str().unwrap();
    let ran = with_secrets(Codeteam::new(["run", path, "Fix it", "--script", file])).await;
    ran.expect(4, &[file, "replys", "line 3"]);
}

#[tokio::test]
async fn a_wrong_word_on_the_command_line_is_wrong_usage() {
    for (arguments, said) in [
        (&["run", ".", "x", "--budget", "0"][..], "expected an amount of US dollars above 0"),
        (&["run", ".", "x", "--mode", "wizard"], "expected mechanic or genius"),
        (&["run", ".", "x", "--script", "a", "--model", "b"], "cannot be used with"),
        (&["run", "."], "<TASK>"),
        (&["up", "--listen", "0.0.0.0:80"], "loopback"),
        (&["work", "--slots", "0"], "1..=1024"),
        (&["jobz"], "jobs"),
        (&["completions", "csh"], "bash"),
    ] {
        with_secrets(Codeteam::new(arguments)).await.expect(2, &[said]);
    }
    for (name, value, said) in [("MODE", "wizard", "MODE is \"wizard\""), ("STEP_CAP", "0", "STEP_CAP is \"0\"")] {
        with_secrets(Codeteam::new(["jobs"]).env(name, value)).await.expect(2, &[said]);
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_used_is_wrong_usage() {
    let db = TestDb::new().await;
    let url = db.url.expose();
    let event = |text: &str| Codeteam::new(["invoke", "enqueue", "-"]).stdin(text).on(url);
    with_secrets(event("{\"repository\":")).await.expect(2, &["is not JSON", "line 1 column"]);
    with_secrets(event("{\"repository\":\"acme\",\"input\":{\"title\":\"x\"}}")).await.expect(2, &["acme", "\"errorType\": \"Invalid\""]);
    with_secrets(event("{\"repository\":\"a/b\",\"input\":{\"title\":\"x\"},\"moed\":1}")).await.expect(2, &["moed"]);
    let unknown = Codeteam::new(["invoke", "enqueu", "-"]).stdin("{}").on(url);
    with_secrets(unknown)
        .await
        .expect(2, &["no handler \"enqueu\"", "alarm-react, claim, command, converse, enqueue, finalize, scale, step, triage"]);
    let missing = Codeteam::new(["invoke", "enqueue", "/no/event.json"]).on(url);
    with_secrets(missing).await.expect(2, &["/no/event.json"]);
}
