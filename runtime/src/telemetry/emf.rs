//! Figures for CloudWatch in its embedded metric format: a line of JSON on standard output, which the log driver
//! of ECS takes there (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use config::Stage;
use domain::Mode;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::screen;

const NAMESPACE: &str = "AICodeTeam";

/// One figure: its name, unit and value.
pub(super) type Figure = (&'static str, &'static str, f64);

/// Whose figures they are: the dimensions under which they are kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Whose {
    /// The deployment's.
    pub(super) stage: Stage,
    /// Of one mode in it; `None` = of all together.
    pub(super) mode: Option<Mode>,
}

/// Prints `figures`, with `properties` beside them that are searched and not counted.
pub(super) fn print(now: OffsetDateTime, whose: Whose, figures: &[Figure], properties: Map<String, Value>) {
    if let Err(error) = screen::data(true, &line(now, whose, figures, properties), String::new) {
        tracing::warn!("figures cannot be written to standard output: {error}");
    }
}

fn line(now: OffsetDateTime, whose: Whose, figures: &[Figure], properties: Map<String, Value>) -> Value {
    let metrics: Vec<Value> = figures.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = properties;
    for (name, _, value) in figures {
        line.insert((*name).to_owned(), json!(value));
    }
    let mut dimensions = vec!["Environment"];
    line.insert("Environment".to_owned(), json!(whose.stage.name()));
    if let Some(mode) = whose.mode {
        dimensions.push("Mode");
        line.insert("Mode".to_owned(), json!(mode));
    }
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics });
    let timestamp_ms = (now.unix_timestamp_nanos() / 1_000_000) as i64;
    line.insert("_aws".to_owned(), json!({ "Timestamp": timestamp_ms, "CloudWatchMetrics": [directive] }));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    #[test]
    fn a_line_names_its_figures_and_holds_their_values() {
        let properties = json!({ "job_id": "7" }).as_object().cloned().unwrap();
        let whose = Whose { stage: Stage::Prod, mode: Some(Mode::Genius) };
        let line = line(NOW, whose, &[("QueueDepth", "Count", 3.0)], properties);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_767_225_600_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "AICodeTeam", "Dimensions": [["Environment", "Mode"]], "Metrics": [{ "Name": "QueueDepth", "Unit": "Count" }],
                }],
            },
            "Environment": "prod", "Mode": "genius", "QueueDepth": 3.0, "job_id": "7",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn totals_are_the_deployments() {
        let whose = Whose { stage: Stage::Local, mode: None };
        let line = line(NOW, whose, &[("StuckJobs", "Count", 0.0), ("BudgetUsedPercent", "Percent", 81.5)], Map::new());
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["Environment"]]));
        assert_eq!((&line["Environment"], &line["BudgetUsedPercent"], line.get("Mode")), (&json!("local"), &json!(81.5), None));
    }
}
