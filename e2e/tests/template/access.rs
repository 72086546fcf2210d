//! Who may do what: no more than is listed here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{CHOICES, Resource, Template, list};

/// Statements whose resource may be `*`, by whose they are and their name, and why. They need a condition all the same.
const EVERYTHING: &[(&str, &str, &str)] = &[
    ("ExecutionRole", "LogIntoTheRegistry", "a token of ECR is for no repository"),
    ("Key", "TheAccountRulesTheKey", "in a key's policy `*` is that key"),
    ("Key", "Logs", "in a key's policy `*` is that key"),
    ("Key", "AlarmsAndBudgetsSpeakToTopics", "in a key's policy `*` is that key"),
];

/// What each role may do, all of it.
const ACTIONS: &[(&str, &[&str])] = &[
    (
        "ExecutionRole",
        &[
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ],
    ),
    (
        "DashboardRole",
        &[
            "bedrock:InvokeModel",
            "ecs:DescribeServices",
            "ecs:StopTask",
            "ecs:UpdateService",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "rds:DescribeDBInstances",
            "secretsmanager:GetSecretValue",
            "sns:GetTopicAttributes",
            "sns:Publish",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
    ),
    ("MechanicRole", WORKER),
    ("GeniusRole", WORKER),
    ("MigrateRole", &["kms:Decrypt", "secretsmanager:GetSecretValue"]),
    ("PoolerRole", &["kms:Decrypt", "secretsmanager:GetSecretValue"]),
    // The last one with tokens, the others with a password.
    ("ProxyRole", &["kms:Decrypt", "secretsmanager:GetSecretValue", "rds-db:connect"]),
    ("IamDatabaseAccess", &["rds-db:connect"]),
];

const WORKER: &[&str] = &[
    "bedrock:InvokeModel",
    "ecs:GetTaskProtection",
    "ecs:UpdateTaskProtection",
    "kms:Decrypt",
    "secretsmanager:GetSecretValue",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

/// What is permitted somewhere, and whose the policy is.
pub(super) fn statements(template: &Template) -> Vec<(&Resource, &Value)> {
    let documents = |resource: &Resource| -> Vec<String> {
        match resource.kind.as_str() {
            "AWS::IAM::Role" => {
                let policies = resource.properties["Policies"].as_array().map_or(0, Vec::len);
                (0..policies).map(|at| format!("/Policies/{at}/PolicyDocument")).chain(["/AssumeRolePolicyDocument".to_owned()]).collect()
            }
            "AWS::KMS::Key" => vec!["/KeyPolicy".to_owned()],
            _ => vec!["/PolicyDocument".to_owned()],
        }
    };
    let of = |resource| {
        let found = documents(resource).into_iter().filter_map(|path| resource.properties.pointer(&format!("{path}/Statement")));
        found.filter_map(Value::as_array).flatten().map(move |statement| (resource, statement)).collect::<Vec<_>>()
    };
    template.0.iter().flat_map(of).collect()
}

/// Everything that is permitted too widely.
pub(super) fn too_wide(template: &Template) -> Vec<String> {
    let mut wrong = Vec::new();
    for (resource, statement) in statements(template) {
        let sid = statement["Sid"].as_str().unwrap_or("-");
        let mut complain = |what: &str| wrong.push(format!("{} {sid}: {what}", resource.name));
        if statement["Effect"] != "Allow" {
            complain("it is no permission");
        }
        if !statement["NotAction"].is_null() || !statement["NotResource"].is_null() || !statement["NotPrincipal"].is_null() {
            complain("it permits all but something");
        }
        for action in list(&statement["Action"]).iter().filter(|action| action.contains('*')) {
            complain(&format!("the action {action}"));
        }
        if statement["Principal"].as_str() == Some("*") || statement["Principal"]["AWS"] == "*" {
            complain("it is for everybody");
        }
        let conditions = statement["Condition"].as_object().map_or(0, serde_json::Map::len);
        // Who may take a role on: services of AWS, and only for this account.
        if list(&statement["Action"]) == ["sts:AssumeRole"] && conditions == 0 {
            complain("another account's service may take it on");
        }
        for of in list(&statement["Resource"]) {
            let listed = EVERYTHING.iter().any(|(whose, which, _)| *whose == resource.name && *which == sid);
            match of.as_str() {
                "*" if !listed => complain("every resource"),
                "*" if conditions == 0 => complain("every resource, without a condition"),
                // Part of a name may be open only below a name of ours, or for a model of whichever region answers.
                wide if wide != "*" && wide.contains('*') && !wide.contains("ai-coding-team") && !wide.contains("::foundation-model/") => {
                    complain(&format!("the resource {wide}"));
                }
                _ => {}
            }
        }
    }
    wrong
}

#[tokio::test]
async fn nothing_is_permitted_that_is_not_named() {
    for choice in CHOICES {
        assert_eq!(too_wide(&Template::of(choice).await), Vec::<String>::new(), "{choice:?}");
    }
}

#[tokio::test]
async fn every_resource_that_may_be_any_is_on_the_list_and_the_reverse() {
    let mut found = BTreeSet::new();
    for choice in CHOICES {
        let template = Template::of(choice).await;
        for (resource, statement) in statements(&template) {
            if list(&statement["Resource"]).contains(&"*".to_owned()) {
                found.insert((resource.name.clone(), statement["Sid"].as_str().unwrap_or("-").to_owned()));
            }
        }
    }
    let listed = EVERYTHING.iter().map(|(whose, which, _)| ((*whose).to_owned(), (*which).to_owned())).collect();
    assert_eq!(found, listed);
}

/// What each role and each policy of its own may do.
pub(super) fn actions(template: &Template) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (resource, statement) in statements(template).into_iter().filter(|(resource, _)| resource.kind.starts_with("AWS::IAM::")) {
        let named = list(&statement["Action"]).into_iter().filter(|action| action != "sts:AssumeRole");
        found.entry(resource.name.clone()).or_default().extend(named);
    }
    found
}

#[tokio::test]
async fn each_role_may_do_exactly_what_is_listed() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for choice in CHOICES {
        for (role, actions) in actions(&Template::of(choice).await) {
            found.entry(role).or_default().extend(actions);
        }
    }
    let own = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<BTreeSet<_>>();
    let listed: BTreeMap<String, BTreeSet<String>> = ACTIONS.iter().map(|(role, actions)| ((*role).to_owned(), own(actions))).collect();
    assert_eq!(found, listed);
}

