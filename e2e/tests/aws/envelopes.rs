//! The envelopes in `events/envelopes/` have the shape that SAM gives the same events.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{aws, root, tools};
use process::Exit;
use serde_json::Value;

/// A sample of ours, what SAM calls the same event, and where the two may differ.
struct Pair {
    file: &'static str,
    sam: &'static str,
    /// Maps whose keys are somebody else's to choose: headers and the like.
    free: &'static [&'static str],
    /// What is in one of them only, and why.
    differs: &'static [(&'static str, &'static str)],
}

const PAIRS: &[Pair] = &[
    Pair { file: "sqs.json", sam: "sqs receive-message", free: &[".Records[].messageAttributes"], differs: &[] },
    Pair { file: "sns-in-sqs.json", sam: "sqs receive-message", free: &[".Records[].messageAttributes"], differs: &[] },
    Pair { file: "eventbridge-in-sqs.json", sam: "sqs receive-message", free: &[".Records[].messageAttributes"], differs: &[] },
    Pair { file: "sns.json", sam: "sns notification", free: &[".Records[].Sns.MessageAttributes"], differs: &[] },
    Pair { file: "s3.json", sam: "s3 put", free: &[], differs: &[(".Records[].s3.object.versionId", "of buckets with versions only")] },
    Pair { file: "alb.json", sam: "alb request", free: &[".headers", ".queryStringParameters"], differs: &[] },
    Pair {
        file: "alb-base64.json",
        sam: "alb request",
        free: &[".headers", ".queryStringParameters"],
        differs: &[
            (".headers", "of target groups without multiple values only"),
            (".queryStringParameters", "of target groups without multiple values only"),
            (".multiValueHeaders", "of target groups with multiple values only"),
            (".multiValueQueryStringParameters", "of target groups with multiple values only"),
        ],
    },
    Pair {
        file: "apigw-v2.json",
        sam: "apigateway http-api-proxy",
        free: &[".headers", ".queryStringParameters"],
        differs: &[
            (".requestContext.authentication", "of APIs that ask for client certificates only"),
            (".requestContext.authorizer", "of APIs with an authorizer only"),
            (".pathParameters", "of routes with parameters only"),
            (".stageVariables", "of stages with variables only"),
        ],
    },
    Pair {
        file: "eventbridge.json",
        sam: "cloudwatch scheduled-event",
        free: &[".detail"],
        differs: &[(".version", "SAM's sample is older than the field")],
    },
];

/// The kinds of all values in `value` by their place; a place below `free` has none.
fn shape(value: &Value, place: &str, free: &[&str], found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    found.insert(place.to_owned(), kind);
    match value {
        Value::Array(all) => all.iter().for_each(|one| shape(one, &format!("{place}[]"), free, found)),
        Value::Object(all) if !free.contains(&place) => {
            all.iter().for_each(|(key, one)| shape(one, &format!("{place}.{key}"), free, found));
        }
        _ => {}
    }
}

/// Whether `place` is `parent` or lies in it.
fn within(place: &str, parent: &str) -> bool {
    place.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[tokio::test]
async fn sample_envelopes_have_the_keys_and_types_of_sams_own() {
    let Some(python) = aws::program("python3", "sample events beside those of SAM") else { return };
    let home = tempfile::tempdir().unwrap();
    let wanted: BTreeSet<&str> = PAIRS.iter().map(|pair| pair.sam).collect();
    let script = root().join("e2e/tests/aws/samples.py");
    let command = aws::command(&python, "127.0.0.1:9", home.path()).arg(script);
    let output = tools::attempt(command.stdin(Vec::from_iter(wanted).join("\n"))).await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr_text());
    let samples: Value = serde_json::from_str(&output.stdout_text()).unwrap();
    let mut wrong: Vec<String> = PAIRS.iter().flat_map(|pair| compare(&format!("envelopes/{}", pair.file), pair, &samples)).collect();
    // Alarms come in SQS, from SNS or EventBridge, or are handed over by CloudWatch itself, of which SAM has no sample.
    let alarms = files("events").into_iter().filter(|name| name.starts_with("alarm-"));
    let mut compared = 0;
    for file in alarms {
        let event: Value = serde_json::from_slice(&std::fs::read(root().join("events").join(&file)).unwrap()).unwrap();
        let like = match (&event["Records"], &event["detail-type"]) {
            (Value::Array(_), _) => "sns-in-sqs.json",
            (_, Value::String(_)) => "eventbridge.json",
            _ => continue,
        };
        compared += 1;
        let pair = PAIRS.iter().find(|pair| pair.file == like).unwrap();
        wrong.extend(compare(&file, pair, &samples));
    }
    assert!(compared > 5, "there are alarms among the sample events");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the sample `file` of `events/` beside SAM's own.
fn compare(file: &str, pair: &Pair, samples: &Value) -> Vec<String> {
    let ours = std::fs::read(root().join("events").join(file)).unwrap();
    let (mut here, mut there) = (BTreeMap::new(), BTreeMap::new());
    shape(&serde_json::from_slice(&ours).unwrap(), "", pair.free, &mut here);
    shape(&samples[pair.sam], "", pair.free, &mut there);
    let differs = |place: &str| pair.differs.iter().any(|(parent, _)| within(place, parent));
    let places = BTreeSet::from_iter(here.keys().chain(there.keys())).into_iter().filter(|place| !differs(place));
    let wrong = places.filter_map(|place| {
        let (ours, sams) = (here.get(place).unwrap_or(&"missing"), there.get(place).unwrap_or(&"missing"));
        (ours != sams).then(|| format!("{file}: {place} is {ours}, and {sams} in `sam local generate-event {}`", pair.sam))
    });
    let stale = pair.differs.iter().filter(|(parent, _)| here.get(*parent) == there.get(*parent));
    wrong.chain(stale.map(|(place, why)| format!("{file}: {place} differs no more ({why})"))).collect()
}

fn files(folder: &str) -> Vec<String> {
    let there = std::fs::read_dir(root().join(folder)).unwrap();
    there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_envelope_is_compared() {
    let wanted = PAIRS.iter().map(|pair| pair.file.to_owned());
    assert_eq!(BTreeSet::from_iter(files("events/envelopes")), BTreeSet::from_iter(wanted));
}
