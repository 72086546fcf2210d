//! Figures: for CloudWatch on standard output, for Prometheus at a port.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::wait::until;
use process::Signal;
use serde_json::{Value, json};
use testkit::client as http;

use crate::crash::scene::{STEPS, Scene, Wait};

/// AWS's schema of the format, as its specification prints it
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
fn schema() -> Value {
    json!({
        "type": "object", "required": ["_aws"],
        "properties": { "_aws": {
            "type": "object", "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": { "type": "integer" },
                "CloudWatchMetrics": { "type": "array", "items": {
                    "type": "object", "required": ["Namespace", "Dimensions", "Metrics"],
                    "properties": {
                        "Namespace": { "type": "string", "minLength": 1, "maxLength": 1024 },
                        "Dimensions": { "type": "array", "minItems": 1, "items": {
                            "type": "array", "minItems": 1, "maxItems": 30, "items": { "type": "string", "minLength": 1, "maxLength": 250 },
                        } },
                        "Metrics": { "type": "array", "items": {
                            "type": "object", "required": ["Name"],
                            "properties": {
                                "Name": { "type": "string", "minLength": 1, "maxLength": 1024 },
                                "Unit": { "type": "string", "enum": ["Seconds", "Milliseconds", "Count", "Percent", "Bytes", "None"] },
                            },
                        } },
                    },
                } },
            },
        } },
    })
}

/// What of `value` does not fit `schema`: as much of JSON Schema as AWS's uses.
fn misfits(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |fits: bool, what: &str| {
        if !fits {
            wrong.push(format!("{at}: {what}: {value}"));
        }
    };
    let length = value.as_str().map(str::len).or(value.as_array().map(Vec::len)).unwrap_or_default() as u64;
    for (keyword, wanted) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "type" => expect(
                match wanted.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64(),
                    other => panic!("the schema says {other}"),
                },
                "type",
            ),
            "required" => {
                wanted.as_array().unwrap().iter().for_each(|name| expect(value.get(name.as_str().unwrap()).is_some(), "required"))
            }
            "minLength" | "minItems" => expect(length >= wanted.as_u64().unwrap(), "too short"),
            "maxLength" | "maxItems" => expect(length <= wanted.as_u64().unwrap(), "too long"),
            "enum" => expect(wanted.as_array().unwrap().contains(value), "enum"),
            "properties" | "items" => {}
            other => panic!("the schema says {other}"),
        }
    }
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = value.get(name) {
            wrong.extend(misfits(schema, value, &format!("{at}.{name}")));
        }
    }
    if let Some(schema) = schema.get("items") {
        let items = value.as_array().into_iter().flatten().enumerate();
        wrong.extend(items.flat_map(|(index, value)| misfits(schema, value, &format!("{at}[{index}]"))));
    }
    wrong
}

/// What of a line is wrong by the rules that the specification gives in words: every dimension and every metric that is named has
/// a value at the root of the line, within CloudWatch's limits.
fn breaches(line: &Value) -> Vec<String> {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let mut wrong = Vec::new();
    if line.to_string().len() > 1_000_000 {
        wrong.push("the line is longer than 1 MB".to_owned());
    }
    let now_ms = domain::Clock::now(&domain::SystemClock).unix_timestamp() * 1000;
    let timestamp_ms = line["_aws"]["Timestamp"].as_i64().unwrap();
    if timestamp_ms < now_ms - 14 * DAY_MS || timestamp_ms > now_ms + DAY_MS / 12 {
        wrong.push(format!("the time {timestamp_ms} is too far from now"));
    }
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
            let value = line[dimension.as_str().unwrap()].as_str();
            if value.is_none_or(|value| value.trim().is_empty() || value.len() > 1024 || !value.is_ascii() || value.starts_with(':')) {
                wrong.push(format!("the dimension {dimension} is {value:?}"));
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        if metrics.len() > 100 {
            wrong.push(format!("{} metrics in one directive", metrics.len()));
        }
        for name in metrics.iter().map(|metric| metric["Name"].as_str().unwrap()) {
            // A number, or up to a hundred of them.
            let numbers = line[name].as_array().cloned().unwrap_or_else(|| vec![line[name].clone()]);
            let fits = |number: &Value| number.as_f64().is_some_and(|number| number.is_finite() && number.abs() < 2_f64.powi(360));
            if numbers.is_empty() || numbers.len() > 100 || !numbers.iter().all(fits) {
                wrong.push(format!("the metric {name} is {}", line[name]));
            }
        }
        if directive["Namespace"].as_str().unwrap().starts_with("AWS/") {
            wrong.push("namespaces that begin with AWS/ are AWS's".to_owned());
        }
    }
    wrong
}

