//! What commands print for programs and for people.

use e2e::{Codeteam, Repository};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::model::{Answer, ModelStub};

use super::{SECRET, call, done, with_secrets};

#[tokio::test]
async fn the_help_lists_every_command_with_the_exit_codes() {
    let help = Codeteam::new(["--help"]).run().await;
    let commands = [
        "demo",
        "run",
        "up",
        "serve",
        "work",
        "invoke",
        "migrate",
        "jobs",
        "show",
        "watch",
        "hint",
        "schedule",
        "workers",
        "stop",
        "retry",
        "ledger",
        "cost",
        "budget",
        "retention",
        "doctor",
        "completions",
    ];
    for command in commands {
        help.expect(0, &[&format!("\n  {command} ")]);
        Codeteam::new([command, "--help"]).run().await.expect(0, &["Usage: codeteam", command]);
    }
    help.expect(0, &["0 ok, 1 a job failed, 2 wrong usage, 3 a cap or budget was reached, 4 the environment"]);
    assert_eq!(Codeteam::new(["--version"]).run().await.stdout.trim(), "codeteam 0.1.0");
}

#[tokio::test]
async fn shells_get_completions() {
    for (shell, words) in [("bash", "_codeteam()"), ("zsh", "#compdef codeteam"), ("fish", "complete -c codeteam")] {
        let ran = Codeteam::new(["completions", shell]).run().await;
        ran.expect(0, &[words, "ledger"]);
    }
}

#[tokio::test]
async fn data_is_json_where_it_is_asked_for() {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("a.txt", "one\n")]).await);
    let replies =
        [call("list_files", json!({ "path": "." })), call("finish", json!({ "title": "Look", "summary": "Seen.", "confidence": "low" }))];
    let job_id = &*done(&db, &repository, &replies, &[]).await;
    let codeteam = async |arguments: &[&str]| Codeteam::new([arguments, &["--json"]].concat()).on(db.url.expose()).run().await;

    let jobs = codeteam(&["jobs"]).await.json_lines();
    assert_eq!((jobs.len(), jobs[0]["job_id"].as_str(), jobs[0]["state"].as_str()), (1, Some(job_id), Some("succeeded")), "{jobs:?}");
    let shown = codeteam(&["show", &job_id[30..]]).await.json(0);
    assert_eq!(shown["job"]["job_id"], job_id, "a job can be named by the end of its id");
    let watched = codeteam(&["watch", job_id]).await.json_lines();
    assert_eq!((&watched[0]["kind"], &watched.last().unwrap()["kind"]), (&json!("enqueued"), &json!("finalized")));
    assert_eq!(Value::from(watched), shown["events"], "watch tells what show shows");
    let entries = codeteam(&["ledger", "show", job_id]).await.json_lines();
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["reserved", "settled", "reserved", "settled"]);
    let verified = codeteam(&["ledger", "verify", job_id]).await.json(0);
    assert_eq!(verified, json!({ "jobs": 1, "rows": 4, "anchors": 0, "retired": [], "faults": [], "anchor_faults": [] }));

    let retried = codeteam(&["retry", job_id, "--mode", "genius"]).await.json(0);
    assert_eq!(retried["retry_of"], job_id);
    let again = retried["job_id"].as_str().unwrap();
    assert_eq!(codeteam(&["stop", again]).await.json(0), json!({ "job_id": again, "stop": "requested" }));
    assert_eq!(codeteam(&["jobs", "--limit", "1"]).await.json_lines().len(), 1);
    assert_eq!(codeteam(&["jobs", "--before", again]).await.json_lines()[0]["job_id"], job_id);

    db.execute("alter table ledger disable trigger user").await;
    db.execute("update ledger set cost_microusd = cost_microusd + 1 where seq = 2").await;
    let broken = codeteam(&["ledger", "verify"]).await.json(1);
    assert_eq!((&broken["faults"][0]["job_id"], &broken["faults"][0]["seq"]), (&json!(job_id), &json!(2)), "{broken}");
}

#[tokio::test]
async fn people_get_the_same_as_text() {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("a.txt", "one\n")]).await);
    let replies = [call("finish", json!({ "title": "Look", "summary": "Seen.", "confidence": "low" }))];
    let job_id = &*done(&db, &repository, &replies, &[]).await;
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    codeteam(&["jobs"]).await.expect(0, &["JOB", "STATE", &job_id[24..], "succeeded", "Do something"]);
    codeteam(&["show", job_id]).await.expect(0, &[job_id, "Look", "finalized"]);
    codeteam(&["ledger", "show", job_id]).await.expect(0, &["reserved", "settled", "scripted", "paid: $"]);
}

