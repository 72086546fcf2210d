//! What the template sets is what the program reads.

use std::collections::BTreeSet;
use std::fs;

use e2e::root;

use super::{CHOICES, Template};

/// Settings of a deployment that the template leaves alone, and why.
const LEFT_ALONE: &[(&str, &str)] = &[
    ("AWS_ENDPOINT_URL", "AWS's own addresses are the usual ones"),
    ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "the same"),
    ("AWS_ENDPOINT_URL_ECS", "the same"),
    ("AWS_ENDPOINT_URL_RDS", "the same"),
    ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "the same"),
    ("AWS_ENDPOINT_URL_SNS", "the same"),
    ("AWS_ENDPOINT_URL_SQS", "the same"),
    ("DATABASE_IDLE_SECS", "the five minutes of the architecture are the usual ones"),
    ("ECS_AGENT_URI", "ECS sets it"),
    ("ECS_CONTAINER_METADATA_URI_V4", "ECS sets it"),
];

/// Names in capitals between quotes in the part of the source that is no test.
fn quoted(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let is_name =
        |word: &&str| word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    code.split('"').filter(is_name).map(str::to_owned).collect()
}

/// What `common/config` reads, without its folders.
fn known() -> BTreeSet<String> {
    let folder = root().join("common/config/src");
    let files = fs::read_dir(&folder).expect("config has a source").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.is_file()).flat_map(|path| quoted(&fs::read_to_string(path).expect("source is text"))).collect()
}

fn set(template: &Template) -> BTreeSet<String> {
    let tasks = template.all("AWS::ECS::TaskDefinition");
    let containers = tasks.flat_map(|task| {
        let count = task.properties["ContainerDefinitions"].as_array().map_or(0, Vec::len);
        (0..count).flat_map(|at| task.environment(at).into_keys().collect::<Vec<_>>())
    });
    containers.collect()
}

/// What the template sets and nobody reads.
pub(super) fn unheard(template: &Template) -> Vec<String> {
    let known = known();
    set(template).into_iter().filter(|name| !known.contains(name)).collect()
}

#[tokio::test]
async fn every_setting_of_the_template_is_read_by_config() {
    for choice in CHOICES {
        assert_eq!(unheard(&Template::of(choice).await), Vec::<String>::new(), "{choice:?}");
    }
}

#[tokio::test]
async fn every_setting_of_a_deployment_is_set_by_the_template_or_left_alone_for_a_reason() {
    let source = fs::read_to_string(root().join("common/config/src/deployment.rs")).expect("config has the settings of a deployment");
    let set = set(&Template::prod().await);
    let names = quoted(&source);
    assert!(names.contains("ENVIRONMENT") && names.contains("RDS_INSTANCE"), "{names:?}");
    let missing: BTreeSet<&String> =
        names.iter().filter(|name| !set.contains(*name) && !LEFT_ALONE.iter().any(|(left, _)| left == name)).collect();
    assert_eq!(missing, BTreeSet::new(), "common/config/src/deployment.rs reads these, and template.yaml does not set them");
}

#[tokio::test]
async fn workers_know_as_many_slots_as_scaling_reckons_with() {
    let template = Template::prod().await;
    let slots = ["DashboardTask", "MechanicTask", "GeniusTask"].map(|task| template.get(task).environment(0)["WORKER_SLOTS"].clone());
    assert_eq!(slots, ["1", "1", "1"].map(str::to_owned));
}
