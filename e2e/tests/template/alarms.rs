//! The five alarms, what they watch, and the ways on which a change of one becomes a reaction.

use std::collections::{BTreeMap, BTreeSet};

use e2e::root;
use serde_json::{Value, json};

use super::{Resource, Template, list};

/// Each alarm's name without its environment, which is the name of its reaction.
const SUFFIXES: [&str; 5] = ["budget", "database-connections", "queue-depth", "stale-workers", "stuck-jobs"];

#[tokio::test]
async fn alarms_are_the_five_of_the_architecture_with_its_thresholds() {
    for (template, environment, connections) in [(Template::prod().await, "prod", 80), (Template::dev().await, "dev", 16)] {
        let own = json!([{ "Name": "Environment", "Value": environment }]);
        let server = json!([{ "Name": "DBInstanceIdentifier", "Value": "${Database}" }]);
        let row = |metric: &str, namespace: &str, dimensions: &Value, above: u64, seconds: u64| {
            let watched = json!({ "metric": metric, "namespace": namespace, "dimensions": dimensions });
            json!({ "watched": watched, "above": above, "seconds": seconds, "missing": "notBreaching" })
        };
        let expected: BTreeMap<String, Value> = [
            ("queue-depth", row("QueueDepth", "AICodeTeam", &own, 50, 300)),
            // These two figures count what has lasted for 2 and for 10 minutes already.
            ("stale-workers", row("StaleWorkers", "AICodeTeam", &own, 0, 60)),
            ("stuck-jobs", row("StuckJobs", "AICodeTeam", &own, 0, 60)),
            ("database-connections", row("DatabaseConnections", "AWS/RDS", &server, connections, 300)),
            ("budget", row("BudgetUsedPercent", "AICodeTeam", &own, 80, 60)),
        ]
        .map(|(suffix, row)| (format!("ai-coding-team-{environment}-{suffix}"), row))
        .into();
        let found: BTreeMap<String, Value> =
            template.all("AWS::CloudWatch::Alarm").map(|alarm| (alarm.text("/AlarmName"), shown(alarm))).collect();
        assert_eq!(found, expected);
        let settings = template.referred(&template.get("Database").text("/DBParameterGroupName"));
        assert_eq!(settings.number("/Parameters/max_connections") * 80 / 100, connections);
    }
}

fn shown(alarm: &Resource) -> Value {
    assert_eq!(alarm.text("/ComparisonOperator"), "GreaterThanThreshold");
    assert_eq!(alarm.text("/DatapointsToAlarm"), alarm.text("/EvaluationPeriods"));
    json!({
        "watched": {
            "metric": alarm.properties["MetricName"],
            "namespace": alarm.properties["Namespace"],
            "dimensions": alarm.properties["Dimensions"],
        },
        "above": alarm.properties["Threshold"],
        "seconds": alarm.number("/Period") * alarm.number("/EvaluationPeriods"),
        "missing": alarm.properties["TreatMissingData"],
    })
}

#[tokio::test]
async fn every_alarm_has_a_reaction_and_every_reaction_an_alarm() {
    for (template, environment) in [(Template::prod().await, "prod"), (Template::dev().await, "dev")] {
        let start = format!("ai-coding-team-{environment}-");
        let alarms: BTreeSet<String> = template
            .all("AWS::CloudWatch::Alarm")
            .map(|alarm| alarm.text("/AlarmName").strip_prefix(&start).expect("alarms are named by their environment").to_owned())
            .collect();
        assert_eq!(alarms, SUFFIXES.map(str::to_owned).into());
    }
    let reactions = root().join("handlers/alarm-react/src/reactions");
    let files = std::fs::read_dir(&reactions).unwrap_or_else(|error| panic!("{}: {error}", reactions.display()));
    let files: BTreeSet<String> = files
        .map(|entry| entry.expect("a folder can be listed").file_name().to_string_lossy().replace('_', "-"))
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "mod" && name != "unknown")
        .collect();
    assert_eq!(files, SUFFIXES.map(str::to_owned).into(), "a reaction is a file of its own, and answers alarms with its name");
}

#[tokio::test]
async fn a_change_of_an_alarm_reaches_the_queue_that_the_dashboard_reads_by_two_ways() {
    for template in [Template::prod().await, Template::dev().await] {
        assert_eq!(dead_ends(&template), Vec::<String>::new());
    }
}

