//! Who reads which secret: each role exactly what the command of its task asks for.

use std::collections::{BTreeMap, BTreeSet};

use e2e::Codeteam;
use serde_json::{Value, json};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::access::statements;
use super::{CHOICES, Template, list};

/// What each role may read, by the names after `ai-coding-team/prod/`; all of it.
const READERS: &[(&str, &[&str])] = &[
    (
        "DashboardRole",
        &[
            "ANTHROPIC_API_KEY",
            "DATABASE_LISTEN_URL",
            "DATABASE_URL",
            "GITHUB_APP_ID",
            "GITHUB_APP_PRIVATE_KEY",
            "GITHUB_WEBHOOK_SECRET",
            "GITHUB_WEBHOOK_SECRET_PREVIOUS",
            "GOOGLE_API_KEY",
            "OPENAI_API_KEY",
        ],
    ),
    ("MechanicRole", WORKER),
    ("GeniusRole", WORKER),
    ("MigrateRole", &["owner/DATABASE_APP_URL", "owner/DATABASE_URL"]),
    ("PoolerRole", &["pooler/DATABASE_URL"]),
    ("ProxyRole", &["${DatabaseAppPassword}"]),
];

/// A worker hears no webhook and makes no role.
const WORKER: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "DATABASE_LISTEN_URL",
    "DATABASE_URL",
    "GITHUB_APP_ID",
    "GITHUB_APP_PRIVATE_KEY",
    "GOOGLE_API_KEY",
    "OPENAI_API_KEY",
];

/// The part of a secret's ARN or name that is the same in every environment.
fn plain(secret: &str) -> String {
    let name = secret.split("ai-coding-team/").nth(1).and_then(|rest| rest.split_once('/')).map_or(secret, |(_, name)| name);
    name.trim_end_matches("-??????").to_owned()
}

/// What each role may read.
fn readers(template: &Template) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (role, statement) in statements(template) {
        if list(&statement["Action"]).contains(&"secretsmanager:GetSecretValue".to_owned()) {
            found.entry(role.name.clone()).or_default().extend(list(&statement["Resource"]).iter().map(|secret| plain(secret)));
        }
    }
    found
}

#[tokio::test]
async fn each_role_may_read_exactly_what_is_listed() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for choice in CHOICES {
        for (role, secrets) in readers(&Template::of(choice).await) {
            found.entry(role).or_default().extend(secrets);
        }
    }
    let listed = READERS.iter().map(|(role, secrets)| ((*role).to_owned(), secrets.iter().map(|name| (*name).to_owned()).collect()));
    assert_eq!(found, listed.collect::<BTreeMap<String, BTreeSet<String>>>());
}

#[tokio::test]
async fn the_command_of_each_task_asks_for_exactly_what_its_role_may_read() {
    let template = Template::prod().await;
    let readers = readers(&template);
    let mut looked = BTreeSet::new();
    for task in template.all("AWS::ECS::TaskDefinition") {
        let role = &template.referred(&task.text("/TaskRoleArn")).name;
        let command = list(&task.properties["ContainerDefinitions"][0]["Command"]);
        assert_eq!(asked(command, &task.environment(0)["CODETEAM_SECRETS"]).await, readers[role], "{role}");
        looked.insert(role.clone());
    }
    let tasks = ["DashboardRole", "GeniusRole", "MechanicRole", "MigrateRole", "PoolerRole"];
    assert_eq!(looked, tasks.map(str::to_owned).into(), "a proxy is no task");
}

#[tokio::test]
async fn a_command_that_a_person_runs_in_the_place_of_the_dashboard_asks_for_a_part_of_what_that_may_read() {
    let (template, database, app) = (Template::prod().await, "DATABASE_URL", ["GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY"]);
    let may_read = readers(&template).remove("DashboardRole").unwrap();
    for (command, expected) in [
        ("jobs", vec![database]),
        ("ledger verify", vec![database]),
        ("token list", vec![database]),
        ("show 0198 --diff", vec![database, app[0], app[1]]),
        ("github check", app.to_vec()),
        ("github redeliver", app.to_vec()),
    ] {
        let asked = asked(command.split(' ').map(str::to_owned).collect(), "ai-coding-team/prod").await;
        assert_eq!(asked, expected.into_iter().map(str::to_owned).collect(), "{command}");
        assert!(asked.is_subset(&may_read), "{command}");
    }
}

/// What codeteam asks for with `command`, whose secrets begin with `prefix`, where there is none: so it ends soon.
async fn asked(command: Vec<String>, prefix: &str) -> BTreeSet<String> {
    let vault = MockServer::start().await;
    let none = ResponseTemplate::new(400).set_body_json(json!({ "__type": "ResourceNotFoundException", "message": "none" }));
    let call = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
    call.respond_with(none).mount(&vault).await;
    let codeteam = Codeteam::new(command).env("CODETEAM_SECRETS", prefix).env("AWS_REGION", "us-east-1");
    let codeteam = codeteam.env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-test");
    codeteam.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", vault.uri()).run().await.expect(4, &[]);
    let requests = vault.received_requests().await.unwrap();
    let entry = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["SecretId"].as_str().unwrap().to_owned();
    requests.iter().map(|request| plain(&entry(&request.body))).collect()
}
