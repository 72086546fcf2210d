//! The four ways in which an alarm is told, after `dispatch` has opened what SQS, SNS and EventBridge wrap around it:
//!
//! | told by | what is left |
//! | --- | --- |
//! | SNS | CloudWatch's JSON: `AlarmName`, `NewStateValue`, `StateChangeTime`, `Trigger` … |
//! | EventBridge | the event's `detail`: `alarmName`, `state`, `previousState`, `configuration` |
//! | the alarm itself, as to a function | `alarmArn`, `accountId`, `region` and, in `alarmData`, the same as EventBridge |
//! | AWS Budgets | plain text in lines such as `Budget Name: …` |
//!
//! Only name, state and moment must be there. Sources:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html>.

mod budget;

use std::collections::BTreeMap;

use domain::{AlarmChange, AlarmMetric, AlarmState};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The change that `event` tells.
///
/// # Errors
/// What is missing, or why nobody can tell what it is.
pub(crate) fn change(event: &Value, now: OffsetDateTime) -> Result<AlarmChange, String> {
    match event {
        Value::String(text) => budget::change(text, now),
        Value::Object(fields) if fields.contains_key("NewStateValue") || fields.contains_key("AlarmName") => of_sns(event),
        Value::Object(fields) if fields.contains_key("alarmData") => {
            let change = of_detail(&event["alarmData"], "alarmData.")?;
            let own = |name: &str| text(&event[name]);
            Ok(AlarmChange { arn: own("alarmArn"), account: own("accountId"), region: own("region"), ..change })
        }
        Value::Object(fields) if fields.contains_key("alarmName") => of_detail(event, ""),
        _ => Err("neither CloudWatch (AlarmName, alarmName or alarmData) nor AWS Budgets (plain text) tells of an alarm in it".to_owned()),
    }
}

fn of_sns(event: &Value) -> Result<AlarmChange, String> {
    let reason = text(&event["NewStateReason"]).unwrap_or_default();
    let trigger = &event["Trigger"];
    // An alarm over an expression names its metrics in a list.
    let stat = trigger["Metrics"].as_array().and_then(|metrics| metrics.iter().find(|metric| metric["MetricStat"].is_object()));
    let metric = stat.map_or(trigger, |metric| &metric["MetricStat"]["Metric"]);
    let (name, state_now) = (needed(event, "", "AlarmName")?, state(&event["NewStateValue"], "NewStateValue")?);
    let changed_at = moment(&event["StateChangeTime"], "StateChangeTime")?;
    Ok(AlarmChange {
        previous: state(&event["OldStateValue"], "OldStateValue").ok(),
        arn: text(&event["AlarmArn"]),
        account: text(&event["AWSAccountId"]),
        region: text(&event["Region"]),
        metric: text(&metric["MetricName"]).map(|name| AlarmMetric {
            namespace: text(&metric["Namespace"]).unwrap_or_default(),
            name,
            dimensions: dimensions(&metric["Dimensions"]),
        }),
        value: newest(&reason),
        threshold: trigger["Threshold"].as_f64(),
        reason,
        ..AlarmChange::new(name, state_now, changed_at)
    })
}

