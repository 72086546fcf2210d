//! A job that does not succeed ends all the same: in a named state, with its ledger whole.

use e2e::{Codeteam, Repository, wait};
use serde_json::{Value, json};
use testkit::TestDb;

use super::{call, done, run_on, script};

/// Runs the replies and gives how the job ended, after a look at the ledger and at what `watch` says of it.
async fn ended(replies: &[Value], settings: &[(&str, &str)], code: i32) -> Value {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("a.txt", "one\n")]).await);
    let job_id = done(&db, &repository, replies, settings).await;
    Codeteam::new(["watch", &job_id]).on(db.url.expose()).run().await.expect(code, &["codeteam: the job "]);
    let shown = Codeteam::new(["show", &job_id, "--json"]).on(db.url.expose()).run().await.json(0);
    let result = shown["job"]["finished"].clone();
    let verified = Codeteam::new(["ledger", "verify", "--json"]).on(db.url.expose()).run().await.json(0);
    assert_eq!(verified["faults"], json!([]), "{verified}");
    let open = "select count(*) filter (where kind = 'reserved') - count(*) filter (where kind <> 'reserved') from ledger";
    assert_eq!(db.value(open).await, "0", "every reservation is settled or released");
    assert_eq!(db.value("select count(*) from queue").await, "0", "a finished job has no queue row");
    let kept = db.value("select outcome from jobs").await;
    assert_eq!(result["outcome"], kept, "{result}");
    result
}

fn echoes(count: usize) -> Vec<Value> {
    (0..count).map(|number| call("shell", json!({ "command": format!("echo {}", "x".repeat(number + 1)) }))).collect()
}

#[tokio::test]
async fn a_model_that_never_finishes_is_stopped_at_the_cap_on_steps() {
    let result = ended(&echoes(25), &[], 3).await;
    assert_eq!(
        (&result["outcome"], &result["cap"], &result["spent"]["steps"]),
        (&json!("capped"), &json!("steps"), &json!(20)),
        "{result}"
    );
}

#[tokio::test]
async fn a_cap_that_the_environment_lowers_holds() {
    let result = ended(&echoes(5), &[("STEP_CAP", "2")], 3).await;
    assert_eq!((&result["cap"], &result["spent"]["steps"]), (&json!("steps"), &json!(2)), "{result}");
    let result = ended(&echoes(5), &[("TOKEN_CAP", "100")], 3).await;
    assert_eq!((&result["cap"], &result["spent"]["steps"]), (&json!("tokens"), &json!(0)), "{result}");
    let result = ended(&echoes(5), &[("COST_CAP_MICROUSD", "1")], 3).await;
    assert_eq!((&result["cap"], &result["spent"]["cost_microusd"]), (&json!("money"), &json!(0)), "{result}");
}

#[tokio::test]
async fn a_test_command_that_hangs_is_killed_by_the_jobs_clock() {
    let hang = call("shell", json!({ "command": "sleep 601.0425", "timeout_s": 600 }));
    let result = ended(&[hang], &[("TIME_LIMIT_MS", "1500")], 3).await;
    assert_eq!((&result["outcome"], &result["cap"]), (&json!("capped"), &json!("time")), "{result}");
    assert_eq!(wait::processes("sleep 601.0425"), [], "the tool's processes are gone");
}

#[tokio::test]
async fn a_tool_that_nobody_knows_is_answered_and_the_third_time_it_ends() {
    let unknown = call("open_browser", json!({ "url": "https://example.com" }));
    let result = ended(&vec![unknown; 4], &[], 1).await;
    assert_eq!(result["outcome"], "failed");
    assert!(result["cause"].as_str().unwrap().contains("3 steps in a row held only calls that no tool understands"), "{result}");
}

#[tokio::test]
async fn a_script_that_ends_too_early_fails_the_job_by_name() {
    let result = ended(&echoes(1), &[], 1).await;
    assert!(result["cause"].as_str().unwrap().contains("no reply for step 2"), "{result}");
}

#[tokio::test]
async fn a_model_that_only_talks_or_refuses_fails_the_job() {
    let result = ended(&vec![json!({ "text": "I would rather talk." }); 4], &[], 1).await;
    assert!(result["cause"].as_str().unwrap().contains("3 replies in a row without calling a tool"), "{result}");
    let result = ended(&[json!({ "text": "I will not.", "stop": "refusal" })], &[], 1).await;
    assert!(result["cause"].as_str().unwrap().contains("the model refused: I will not."), "{result}");
}

#[tokio::test]
async fn the_exit_code_of_a_run_says_how_its_job_ended() {
    let (db, repository) = (TestDb::new().await, Repository::of(&[("a.txt", "one\n")]).await);
    let run = |replies: &[Value]| {
        let script = script(replies);
        let command = run_on(&repository, &script).on(db.url.expose()).env("STEP_CAP", "2");
        async move { (command.run().await, script).0 }
    };
    let capped = run(&echoes(3)).await;
    assert_eq!(capped.json(3)["result"]["cap"], "steps");
    capped.expect(3, &["codeteam: the job stopped at its cap on steps"]);
    let failed = run(&echoes(1)).await;
    assert_eq!(failed.json(1)["result"]["outcome"], "failed");
    failed.expect(1, &["codeteam: the job failed: "]);
}