#[tokio::test]
async fn each_task_has_a_role_of_its_own() {
    let template = Template::prod().await;
    let roles: Vec<String> = template.all("AWS::ECS::TaskDefinition").map(|task| task.text("/TaskRoleArn")).collect();
    let different: BTreeSet<&String> = roles.iter().collect();
    assert_eq!((roles.len(), different.len()), (5, 5), "{roles:?}");
}

#[tokio::test]
async fn migrations_make_the_role_that_the_services_are_with_what_it_shows() {
    for choice in CHOICES {
        let template = Template::of(choice).await;
        let url = |name: &str| template.get(name).text("/SecretString");
        let credentials = |name: &str| url(name).trim_start_matches("postgres://").split('@').next().unwrap_or_default().to_owned();
        let services = credentials("DatabaseUrl");
        assert!(services.starts_with("codeteam_app:{{resolve:secretsmanager:${DatabaseAppPassword"), "{services}");
        let shown = if choice.contains("DatabaseAuth=iam") { "codeteam_app" } else { &services };
        assert_eq!(credentials("AppDatabaseUrl"), shown, "{choice}");
        let rest = |name: &str| url(name).split('@').nth(1).map(str::to_owned);
        assert_eq!(rest("AppDatabaseUrl"), rest("OwnerDatabaseUrl"), "{choice}: one database, and not through a pooler");
        let migrate = template.get("MigrateTask");
        assert_eq!(migrate.properties["ContainerDefinitions"][0]["Command"], serde_json::json!(["migrate"]), "{choice}");
        let prefix = migrate.environment(0)["CODETEAM_SECRETS"].clone();
        let named = ["OwnerDatabaseUrl", "AppDatabaseUrl"].map(|name| template.get(name).text("/Name"));
        assert_eq!(named, ["DATABASE_URL", "DATABASE_APP_URL"].map(|name| format!("{prefix}/{name}")), "{choice}");
    }
}

#[tokio::test]
async fn the_models_of_bedrock_that_may_be_asked_are_those_of_the_lists() {
    let template = Template::prod().await;
    let prices: toml::Table = std::fs::read_to_string(e2e::root().join("common/llm/prices.toml")).unwrap().parse().unwrap();
    for (role, mode) in [("MechanicRole", "mechanic"), ("GeniusRole", "genius"), ("DashboardRole", "mechanic")] {
        let listed = prices["modes"][mode].as_array().expect("a list").iter().filter_map(toml::Value::as_str);
        let listed: BTreeSet<&str> = listed.filter_map(|name| name.strip_prefix("global.")).collect();
        let all = statements(&template);
        let permitted = all.iter().filter(|(resource, statement)| resource.name == role && statement["Sid"] == "Models");
        let permitted: Vec<String> = permitted.flat_map(|(_, statement)| list(&statement["Resource"])).collect();
        let names: BTreeSet<&str> =
            permitted.iter().filter_map(|arn| arn.rsplit('/').next()).map(|name| name.trim_start_matches("global.")).collect();
        assert_eq!(names, listed, "{role}");
    }
}