/// What EventBridge calls `detail` and the alarm itself `alarmData`.
fn of_detail(detail: &Value, at: &str) -> Result<AlarmChange, String> {
    let now = &detail["state"];
    let reason = text(&now["reason"]).unwrap_or_default();
    let data: Value = now["reasonData"].as_str().and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
    let metrics = detail["configuration"]["metrics"].as_array();
    let metric = metrics.and_then(|metrics| metrics.iter().find(|metric| metric["metricStat"].is_object()));
    let metric = metric.map(|metric| &metric["metricStat"]["metric"]);
    let (name, state_now) = (needed(detail, at, "alarmName")?, state(&now["value"], &format!("{at}state.value"))?);
    let changed_at = moment(&now["timestamp"], &format!("{at}state.timestamp"))?;
    Ok(AlarmChange {
        previous: state(&detail["previousState"]["value"], "previousState.value").ok(),
        metric: metric.and_then(|metric| {
            let name = text(&metric["name"])?;
            Some(AlarmMetric {
                namespace: text(&metric["namespace"]).unwrap_or_default(),
                name,
                dimensions: dimensions(&metric["dimensions"]),
            })
        }),
        value: newest(&reason),
        threshold: data["threshold"].as_f64(),
        reason,
        ..AlarmChange::new(name, state_now, changed_at)
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn needed(event: &Value, at: &str, name: &str) -> Result<String, String> {
    text(&event[name]).ok_or_else(|| format!("{at}{name} is missing: expected the alarm's name"))
}

fn state(value: &Value, name: &str) -> Result<AlarmState, String> {
    let expected = || format!("{name} is {value}: expected OK, ALARM or INSUFFICIENT_DATA");
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(expected)
}

/// AWS writes `2019-10-02T17:04:40.985+0000`, RFC 3339 but for the colon; others write what RFC 3339 says.
fn moment(value: &Value, name: &str) -> Result<OffsetDateTime, String> {
    let expected = || format!("{name} is {value}: expected a time such as 2019-10-02T17:04:40.985+0000");
    let text = value.as_str().ok_or_else(expected)?;
    let zone = text.len().checked_sub(5).filter(|at| text.is_char_boundary(*at)).map(|at| text.split_at(at));
    let with_colon = match zone {
        Some((time, zone)) if zone.starts_with(['+', '-']) && zone[1..].bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{time}{}:{}", &zone[..3], &zone[3..])
        }
        _ => text.to_owned(),
    };
    OffsetDateTime::parse(&with_colon, &Rfc3339).map(|moment| moment.to_offset(time::UtcOffset::UTC)).map_err(|_| expected())
}

/// `[{"name": …, "value": …}]`, its names in any case, or `{name: value}`.
fn dimensions(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Array(items) => {
            let of = |item: &Value, names: [&str; 2]| names.iter().find_map(|name| text(&item[*name]));
            items.iter().filter_map(|item| Some((of(item, ["name", "Name"])?, of(item, ["value", "Value"])?))).collect()
        }
        Value::Object(fields) => fields.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
        _ => BTreeMap::new(),
    }
}

/// The newest figure in CloudWatch's words: `1 out of the last 3 datapoints [99.5 (02/10/19 16:59:00), 41.0 (…)] was greater than …`.
fn newest(reason: &str) -> Option<f64> {
    let (_, figures) = reason.split_once('[')?;
    figures.split([' ', ',', ']']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-26 18:00 UTC);

    fn sns(name: &str, value: Value) -> Result<AlarmChange, String> {
        let mut event = json!({"AlarmName": "a", "NewStateValue": "ALARM", "StateChangeTime": "2026-11-26T17:59:58.123+0000"});
        event[name] = value;
        change(&event, NOW)
    }

    #[test]
    fn name_state_and_moment_are_enough() {
        let least = sns("Trigger", Value::Null).unwrap();
        let expected = AlarmChange::new("a", AlarmState::Alarm, datetime!(2026-11-26 17:59:58.123 UTC));
        assert_eq!(least, expected);
        let detail = json!({"alarmName": "a", "state": {"value": "ALARM", "timestamp": "2026-11-26T17:59:58.123+0000"}});
        assert_eq!(change(&detail, NOW), Ok(expected.clone()));
        let direct = json!({"alarmArn": "arn:aws:cloudwatch:us-east-1:1:alarm:a", "alarmData": detail});
        assert_eq!(change(&direct, NOW), Ok(AlarmChange { arn: text(&direct["alarmArn"]), ..expected }));
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let told = |name, value| sns(name, value).unwrap_err();
        assert_eq!(told("AlarmName", json!("")), "AlarmName is missing: expected the alarm's name");
        assert_eq!(told("NewStateValue", json!("ALERT")), r#"NewStateValue is "ALERT": expected OK, ALARM or INSUFFICIENT_DATA"#);
        let time = "expected a time such as 2019-10-02T17:04:40.985+0000";
        assert_eq!(told("StateChangeTime", Value::Null), format!("StateChangeTime is null: {time}"));
        assert_eq!(told("StateChangeTime", json!("today")), format!(r#"StateChangeTime is "today": {time}"#));
        let state = json!({"alarmData": {"alarmName": "a", "state": {}}});
        assert_eq!(change(&state, NOW).unwrap_err(), "alarmData.state.value is null: expected OK, ALARM or INSUFFICIENT_DATA");
        for nothing in [json!({}), json!(null), json!([1]), json!({"detail": 1}), json!(7)] {
            assert!(change(&nothing, NOW).unwrap_err().starts_with("neither CloudWatch"), "{nothing}");
        }
    }

    #[test]
    fn times_are_read_as_aws_and_as_others_write_them() {
        for text in [
            "2026-11-26T17:59:58.123+0000",
            "2026-11-26T17:59:58.123Z",
            "2026-11-26T14:59:58.123-0300",
            "2026-11-26T17:59:58.123+00:00",
            "2026-11-26T17:59:58.123000+00:00",
        ] {
            assert_eq!(moment(&json!(text), "t"), Ok(datetime!(2026-11-26 17:59:58.123 UTC)), "{text}");
        }
        for text in ["", "+0000", "é0000", "2026-11-26", "2026-11-26T17:59:58", "2026-13-26T17:59:58+0000"] {
            assert!(moment(&json!(text), "t").is_err(), "{text}");
        }
    }

    #[test]
    fn the_newest_figure_is_the_first_that_the_reason_names() {
        let figure = |reason| newest(reason);
        assert_eq!(figure("Threshold Crossed: 1 out of the last 1 datapoints [99.5 (02/10/19 16:59:00)] was greater than …"), Some(99.5));
        assert_eq!(figure("3 datapoints [63.0 (26/11/26 17:59:00), 55.0 (26/11/26 17:58:00)] were greater"), Some(63.0));
        assert_eq!(figure("1 missing datapoint was treated as [NonBreaching]."), None);
        assert_eq!(figure("set by hand"), None);
    }
}