#[tokio::test]
async fn the_doctor_says_what_is_there_and_what_to_do_about_the_rest() {
    let checks = |said: Value| -> Vec<(String, String)> {
        let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
        said.as_array().unwrap().iter().map(|check| (text(check, "what"), text(check, "state"))).collect()
    };
    let state = |said: &[(String, String)], what: &str| said.iter().find(|(name, _)| name == what).map(|(_, state)| state.clone());
    let nothing = checks(Codeteam::new(["doctor", "--json"]).run().await.json(0));
    for (what, expected) in [
        ("git", "ok"),
        ("python3", "ok"),
        ("database", "missing"),
        ("codeteam up", "missing"),
        ("mechanic model", "missing"),
        ("webhooks", "missing"),
        ("state", "ok"),
    ] {
        assert_eq!(state(&nothing, what).as_deref(), Some(expected), "{what} in {nothing:?}");
    }
    let db = TestDb::new().await;
    let everything = checks(with_secrets(Codeteam::new(["doctor", "--offline", "--json"]).on(db.url.expose())).await.json(0));
    for what in ["database", "mechanic model", "genius model", "webhooks"] {
        assert_eq!(state(&everything, what).as_deref(), Some("ok"), "{what} in {everything:?}");
    }
    let script = super::script(&[]);
    let named = |model: &str| Codeteam::new(["doctor", "--offline", "--json"]).env("MODEL", model).env("CODETEAM_SCRIPT", script.path());
    let (known, unknown) = (checks(named("scripted").run().await.json(0)), checks(named("skripted").run().await.json(4)));
    for what in ["mechanic model", "genius model"] {
        assert_eq!((state(&known, what).as_deref(), state(&unknown, what).as_deref()), (Some("ok"), Some("bad")), "{what}");
    }
    let empty = tempfile::tempdir().unwrap();
    let ran = with_secrets(Codeteam::new(["doctor", "--offline"]).env("PATH", empty.path())).await;
    ran.expect(4, &["PROBLEM  git", "apt-get install git"]);
    let bad = with_secrets(Codeteam::new(["doctor", "--offline"]).env("DATABASE_URL", format!("{SECRET}://x"))).await;
    bad.expect(4, &["PROBLEM  database"]);
}

#[tokio::test]
async fn the_doctor_asks_each_provider_for_a_word() {
    let model = ModelStub::start([Answer { text: "Yes.".to_owned(), calls: Vec::new() }]).await;
    let doctor = |key: &str, url: &str| Codeteam::new(["doctor"]).env("ANTHROPIC_API_KEY", key).env("ANTHROPIC_BASE_URL", url);
    let (ok, refused, away) = tokio::join!(
        doctor(ModelStub::KEY, &model.url()).run(),
        doctor(SECRET, &model.url()).run(),
        doctor(SECRET, "http://127.0.0.1:1").run()
    );
    ok.expect(0, &["ok       anthropic      claude-haiku-4-5 answers: 100 tokens in, 20 out"]);
    refused.expect(4, &["PROBLEM  anthropic", "x-api-key"]);
    away.expect(4, &["PROBLEM  anthropic", "cannot reach anthropic at http://127.0.0.1:1", "check the network"]);
    assert_eq!(model.calls(), [1]);
}

#[tokio::test]
async fn a_server_of_ones_own_is_a_row_and_a_bad_row_is_named() {
    let rows = tempfile::NamedTempFile::new().unwrap();
    let row = "[[provider]]\nname = \"gateway\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkey_setting = \"GATEWAY_KEY\"\n";
    let doctor = || Codeteam::new(["doctor"]).env("CODETEAM_MODELS", rows.path());
    std::fs::write(rows.path(), row).unwrap();
    doctor().run().await.expect(4, &["PROBLEM  models", "GATEWAY_KEY is not set", "gateway"]);
    doctor().env("GATEWAY_KEY", SECRET).run().await.expect(4, &["PROBLEM  gateway", "it has no model: add a [[model]] row"]);
    std::fs::write(rows.path(), format!("{row}\n[[model]]\nname = \"m\"\n")).unwrap();
    doctor().run().await.expect(4, &["PROBLEM  models", &format!("{}:6: missing field", rows.path().display())]);
}
