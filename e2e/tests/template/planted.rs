//! What each check is for, planted into a good template: the check has to name it.

use serde_json::{Value, json};

use super::capacity::sessions;
use super::{Template, access, alarms, architecture, keeping, settings};

/// `template` with `value` at `path` of the resource `name`.
fn with(template: &Template, name: &str, path: &str, value: Value) -> Template {
    let mut template = template.clone();
    let resource = template.0.iter_mut().find(|resource| resource.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (parent, last) = path.rsplit_once('/').expect("a path begins with /");
    let parent = resource.properties.pointer_mut(parent).unwrap_or_else(|| panic!("{name} has no {path}"));
    match parent {
        Value::Array(all) => all[last.parse::<usize>().expect("a place in a list")] = value,
        parent => parent[last] = value,
    }
    template
}

type Check = fn(&Template) -> Vec<String>;

#[tokio::test]
async fn every_check_sees_what_it_is_for() {
    let good = Template::prod().await;
    let statement = "/Policies/0/PolicyDocument/Statement";
    let planted: &[(Check, &str, &str, Value)] = &[
        (access::too_wide, "MechanicRole", &format!("{statement}/0/Action"), json!("secretsmanager:*")),
        (access::too_wide, "MechanicRole", &format!("{statement}/0/Resource"), json!("*")),
        (access::too_wide, "MechanicRole", &format!("{statement}/0/Resource"), json!("arn:aws:secretsmanager:us-east-1:1:secret:*")),
        (access::too_wide, "ExecutionRole", &format!("{statement}/0/Condition"), json!({})),
        (access::too_wide, "DashboardRole", "/AssumeRolePolicyDocument/Statement/0/Condition", json!({})),
        (access::too_wide, "AlarmQueuePolicy", "/PolicyDocument/Statement/0/Principal", json!("*")),
        (
            access::too_wide,
            "GeniusRole",
            &format!("{statement}/0"),
            json!({ "Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "arn" }),
        ),
        (alarms::dead_ends, "QueueDepthAlarm", "/AlarmActions", json!(["${NotificationTopic}"])),
        (alarms::dead_ends, "AlarmTopicToQueue", "/TopicArn", json!("${NotificationTopic}")),
        (alarms::dead_ends, "AlarmQueuePolicy", "/PolicyDocument/Statement/1/Condition", json!({})),
        (alarms::dead_ends, "DashboardTask", "/ContainerDefinitions/0/Environment/15/Value", json!("${AlarmTopic}")),
        (
            architecture::open_doors,
            "DatabaseGroup",
            "/SecurityGroupIngress/0",
            json!({ "CidrIp": "0.0.0.0/0", "FromPort": 5432, "ToPort": 5432 }),
        ),
        (architecture::open_doors, "WorkerGroup", "/SecurityGroupEgress", Value::Null),
        (keeping::spilled, "MechanicTask", "/ContainerDefinitions/0/Secrets", json!([{ "Name": "OPENAI_API_KEY", "ValueFrom": "arn" }])),
        (keeping::spilled, "MechanicTask", "/ContainerDefinitions/0/Environment/0/Name", json!("OPENAI_API_KEY")),
        (keeping::spilled, "MechanicTask", "/ContainerDefinitions/0/Environment/0/Value", json!("{{resolve:secretsmanager:x}}")),
        (keeping::spilled, "OpenAiApiKey", "/SecretString", json!("sk-1")),
        (keeping::spilled, "Database", "/MasterUserPassword", json!("hunter2")),
        (keeping::untagged, "Data", "/Tags", json!({ "Environment": "prod" })),
        (keeping::untagged, "GeniusService", "/PropagateTags", Value::Null),
        (settings::unheard, "MechanicTask", "/ContainerDefinitions/0/Environment/0/Name", json!("STEPS_CAP")),
    ];
    for (check, name, path, value) in planted {
        let before = check(&good);
        let after = check(&with(&good, name, path, value.clone()));
        assert!(after.len() > before.len(), "nobody saw {value} at {path} of {name}: {after:?}");
    }
    let mut kept = good.clone();
    kept.0.iter_mut().find(|one| one.name == "Database").expect("there is one").policies[0] = Some("Delete".to_owned());
    assert_eq!(keeping::forgotten(&kept).len(), 1);
    let mut function = good.clone();
    function.0[0].kind = "AWS::Lambda::Function".to_owned();
    assert_eq!(architecture::excluded(&function).len(), 1);
}

#[tokio::test]
async fn more_workers_pools_or_tasks_in_a_deploy_are_counted() {
    let good = Template::prod().await;
    let (open, _) = sessions(&good);
    let more = [
        ("DashboardCapacity", "/MaxCapacity", json!(3)),
        ("MechanicService", "/DeploymentConfiguration/MaximumPercent", json!(200)),
        ("PoolerService", "/DesiredCount", json!(2)),
        ("PoolerTask", "/ContainerDefinitions/0/Command/2", json!("40")),
        ("DatabaseSettings", "/Parameters/max_connections", json!("50")),
    ];
    for (name, path, value) in more {
        let (now, server) = sessions(&with(&good, name, path, value));
        assert!(now > open || server < 100, "{name}{path}");
        assert!(now * 100 >= server * 70, "{name}{path}: {now} of {server} would be too many");
    }
}
