//! Schedules from outside: made, shown, run by the service, refused.

use e2e::wait::until;
use e2e::{Codeteam, Up};
use process::Signal;
use serde_json::json;
use testkit::TestDb;

fn codeteam(db: &TestDb, arguments: &[&str]) -> Codeteam {
    Codeteam::new(arguments.iter().copied()).on(db.url.expose())
}

const ADD: [&str; 6] = ["schedule", "add", "nightly", "0 3 * * 1-5", "acme/shop", "Update the dependencies\nAll of them."];

#[tokio::test]
async fn a_schedule_is_added_shown_stopped_and_removed() {
    let db = TestDb::new().await;
    let added = codeteam(&db, &[&ADD[..], &["--time-zone", "America/Sao_Paulo", "--json"]].concat()).run().await.json(0);
    assert_eq!(added["job"]["input"], json!({ "title": "Update the dependencies", "body": "All of them." }), "{added}");
    // 03:00 in São Paulo, which has no summer time any more.
    assert!(added["next_run_at"].as_str().unwrap().ends_with("T06:00:00Z"), "{added}");
    codeteam(&db, &["schedule", "list"]).run().await.expect(0, &["nightly", "0 3 * * 1-5", "America/Sao_Paulo", "acme/shop", "T06:00:00Z"]);
    codeteam(&db, &["schedule", "disable", "nightly"]).run().await.expect(0, &["next          disabled"]);
    codeteam(&db, &["schedule", "enable", "nightly"]).run().await.expect(0, &["T06:00:00Z"]);
    let written = codeteam(&db, &["schedule", "run-now", "nightly", "--json"]).run().await.json(0);
    codeteam(&db, &["schedule", "show", "nightly"]).run().await.expect(0, &["missed runs: once", "last  "]);
    let shown = codeteam(&db, &["show", written["job_id"].as_str().unwrap(), "--json"]).run().await.json(0);
    assert_eq!((&shown["job"]["trigger"]["by"], &shown["job"]["trigger"]["name"]), (&json!("schedule"), &json!("nightly")));
    codeteam(&db, &["schedule", "remove", "nightly"]).run().await.expect(0, &["its jobs stay"]);
    codeteam(&db, &["schedule", "list"]).run().await.expect(0, &["no schedules yet"]);
}

#[tokio::test]
async fn what_cannot_be_a_schedule_is_said_with_its_place() {
    let db = TestDb::new().await;
    let add = |cron: &str, more: &[&str]| codeteam(&db, &[&["schedule", "add", "nightly", cron, "acme/shop", "Look"][..], more].concat());
    add("0 25 * * *", &[]).run().await.expect(2, &[r#"cron "0 25 * * *", character 3: the hour "25" must be a number from 0 to 23"#]);
    add("@daily", &["--time-zone", "Mars"]).run().await.expect(2, &[r#"no time zone "Mars""#]);
    add("@daily", &["--missed", "maybe"]).run().await.expect(2, &["expected skip, once or all"]);
    add("@daily", &["--model", "nobody"]).run().await.expect(2, &["nobody"]);
    let bad = codeteam(&db, &["schedule", "add", "nightly", "@daily", "no-owner", "Look"]);
    bad.run().await.expect(2, &["no-owner"]);
    codeteam(&db, &["schedule", "add", "nightly", "@daily", "--job", "-"]).stdin(r#"{"moed": 1}"#).run().await.expect(2, &["moed"]);
    codeteam(&db, &["schedule", "show", "nightly"]).run().await.expect(2, &[r#"no schedule "nightly""#]);
    assert_eq!(db.value("select count(*) from schedules").await, "0");
}

#[tokio::test]
async fn the_service_writes_what_is_due_once_however_many_there_are() {
    let db = TestDb::new().await;
    codeteam(&db, &ADD).run().await.expect(0, &["nightly"]);
    db.execute("update schedules set next_run_at = now() - interval '1 second'").await;
    let (one, other) = tokio::join!(
        Up::start(codeteam(&db, &["serve", "--listen", "127.0.0.1:0"])),
        Up::start(codeteam(&db, &["serve", "--listen", "127.0.0.1:0"])),
    );
    let job_id =
        until("the job is written", async || Some(db.value("select max(job_id::text) from jobs").await).filter(|id| !id.is_empty()));
    let job_id = job_id.await;
    assert_eq!(db.value("select state || ' ' || mode from queue").await, "ready mechanic");
    let due = db.value("select next_run_at > now() and last_job_id::text = (select max(job_id::text) from jobs) from schedules").await;
    assert_eq!(due, "true");
    let (_, said_by_one) = one.running.end(Signal::TERM).await;
    let (_, said_by_other) = other.running.end(Signal::TERM).await;
    let words = format!("schedule nightly wrote job {job_id}");
    assert_eq!([said_by_one, said_by_other].iter().filter(|said| said.contains(&words)).count(), 1);
    assert_eq!(db.value("select count(*) from jobs").await, "1");
}
