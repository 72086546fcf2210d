//! From a metric to what was done about it: every alarm of the template goes off as CloudWatch lets it, and what counts is the
//! database and ECS afterwards, and what people were told.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::Codeteam;
use process::Signal;
use serde_json::{Value, json};
use testkit::Open;

use super::client::{CLOUDWATCH, ECS, SQS, ask, ask_sns, drain, queue_url};
use super::endings;
use super::world::{CLUSTER, Setting, World, quick};

const WORKER: &str = "mechanic-worker";
pub(super) const PREFIX: &str = "ai-coding-team-dev-";
const ACCOUNT: &str = "arn:aws:sns:us-east-1:000000000000";
/// How long a session may be idle within a transaction: five minutes where nobody says otherwise.
const IDLE_SECS: u32 = 20;
/// A queue that hears what people are told.
const PEOPLE: &str = "people";

/// The quick change, whose first step the model thinks about for ten seconds.
fn slow() -> Vec<(&'static str, Value, u64)> {
    let mut replies = quick();
    replies[0].2 = 10_000;
    replies
}

/// What the totals of the environment are published under.
pub(super) fn environment() -> Value {
    json!([{ "Name": "Environment", "Value": "dev" }])
}

/// What is told by SNS to the people of `world` goes into a queue as well.
async fn listen(world: &World) {
    let address = &world.emulator.address;
    ask(address, SQS, "CreateQueue", json!({ "QueueName": PEOPLE })).await;
    let topic = format!("{ACCOUNT}:{PREFIX}notifications");
    let queue = format!("arn:aws:sqs:us-east-1:000000000000:{PEOPLE}");
    ask_sns(address, &[("Action", "Subscribe"), ("TopicArn", &topic), ("Protocol", "sqs"), ("Endpoint", &queue)]).await;
}

/// The row of an alarm, once everything was done about it.
async fn reaction(world: &World, name: &str) -> Value {
    let query = format!(
        "select coalesce((select to_jsonb(alarms) from alarms where name = '{name}' and state = 'ALARM' and completed_at is not null
                          order by alarm_id desc limit 1), 'null')::text"
    );
    let look = async || serde_json::from_str(&world.db.value(&query).await).ok().filter(|row: &Value| !row.is_null());
    world.until(&format!("{name} was reacted to"), look).await
}

/// The actions of a kind among those of `row`.
fn actions<'a>(row: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = row["actions"].as_array().unwrap().iter();
    all.filter(|action| action["action"] == kind).collect()
}

/// What people were told since the last time: subject and text.
pub(super) async fn told(world: &World) -> Vec<(String, String)> {
    let messages = async || Some(drain(&world.emulator.address, PEOPLE).await).filter(|all| !all.is_empty());
    let messages = world.until("people are told", messages).await;
    let read = messages.iter().map(|message| {
        let envelope: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
        (text("Subject"), text("Message"))
    });
    read.collect()
}

