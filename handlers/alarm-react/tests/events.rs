//! Every sample event, through the envelopes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::macros::datetime;

use crate::world::{World, alarm, event, events};

const SUFFIXES: [&str; 5] = ["queue-depth", "stale-workers", "stuck-jobs", "database-connections", "budget"];

fn files() -> Vec<String> {
    let files = std::fs::read_dir(events()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.filter(|file| file.starts_with("alarm-")).collect();
    files.sort();
    files
}

#[test]
fn every_alarm_has_a_sample_of_every_envelope_and_every_reaction_an_alarm() {
    let files = files();
    for suffix in SUFFIXES {
        for envelope in ["sns", "eventbridge", "direct"] {
            assert!(files.contains(&format!("alarm-{suffix}-{envelope}.json")), "{suffix} {envelope}");
        }
    }
    let mut reactions: Vec<_> = alarm_react::suffixes().collect();
    reactions.sort_unstable();
    let mut suffixes = SUFFIXES;
    suffixes.sort_unstable();
    assert_eq!(reactions, suffixes);
}

#[tokio::test]
async fn every_sample_is_understood_and_those_of_one_change_are_one() {
    let world = World::new().await;
    let mut answers = BTreeMap::new();
    for file in files() {
        let answer = world.invoke(event(&file)).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        if answer.get("batchItemFailures").is_some() {
            assert_eq!(answer, json!({ "batchItemFailures": [] }), "{file}");
        }
        answers.insert(file, answer);
    }
    let rows = world
        .test
        .value("select string_agg(concat_ws(' ', name, state, reaction, deliveries), E'\\n' order by name, changed_at, key) from alarms");
    let expected = "\
ai-coding-team-prod ALARM budget 1
ai-coding-team-prod ALARM budget 1
ai-coding-team-prod ALARM budget 1
ai-coding-team-prod-budget ALARM budget 3
ai-coding-team-prod-cpu ALARM unknown 1
ai-coding-team-prod-database-connections ALARM database-connections 3
ai-coding-team-prod-queue-depth ALARM queue-depth 3
ai-coding-team-prod-queue-depth OK queue-depth 1
ai-coding-team-prod-queue-depth INSUFFICIENT_DATA queue-depth 1
ai-coding-team-prod-stale-workers ALARM stale-workers 3
ai-coding-team-prod-stuck-jobs ALARM stuck-jobs 3";
    assert_eq!(rows.await, expected);
    assert_eq!(world.test.value("select count(*) from alarms where completed_at is null or problem is not null").await, "0");
    let first = &answers["alarm-queue-depth-direct.json"];
    let again = &answers["alarm-queue-depth-eventbridge.json"];
    assert_eq!((&first["was_done"], &again["was_done"], &first["alarm_id"]), (&json!(false), &json!(true), &again["alarm_id"]));
}

#[tokio::test]
async fn three_ways_of_telling_a_change_tell_the_same() {
    let known = async |envelope: &str| {
        let world = World::new().await;
        world.invoke(event(&format!("alarm-queue-depth-{envelope}.json"))).await.unwrap();
        let change: Value = serde_json::from_str(&world.test.value("select change from alarms").await).unwrap();
        change
    };
    let direct = known("direct").await;
    let expected = json!({
        "name": "ai-coding-team-prod-queue-depth",
        "state": "ALARM",
        "previous": "OK",
        "reason": "Threshold Crossed: 5 out of the last 5 datapoints [63.0 (01/12/25 14:35:00), 61.0 (01/12/25 14:34:00), 58.0 (01/12/25 \
                   14:33:00), 55.0 (01/12/25 14:32:00), 52.0 (01/12/25 14:31:00)] were greater than the threshold (50.0) (minimum 5 \
                   datapoints for OK -> ALARM transition).",
        "changed_at": "2025-12-01T14:36:11.123Z",
        "arn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:ai-coding-team-prod-queue-depth",
        "account": "123456789012",
        "region": "us-east-1",
        "metric": {"namespace": "AICodeTeam", "name": "QueueDepth", "dimensions": {"Environment": "prod"}},
        "value": 63.0,
        "threshold": 50.0,
        "spending": null,
    });
    assert_eq!(direct, expected);
    let sns = known("sns").await;
    assert_eq!(sns, {
        let mut same = expected.clone();
        same["region"] = json!("US East (N. Virginia)");
        same
    });
    let mut eventbridge = expected;
    for unknown in ["arn", "account", "region"] {
        eventbridge[unknown] = Value::Null;
    }
    assert_eq!(known("eventbridge").await, eventbridge);
}

#[tokio::test]
async fn what_is_no_alarm_is_refused_and_goes_back_to_its_queue() {
    let world = World::new().await;
    let refused = world.invoke(json!({ "job_id": 7 })).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("alarm-react request: neither CloudWatch (AlarmName, alarmName or alarmData) nor AWS Budgets"),
        "{refused}"
    );
    let mut strange = alarm("queue-depth", "ALERT", datetime!(2026-11-26 18:00 UTC));
    let refused = world.invoke(strange.clone()).await.unwrap_err().to_string();
    assert_eq!(refused, r#"alarm-react request: NewStateValue is "ALERT": expected OK, ALARM or INSUFFICIENT_DATA"#);
    let mut batch = event("alarm-queue-depth-sns.json");
    let id = batch["Records"][0]["messageId"].clone();
    for body in ["not JSON at all".to_owned(), "{}".to_owned(), strange.take().to_string()] {
        batch["Records"][0]["body"] = json!(body);
        assert_eq!(world.invoke(batch.clone()).await.unwrap(), json!({ "batchItemFailures": [{ "itemIdentifier": id }] }), "{body}");
    }
    assert_eq!(world.test.value("select count(*) from alarms").await, "0");
}

#[tokio::test]
async fn an_alarm_that_nobody_knows_is_told_as_it_is() {
    let world = World::new().await;
    world.invoke(event("alarm-unknown.json")).await.unwrap();
    let [(subject, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert_eq!(subject, "ai-coding-team-prod-cpu: an alarm that is not known went off");
    for part in
        ["93.1", "CPUUtilization of AWS/RDS (DBInstanceIdentifier = ai-coding-team-prod)", "nothing was done", "codeteam alarms show 1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}