#[test]
fn the_schema_finds_what_does_not_fit() {
    let bad = json!({ "_aws": { "Timestamp": "now", "CloudWatchMetrics": [{ "Namespace": "", "Dimensions": [[]], "Metrics": [{ "Unit": "Miles" }] }] } });
    assert_eq!(misfits(&schema(), &bad, "$").len(), 5);
    let metrics = json!([{ "Name": "Depth" }, { "Name": "Nowhere" }, { "Name": "Text" }]);
    let directive = json!({ "Namespace": "AWS/Own", "Dimensions": [["Environment", "Mode"]], "Metrics": metrics });
    let bad = json!({ "_aws": { "Timestamp": 0, "CloudWatchMetrics": [directive] }, "Environment": " ", "Depth": 3, "Text": "3" });
    assert_eq!(breaches(&bad).len(), 6, "{:?}", breaches(&bad));
}

#[tokio::test]
async fn cloudwatch_gets_the_figures_of_each_job_and_of_the_queue() {
    let scene = Scene::new(Wait::Nowhere).await;
    scene.db.execute("insert into budgets (scope, day_limit_microusd) values ('mode:genius', 0)").await;
    scene.db.execute("insert into workers (owner, host, modes, slots, version, seen_at) select gen_random_uuid(), 'h', '{}', 1, '0', now() - age from (values (interval '1 minute'), ('3 minutes')) as seen (age)").await;
    let ran = scene.command(["work", "--until-idle"]).env("METRICS", "emf").env("ENVIRONMENT", "dev").run().await;
    let lines = ran.json_lines();
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for line in &lines {
        assert_eq!(misfits(&schema(), line, "$"), Vec::<String>::new());
        assert_eq!(breaches(line), Vec::<String>::new());
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let (mode, dimensions) = match line["Mode"].as_str() {
            Some(mode) => (mode, json!([["Environment", "Mode"]])),
            None => ("all", json!([["Environment"]])),
        };
        assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("AICodeTeam"), &dimensions));
        assert_eq!(line["Environment"], "dev");
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            let value = &line[name];
            assert!(value.is_f64(), "{name} has no value: {line}");
            told.insert(format!("{mode} {name} {}", metric["Unit"].as_str().unwrap()), value.clone());
        }
    }
    let names: Vec<&str> = told.keys().map(String::as_str).collect();
    let expected = [
        "all BudgetUsedPercent Percent",
        "all QueueDepth Count",
        "all StaleWorkers Count",
        "all StuckJobs Count",
        "genius QueueDepth Count",
        "mechanic JobDuration Milliseconds",
        "mechanic JobFailures Count",
        "mechanic JobSuccesses Count",
        "mechanic QueueDepth Count",
        "mechanic StepsUsed Count",
        "mechanic TokensUsed Count",
    ];
    assert_eq!(names, expected);
    let job = scene.db.value("select jsonb_build_object('tokens', tokens, 'ms', active_ms) from jobs").await;
    let job: Value = serde_json::from_str(&job).unwrap();
    let value = |name: &str| told[name].as_f64();
    assert_eq!((value("mechanic JobSuccesses Count"), value("mechanic JobFailures Count")), (Some(1.0), Some(0.0)));
    assert_eq!(value("mechanic StepsUsed Count"), Some(STEPS as f64));
    assert_eq!((value("all BudgetUsedPercent Percent"), value("all StaleWorkers Count")), (Some(100.0), Some(1.0)));
    assert_eq!(
        (value("mechanic TokensUsed Count"), value("mechanic JobDuration Milliseconds")),
        (job["tokens"].as_f64(), job["ms"].as_f64())
    );
    assert!(!ran.stdout.contains("Greet"), "a job's words are nobody's figure");
}

