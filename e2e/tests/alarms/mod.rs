//! Alarms from the command line, on a machine without AWS: people are told by the log, and what nobody can do is said.

mod wire;

use e2e::Codeteam;
use serde_json::json;
use testkit::TestDb;

fn event(file: &str) -> String {
    e2e::root().join("events").join(file).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_alarm_is_invoked_on_a_laptop_listed_and_shown() {
    let db = TestDb::new().await;
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    codeteam(&["alarms"]).await.expect(0, &["no alarm was told"]);
    db.execute(
        "insert into workers (owner, host, task_arn, modes, slots, version, seen_at)
         values (gen_random_uuid(), 'rack-7', 'arn:aws:ecs:us-east-1:1:task/t', '{mechanic}', 1, '0.1.0', now() - interval '5 minutes')",
    )
    .await;
    for file in
        ["alarm-queue-depth-direct.json", "alarm-stale-workers-eventbridge.json", "alarm-queue-depth-sns.json", "alarm-queue-depth-ok.json"]
    {
        codeteam(&["invoke", "alarm-react", &event(file)]).await.expect(0, &[]);
    }
    let told = codeteam(&["invoke", "alarm-react", &event("alarm-unknown.json")]).await;
    assert!(told.stderr.contains("nobody is told, since ALARM_TOPIC_ARN is not set"), "{}", told.stderr);
    let listed = codeteam(&["alarms", "--json"]).await.json_lines();
    let rows: Vec<_> = listed.iter().map(|alarm| (&alarm["name"], &alarm["state"], &alarm["deliveries"])).collect();
    let name = |suffix: &str| json!(format!("ai-coding-team-prod-{suffix}"));
    assert_eq!(
        rows,
        [
            (&name("cpu"), &json!("ALARM"), &json!(1)),
            (&name("queue-depth"), &json!("OK"), &json!(1)),
            (&name("stale-workers"), &json!("ALARM"), &json!(1)),
            (&name("queue-depth"), &json!("ALARM"), &json!(2)),
        ]
    );
    let before = listed[1]["alarm_id"].to_string();
    assert_eq!(codeteam(&["alarms", "--limit", "1", "--before", &before, "--json"]).await.json_lines(), [listed[2].clone()]);
    codeteam(&["alarms"])
        .await
        .expect(0, &["WHAT WAS DONE", "ai-coding-team-prod-queue-depth", "could_not_stop, crossed_off, told", "done"]);
    let id = listed[2]["alarm_id"].to_string();
    codeteam(&["alarms", "show", &id]).await.expect(
        0,
        &[
            "ai-coding-team-prod-stale-workers is ALARM since",
            "no workers can be stopped from here: ECS_CLUSTER is not set",
            "on rack-7 was crossed off",
            "aws ecs stop-task",
        ],
    );
    codeteam(&["alarms", "show", &id, "--json"]).await.expect(0, &["\"could_not_stop\""]);
    codeteam(&["alarms", "show", "99"]).await.expect(2, &["no alarm 99: `codeteam alarms` lists those that there are"]);
    let malformed = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(malformed.path(), "{\"job_id\": 7}").unwrap();
    codeteam(&["invoke", "alarm-react", malformed.path().to_str().unwrap()])
        .await
        .expect(2, &["neither CloudWatch", "\"errorType\": \"Invalid\""]);
}