/// What breaks the ways from alarms to the handler, or would make a circle of them.
pub(super) fn dead_ends(template: &Template) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut want = |is: bool, what: String| {
        if !is {
            wrong.push(what);
        }
    };
    for alarm in template.all("AWS::CloudWatch::Alarm") {
        want(list(&alarm.properties["AlarmActions"]) == ["${AlarmTopic}"], format!("{} tells nobody", alarm.name));
    }
    let to_queue = template.all("AWS::SNS::Subscription").find(|one| one.text("/Protocol") == "sqs");
    let route = to_queue.map(|one| (one.text("/TopicArn"), one.text("/Endpoint")));
    want(route == Some(("${AlarmTopic}".to_owned(), "${AlarmQueue.Arn}".to_owned())), format!("the topic leads to {route:?}"));
    let rule = template.get("AlarmChanges");
    want(rule.text("/Targets/0/Arn") == "${AlarmQueue.Arn}", "the rule leads elsewhere".to_owned());
    want(
        rule.properties["EventPattern"]["detail-type"] == json!(["CloudWatch Alarm State Change"]),
        "the rule hears something else".to_owned(),
    );
    // The queue lets in exactly these two, by their names.
    let policy = template.get("AlarmQueuePolicy").properties["PolicyDocument"]["Statement"].clone();
    let rule_arn = format!("arn:aws:events:us-east-1:123456789012:rule/{}", rule.text("/Name"));
    let let_in: Vec<String> =
        policy.as_array().into_iter().flatten().flat_map(|one| list(&one["Condition"]["ArnEquals"]["aws:SourceArn"])).collect();
    want(let_in == ["${AlarmTopic}".to_owned(), rule_arn], format!("the queue lets in {let_in:?}"));
    let environment = template.get("DashboardTask").environment(0);
    want(environment["ALARM_QUEUE_URL"] == "${AlarmQueue}", "the dashboard reads another queue".to_owned());
    // What people are told must not come back as an alarm.
    want(environment["ALARM_TOPIC_ARN"] == "${NotificationTopic}", "notices become alarms".to_owned());
    let subscribers = template.get("Budget").properties["NotificationsWithSubscribers"].as_array().cloned().unwrap_or_default();
    want(
        !subscribers.is_empty() && subscribers.iter().all(|one| one["Subscribers"][0]["Address"] == "${AlarmTopic}"),
        "the budget tells nobody".to_owned(),
    );
    wrong
}

#[tokio::test]
async fn aws_budgets_tells_at_eighty_percent_and_at_all_of_what_the_account_may_cost_in_a_month() {
    for template in [Template::prod().await, Template::dev().await] {
        let budget = template.get("Budget");
        let limit = json!({ "Amount": budget.number("/Budget/BudgetLimit/Amount"), "Unit": budget.text("/Budget/BudgetLimit/Unit") });
        assert_eq!(limit, json!({ "Amount": 250, "Unit": "USD" }));
        assert_eq!([budget.text("/Budget/TimeUnit"), budget.text("/Budget/BudgetType")], ["MONTHLY", "COST"]);
        let told: Vec<&Value> =
            budget.properties["NotificationsWithSubscribers"].as_array().into_iter().flatten().map(|one| &one["Notification"]).collect();
        let at = |percent: u32| {
            json!({
                "NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": percent, "ThresholdType": "PERCENTAGE",
            })
        };
        assert_eq!(told, [&at(80), &at(100)]);
    }
}

#[tokio::test]
async fn the_dashboard_of_figures_shows_every_metric_of_the_architecture() {
    let template = Template::prod().await;
    let body: Value = serde_json::from_str(&template.get("Dashboard").text("/DashboardBody")).expect("the body is JSON");
    let mut shown = BTreeSet::new();
    for widget in body["widgets"].as_array().expect("widgets") {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten().filter(|metric| metric[0] == "AICodeTeam") {
            shown.insert(metric[1].as_str().expect("a name").to_owned());
            assert_eq!((&metric[2], &metric[3]), (&json!("Environment"), &json!("prod")), "{metric}");
        }
    }
    let of_the_architecture = ["JobDuration", "JobSuccesses", "JobFailures", "TokensUsed", "StepsUsed", "QueueDepth"];
    let expected = of_the_architecture.into_iter().chain(["StaleWorkers", "StuckJobs", "BudgetUsedPercent"]).map(str::to_owned);
    assert_eq!(shown, expected.collect());
}