#[tokio::test]
async fn of_all_processes_one_tells_how_the_deployment_stands_and_another_when_it_has_ended() {
    let scene = Scene::new(Wait::Nowhere).await;
    let work = || scene.command(["work"]).env("METRICS", "emf").env("ENVIRONMENT", "dev").start();
    let first = work();
    first.says("StuckJobs").await;
    let second = work();
    second.says("working on jobs").await;
    // Whoever may tell it does so when it starts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (exit, said) = second.end(Signal::TERM).await;
    assert!(exit.success() && !said.contains("StuckJobs"), "{said}");
    assert!(first.end(Signal::TERM).await.0.success());
    let third = work();
    third.says("StuckJobs").await;
    assert!(third.end(Signal::TERM).await.0.success());
}

#[tokio::test]
async fn without_being_asked_a_worker_prints_no_figures() {
    let scene = Scene::new(Wait::Nowhere).await;
    let ran = scene.command(["work", "--until-idle"]).run().await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(scene.db.value("select count(*) from leaders").await, "0");
    scene.command(["work"]).env("METRICS", "statsd").run().await.expect(2, &[r#"METRICS is "statsd": expected emf"#]);
}

/// The samples of a text in Prometheus's format, by name with labels; panics where it is not one.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut typed = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            assert!(["HELP", "TYPE"].contains(&words[0]) && words.len() == 3, "{line}");
            if words[0] == "TYPE" {
                assert!(["counter", "gauge", "histogram", "summary"].contains(&words[2]), "{line}");
                typed = words[1].to_owned();
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(name.starts_with(&typed), "{line} has no type");
        let value = match value {
            "+Inf" => f64::INFINITY,
            value => value.parse().unwrap_or_else(|error| panic!("{line}: {error}")),
        };
        assert!(samples.insert(name.to_owned(), value).is_none(), "{line} is there twice");
    }
    samples
}

#[tokio::test]
async fn prometheus_reads_what_a_worker_did() {
    let scene = Scene::new(Wait::Nowhere).await;
    let worker = scene.command(["work", "--metrics-listen", "127.0.0.1:0"]).env("CODETEAM_SANDBOX", "seccomp").start();
    let line: Value = serde_json::from_str(&worker.says("figures are at http://").await).unwrap();
    let address = line["message"].as_str().unwrap().split("http://").nth(1).unwrap().trim_end_matches("/metrics").to_owned();
    scene.outcome().await;
    const ENDED: &str = r#"codeteam_jobs_finished_total{mode="mechanic",outcome="succeeded"}"#;
    let read = async || {
        let answer = http::get(&address, "/metrics").await;
        assert!(answer.headers["content-type"].starts_with("text/plain; version=0.0.4"), "{answer:?}");
        let samples = samples(std::str::from_utf8(&answer.body).unwrap());
        samples.contains_key(ENDED).then_some(samples)
    };
    let samples = until("the job is counted", read).await;
    assert_eq!(samples[ENDED], 1.0);
    assert_eq!(samples["codeteam_sandbox_level"], 1.0, "seccomp");
    assert_eq!(samples[r#"codeteam_job_steps_total{mode="mechanic"}"#], STEPS as f64);
    assert_eq!(samples[r#"codeteam_model_call_duration_seconds_count{provider="anthropic"}"#], STEPS as f64);
    assert_eq!(samples[r#"codeteam_queue_wait_seconds_count{mode="mechanic"}"#], 1.0);
    assert_eq!(samples[r#"handler_invocations_total{handler="finalize"}"#], 1.0);
    assert!(
        samples.contains_key(r#"codeteam_queue_depth{mode="genius"}"#)
            && ["codeteam_stale_workers", "codeteam_stuck_jobs", "codeteam_budget_used_percent"].iter().all(|name| samples[*name] == 0.0)
            && samples.contains_key(r#"codeteam_job_active_seconds_bucket{mode="mechanic",le="+Inf"}"#),
        "{samples:?}"
    );
    assert_eq!(http::get(&address, "/").await.status, 404);
    let taken = scene.command(["work", "--metrics-listen", &address]).run().await;
    taken.expect(4, &[&format!("cannot listen on {address}: choose another address with --metrics-listen")]);
    worker.end(Signal::TERM).await;
    assert_eq!(scene.db.value("select count(*) from leaders").await, "0", "its successor need not wait");
}
