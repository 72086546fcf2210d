//! Figures: for CloudWatch on standard output, for Prometheus at a port.

use std::collections::BTreeMap;

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

#[test]
fn the_schema_finds_what_does_not_fit() {
    let bad = json!({ "_aws": { "Timestamp": "now", "CloudWatchMetrics": [{ "Namespace": "", "Dimensions": [[]], "Metrics": [{ "Unit": "Miles" }] }] } });
    assert_eq!(misfits(&schema(), &bad, "$").len(), 5);
}

#[tokio::test]
async fn cloudwatch_gets_the_figures_of_each_job_and_of_the_queue() {
    let scene = Scene::new(Wait::Nowhere).await;
    let ran = scene.command(["work", "--until-idle"]).env("METRICS", "emf").run().await;
    let lines = ran.json_lines();
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for line in &lines {
        assert_eq!(misfits(&schema(), line, "$"), Vec::<String>::new());
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("AICodeTeam"), &json!([["Mode"]])));
        let mode = line["Mode"].as_str().unwrap();
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            let value = &line[name];
            assert!(value.is_f64(), "{name} has no value: {line}");
            told.insert(format!("{mode} {name} {}", metric["Unit"].as_str().unwrap()), value.clone());
        }
    }
    let names: Vec<&str> = told.keys().map(String::as_str).collect();
    let expected = [
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
    assert_eq!(
        (value("mechanic TokensUsed Count"), value("mechanic JobDuration Milliseconds")),
        (job["tokens"].as_f64(), job["ms"].as_f64())
    );
    assert!(!ran.stdout.contains("Greet"), "a job's words are nobody's figure");
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
    let worker = scene.command(["work", "--metrics-listen", "127.0.0.1:0"]).start();
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
    assert_eq!(samples[r#"codeteam_job_steps_total{mode="mechanic"}"#], STEPS as f64);
    assert_eq!(samples[r#"codeteam_model_call_duration_seconds_count{provider="anthropic"}"#], STEPS as f64);
    assert_eq!(samples[r#"codeteam_queue_wait_seconds_count{mode="mechanic"}"#], 1.0);
    assert_eq!(samples[r#"handler_invocations_total{handler="finalize"}"#], 1.0);
    assert!(
        samples.contains_key(r#"codeteam_queue_depth{mode="genius"}"#)
            && samples.contains_key(r#"codeteam_job_active_seconds_bucket{mode="mechanic",le="+Inf"}"#),
        "{samples:?}"
    );
    assert_eq!(http::get(&address, "/").await.status, 404);
    let taken = scene.command(["work", "--metrics-listen", &address]).run().await;
    taken.expect(4, &[&format!("cannot listen on {address}: choose another address with --metrics-listen")]);
    worker.end(Signal::TERM).await;
    assert_eq!(scene.db.value("select count(*) from leaders").await, "0", "its successor need not wait");
}