/// The figures of EMF lines among what a process printed: namespace, name, dimensions and value.
fn figures(said: &str) -> Vec<(String, String, Value, f64)> {
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line["_aws"].is_object());
    let mut found = Vec::new();
    for line in lines {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            for set in directive["Dimensions"].as_array().unwrap() {
                let dimensions = set.as_array().unwrap().iter().map(|name| json!({ "Name": name, "Value": line[name.as_str().unwrap()] }));
                let dimensions = Value::Array(dimensions.collect());
                for metric in directive["Metrics"].as_array().unwrap() {
                    let name = metric["Name"].as_str().unwrap();
                    let Some(value) = line[name].as_f64() else { continue };
                    found.push((directive["Namespace"].as_str().unwrap().to_owned(), name.to_owned(), dimensions.clone(), value));
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn a_worker_that_froze_is_stopped_and_replaced_and_its_job_goes_on_at_once() {
    let setting = Setting::of(slow());
    let Some(world) = World::start("the alarm of stale workers", setting).await else { return };
    listen(&world).await;
    let job = world.job("mechanic").await;
    let leased = format!("select count(*) from queue where job_id = '{job}' and state = 'leased' and waiting_for is null");
    world.until("it works", async || (world.db.value(&leased).await == "1").then_some(())).await;
    let [frozen] = &world.fleet.tasks(WORKER)[..] else { panic!("one worker: {}", world.told()) };
    world.fleet.signal(WORKER, Signal::STOP);
    // Two minutes pass.
    assert_eq!(world.db.execute("update workers set seen_at = now() - interval '3 minutes' where task_arn is not null and stopped_at is null and modes = '{mechanic}'").await, 1);

    world.metric("AICodeTeam", "StaleWorkers", &environment(), 1.0).await;
    let row = reaction(&world, &format!("{PREFIX}stale-workers")).await;

    let task = ask(&world.emulator.address, ECS, "DescribeTasks", json!({ "cluster": CLUSTER, "tasks": [frozen] })).await;
    assert_eq!(task["tasks"][0]["lastStatus"], "STOPPED", "{task:#}");
    assert_eq!(actions(&row, "stopped_task").len(), 1, "{row:#}");
    let taken = format!(
        "select count(*) from events where job_id = '{job}' and kind = 'lease_expired' and data ->> 'alarm' = '{}'",
        row["alarm_id"]
    );
    assert_eq!(world.db.value(&taken).await, "1", "taken back by the alarm, not by the sweeper half a minute later: {row:#}");
    world.done(1).await;
    let tasks = world.fleet.tasks(WORKER);
    assert!(!tasks.contains(frozen) && tasks.len() == 1, "{tasks:?}: {}", world.told());
    assert_eq!(world.github.at("acme/tally").pulls.len(), 1);
}

#[tokio::test]
async fn every_other_alarm_is_answered_once_whichever_way_and_however_often_it_comes() {
    let environment = vec![("DATABASE_IDLE_SECS", IDLE_SECS.to_string())];
    let setting = Setting { environment, ..Setting::of(slow()) };
    let Some(world) = World::start("the other alarms", setting).await else { return };
    listen(&world).await;
    endings::something_strange_comes(&world).await;
    let _forgotten = idle(&world, "a forgotten report").await;
    a_stuck_job_is_taken_from_its_worker_and_done(&world).await;
    people_hear_what_waits_and_why(&world).await;
    people_hear_who_has_the_connections(&world).await;
    jobs_of_a_genius_wait_when_the_money_is_gone(&world).await;
    a_letter_of_aws_budgets_and_an_alarm_that_nobody_knows_are_told_on(&world).await;
    endings::an_alarm_that_is_over_is_told_and_listed(&world).await;
    endings::what_nobody_understands_is_kept_in_the_dead_letter_queue(&world).await;
    world.nobody_was_hurt();
}

async fn a_stuck_job_is_taken_from_its_worker_and_done(world: &World) {
    let job = world.job("mechanic").await;
    let epoch = format!("select coalesce(max(epoch), 0) from queue where job_id = '{job}' and state = 'leased' and waiting_for is null");
    let before = async || Some(world.db.value(&epoch).await).filter(|epoch| epoch != "0");
    let before: u64 = world.until("it works", before).await.parse().unwrap();
    // A quarter of an hour passes. Nobody but the database's owner can do that.
    let age = format!(
        "do $$ begin set local session_replication_role = replica;
           update events set created_at = created_at - interval '15 minutes' where job_id = '{job}'; end $$"
    );
    world.db.execute(&age).await;
    world.metric("AICodeTeam", "StuckJobs", &environment(), 1.0).await;
    let row = reaction(world, &format!("{PREFIX}stuck-jobs")).await;
    let cause = format!(
        "select count(*) from events where job_id = '{job}' and kind = 'attempt_failed' and data ->> 'alarm' = '{}'",
        row["alarm_id"]
    );
    assert_eq!(world.db.value(&cause).await, "1", "{row:#}");
    let after: u64 = world.db.value(&format!("select epoch from queue where job_id = '{job}'")).await.parse().unwrap();
    assert!(after > before, "{before} and then {after}");
    world.done(1).await;
    let text = told(world).await;
    assert!(text.iter().any(|(subject, text)| subject.contains("stuck-jobs") && text.contains(&job)), "{text:#?}");

    // EventBridge tells the same change once more: it is known.
    let at = format!(
        "select to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"+0000\"') from alarms where alarm_id = {}",
        row["alarm_id"]
    );
    let at = world.db.value(&at).await;
    let again = json!({
        "version": "0", "id": "00000000-0000-4000-8000-000000000000", "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
        "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": [format!("arn:aws:cloudwatch:us-east-1:000000000000:alarm:{PREFIX}stuck-jobs")],
        "detail": {
            "alarmName": format!("{PREFIX}stuck-jobs"),
            "state": { "value": "ALARM", "reason": "Threshold Crossed", "reasonData": "{}", "timestamp": at },
            "previousState": { "value": "OK", "reason": "fine", "timestamp": at },
            "configuration": { "description": "", "metrics": [] },
        },
    });
    let url = queue_url(&world.emulator.address, &format!("{PREFIX}alarms")).await;
    ask(&world.emulator.address, SQS, "SendMessage", json!({ "QueueUrl": url, "MessageBody": again.to_string() })).await;
    let deliveries =
        format!("select sum(deliveries) || ' of ' || count(*) from alarms where name = '{PREFIX}stuck-jobs' and state = 'ALARM'");
    world.until("both ways are one change", async || (world.db.value(&deliveries).await == "2 of 1").then_some(())).await;
}

async fn people_hear_what_waits_and_why(world: &World) {
    let cli = async |words: &[&str]| Codeteam::new(words.iter().copied()).on(world.db.url.expose()).run().await.expect(0, &[]);
    cli(&["pause", "mode:mechanic"]).await;
    for _ in 0..2 {
        world.job("mechanic").await;
    }
    let ready = "select count(*) from queue where state = 'ready' and mode = 'mechanic'";
    world.until("two wait", async || (world.db.value(ready).await == "2").then_some(())).await;
    world.metric("AICodeTeam", "QueueDepth", &environment(), 60.0).await;
    reaction(world, &format!("{PREFIX}queue-depth")).await;
    let all = told(world).await;
    let (subject, text) = all.iter().find(|(subject, _)| subject.contains("queue-depth")).unwrap_or_else(|| panic!("{all:#?}"));
    assert!(text.contains("2 jobs of a mechanic in acme/tally") && text.contains("pause"), "{subject}\n{text}");
    cli(&["resume", "mode:mechanic"]).await;
    world.done(3).await;
}

/// A session that calls itself `name` and does nothing within its transaction.
async fn idle(world: &World, name: &str) -> Open {
    let mut session = world.db.open().await;
    session.execute(&format!("set local application_name = '{name}'")).await;
    session
}

async fn people_hear_who_has_the_connections(world: &World) {
    let pid = async |name: &str| {
        let query = format!("select coalesce((select pid from pg_stat_activity where application_name = '{name}'), 0)");
        world.db.value(&query).await
    };
    let old = pid("a forgotten report").await;
    let waits = format!("select count(*) from pg_stat_activity where pid = {old} and state_change < now() - interval '{IDLE_SECS} s'");
    world.until("it is idle for too long", async || (world.db.value(&waits).await == "1").then_some(())).await;
    let young = idle(world, "a young report").await;
    let instance = json!([{ "Name": "DBInstanceIdentifier", "Value": "ai-coding-team-dev" }]);
    world.metric("AWS/RDS", "DatabaseConnections", &instance, 17.0).await;
    let row = reaction(world, &format!("{PREFIX}database-connections")).await;
    // Whoever forgot its transaction is gone from the server, and nobody else.
    let [ended] = &actions(&row, "ended_session")[..] else { panic!("{row:#}") };
    assert_eq!((ended["pid"].to_string(), &ended["application"]), (old.clone(), &json!("a forgotten report")), "{row:#}");
    world.until("it is gone", async || (pid("a forgotten report").await == "0").then_some(())).await;
    assert_ne!(pid("a young report").await, "0", "{row:#}");
    let all = told(world).await;
    let (subject, text) = all.iter().find(|(subject, _)| subject.contains("database-connections")).unwrap_or_else(|| panic!("{all:#?}"));
    // The instance as RDS describes it, who has sessions, the two that wait within a transaction, and what was done about one of them.
    let ended = format!("- session {old} of ");
    let words =
        ["ai-coding-team-dev", "db.t3.micro", "Who has them:", "(a young report): idle in transaction", "Idle within a transaction:"];
    for words in words.into_iter().chain([&*ended, "(a forgotten report) was ended", "(a young report) for "]) {
        assert!(text.contains(words), "{words:?}: {subject}\n{text}");
    }
    young.end(true).await;
}

/// The service's own figure this time, as it prints it; what the log driver and CloudWatch do with the line is done here.
async fn jobs_of_a_genius_wait_when_the_money_is_gone(world: &World) {
    let spent = async |microusd: u32| {
        let spend = format!(
            "insert into budget_days (scope, day, settled_microusd) values ('mode:genius', (now() at time zone 'UTC')::date, {microusd})
             on conflict (scope, day) do update set settled_microusd = excluded.settled_microusd"
        );
        world.db.execute(&spend).await;
    };
    world.db.execute("insert into budgets (scope, day_limit_microusd) values ('mode:genius', 1000000)").await;
    spent(850_000).await;
    let own = async || {
        let mut found = figures(&world.fleet.all_said()).into_iter();
        found.find(|(_, name, _, value)| name == "BudgetUsedPercent" && (*value - 85.0).abs() < 0.01)
    };
    let (namespace, name, dimensions, value) = world.patient("the service says what is spent", Duration::from_secs(100), own).await;
    world.metric(&namespace, &name, &dimensions, value).await;
    reaction(world, &format!("{PREFIX}budget")).await;
    let gates = "select count(*) from gates where scope = 'mode:genius' and detail ? 'alarm'";
    assert_eq!(world.db.value(gates).await, "0", "85 % close nothing");
    let all = told(world).await;
    assert!(all.iter().any(|(subject, _)| subject.contains("budget")), "{all:#?}");
    alarms_watch_what_is_published(world).await;

    // All of it is gone: the alarm goes off again.
    spent(1_000_000).await;
    let state = json!({ "AlarmName": format!("{PREFIX}budget"), "StateValue": "OK", "StateReason": "a test" });
    ask(&world.emulator.address, CLOUDWATCH, "SetAlarmState", state).await;
    // Changes of an alarm within one second are one change to the emulator, whose clock has whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.metric(&namespace, &name, &dimensions, 100.0).await;
    let closed = async || (world.db.value(gates).await == "1").then_some(());
    world.until("jobs of a genius wait", closed).await;
}

/// Every alarm of ours watches a figure under dimensions under which the service publishes it: the emulator does not look.
async fn alarms_watch_what_is_published(world: &World) {
    let published: BTreeSet<(String, String, String)> =
        figures(&world.fleet.all_said()).into_iter().map(|(space, name, dimensions, _)| (space, name, dimensions.to_string())).collect();
    let alarms = ask(&world.emulator.address, CLOUDWATCH, "DescribeAlarms", json!({ "AlarmNamePrefix": PREFIX })).await;
    let alarms = alarms["MetricAlarms"].as_array().unwrap();
    assert_eq!(alarms.len(), 5);
    for alarm in alarms.iter().filter(|alarm| alarm["Namespace"] == "AICodeTeam") {
        let text = |name: &str| alarm[name].as_str().unwrap().to_owned();
        let watched = (text("Namespace"), text("MetricName"), alarm["Dimensions"].to_string());
        assert!(published.contains(&watched), "{watched:?} is not among {published:#?}");
    }
}

async fn a_letter_of_aws_budgets_and_an_alarm_that_nobody_knows_are_told_on(world: &World) {
    let topic = format!("{ACCOUNT}:{PREFIX}alarms");
    let today = world.db.value("select to_char(now() at time zone 'UTC', 'FMMonth DD, YYYY')").await;
    let letter = format!(
        "AWS Budget Notification {today}\nAWS Account 000000000000\n\nDear AWS Customer,\n\nYou requested that we alert you when the ACTUAL \
         Cost associated with your ai-coding-team-dev budget is greater than $120.00 for the current month. The ACTUAL Cost associated with \
         this budget is $151.10.\n\nBudget Name: ai-coding-team-dev\nBudget Type: Cost\nBudgeted Amount: $150.00\nAlert Type: ACTUAL\n\
         Alert Threshold: > $120.00\nACTUAL Amount: $151.10\n"
    );
    let address = &world.emulator.address;
    let publish = async |subject: &str, text: &str| {
        ask_sns(address, &[("Action", "Publish"), ("TopicArn", &topic), ("Subject", subject), ("Message", text)]).await;
    };
    publish("AWS Budgets: ai-coding-team-dev has exceeded your alert threshold", &letter).await;
    let row = reaction(world, "ai-coding-team-dev").await;
    assert_eq!(row["reaction"], "budget", "{row:#}");
    let gate = "select count(*) from gates where scope = 'mode:genius' and reason = 'budget' and until > now()";
    assert_eq!(world.db.value(gate).await, "1", "{row:#}");
    let all = told(world).await;
    assert!(all.iter().any(|(_, text)| text.contains("ai-coding-team-dev") && text.contains("151.10")), "{all:#?}");
    // A job of a genius is accepted and waits, and nobody is started for it.
    let job = world.job("genius").await;
    let waits = format!("select count(*) from queue where job_id = '{job}' and state = 'ready' and mode = 'genius'");
    world.until("it waits", async || (world.db.value(&waits).await == "1").then_some(())).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((world.db.value(&waits).await, world.desired("genius-worker").await), ("1".to_owned(), 0));

    let unknown = json!({
        "AlarmName": "somebody-elses-alarm", "AlarmDescription": "disk", "AWSAccountId": "000000000000", "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed: 1 datapoint [91.0 (01/01/26 00:00:00)] was greater than the threshold (90.0).",
        "StateChangeTime": "2026-01-01T00:00:00.000+0000", "Region": "US East (N. Virginia)", "OldStateValue": "OK",
        "Trigger": { "MetricName": "DiskUsed", "Namespace": "Somebody", "Dimensions": [] },
    });
    publish("ALARM: \"somebody-elses-alarm\" in US East (N. Virginia)", &unknown.to_string()).await;
    let row = reaction(world, "somebody-elses-alarm").await;
    assert_eq!(row["reaction"], "unknown", "{row:#}");
    let all = told(world).await;
    assert!(all.iter().any(|(subject, text)| format!("{subject}{text}").contains("somebody-elses-alarm")), "{all:#?}");
    // What was done is there for people who type.
    let listed = Codeteam::new(["alarms", "--json"]).on(world.db.url.expose()).run().await.json_lines();
    let names: BTreeSet<&str> = listed.iter().filter_map(|alarm| alarm["name"].as_str()).collect();
    let wanted = ["stuck-jobs", "queue-depth", "database-connections", "budget"].map(|suffix| format!("{PREFIX}{suffix}"));
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).chain(["ai-coding-team-dev", "somebody-elses-alarm"]).collect();
    assert!(names.is_superset(&wanted), "{names:?}");
}
