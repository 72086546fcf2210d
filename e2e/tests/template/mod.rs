//! The deployment template says what the architecture says, permits no more than it needs, and fits the program that it deploys.
//!
//! Each test looks at whole values as AWS would see them: `evaluate.py` beside this file resolves parameters, mappings and conditions
//! over all nested templates. What a check is for is planted into a good template in `planted.rs`, and each has to see it.

mod access;
mod alarms;
mod architecture;
mod capacity;
mod cost;
mod keeping;
mod planted;
mod secrets;
mod settings;

use std::collections::BTreeMap;

use e2e::{root, tools};
use process::Exit;
use serde_json::Value;
use tokio::sync::OnceCell;

/// Every choice of parameters that makes a different set of resources.
const CHOICES: &[&str] = &[
    "Environment=prod",
    "Environment=dev",
    "Environment=prod DomainName=codeteam.example.com HostedZoneId=Z0 NotificationEmail=team@example.com",
    "Environment=prod Pooler=rds-proxy DatabaseAuth=iam",
    "Environment=dev Pooler=rds-proxy",
    "Environment=prod Pooler=none",
    "Environment=prod Phase=ground",
];

/// A resource that there is for one choice of parameters.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    file: String,
    name: String,
    kind: String,
    metadata: Value,
    /// What happens to it when it goes and when it is replaced.
    policies: [Option<String>; 2],
    pub(crate) properties: Value,
}

impl Resource {
    fn from(row: &Value) -> Self {
        let text = |name: &str| row[name].as_str().expect("evaluate.py gives every row these").to_owned();
        let policy = |at: usize| row["policies"][at].as_str().map(str::to_owned);
        Self {
            file: text("file"),
            name: text("name"),
            kind: text("type"),
            metadata: row["metadata"].clone(),
            policies: [policy(0), policy(1)],
            properties: row["properties"].clone(),
        }
    }

    /// The text of a property, by its path (`/A/0/B`); numbers as text too, since AWS takes both.
    pub(crate) fn text(&self, path: &str) -> String {
        match self.properties.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "-".to_owned(),
        }
    }

    fn number(&self, path: &str) -> u64 {
        self.text(path).parse().unwrap_or_else(|_| panic!("{}{path} is {}", self.name, self.text(path)))
    }

    /// The environment of one of the containers of a task definition.
    pub(crate) fn environment(&self, container: usize) -> BTreeMap<String, String> {
        let pairs = self.properties["ContainerDefinitions"][container]["Environment"].as_array();
        let text = |value: &Value| value.as_str().expect("names and values are text").to_owned();
        pairs.into_iter().flatten().map(|pair| (text(&pair["Name"]), text(&pair["Value"]))).collect()
    }
}

/// All resources of all applications, for one choice of parameters.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Resource>);

/// What the template says for each of [`CHOICES`]; read once.
static ALL: OnceCell<Vec<Template>> = OnceCell::const_new();

async fn read() -> Vec<Template> {
    let python = root().join(".venv/bin/python3").display().to_string();
    let script = root().join("e2e/tests/template/evaluate.py").display().to_string();
    let template = root().join("template.yaml").display().to_string();
    let command = tools::command(&python).args([&script, &template]).args(CHOICES).output_cap(64 << 20);
    let output = tools::attempt(command).await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr_text());
    let choices: Vec<Vec<Value>> = serde_json::from_str(&output.stdout_text()).expect("evaluate.py prints JSON");
    choices.iter().map(|rows| Template(rows.iter().map(Resource::from).collect())).collect()
}

impl Template {
    /// The one of `choice`, which is one of [`CHOICES`].
    async fn of(choice: &str) -> Self {
        let at = CHOICES.iter().position(|known| *known == choice).unwrap_or_else(|| panic!("{choice} is none of CHOICES"));
        ALL.get_or_init(read).await[at].clone()
    }

    async fn prod() -> Self {
        Self::of("Environment=prod").await
    }

    pub(crate) async fn dev() -> Self {
        Self::of("Environment=dev").await
    }

    /// All resources of the type `kind`.
    fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.0.iter().filter(move |resource| resource.kind == kind)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|resource| resource.name == name)
    }

    pub(crate) fn get(&self, name: &str) -> &Resource {
        self.0.iter().find(|resource| resource.name == name).unwrap_or_else(|| panic!("the template has no {name}"))
    }

    /// The resource that `reference` (`${Name}` or `${Name.Attribute}`) names.
    fn referred(&self, reference: &str) -> &Resource {
        let name = reference.strip_prefix("${").and_then(|rest| rest.split(['.', '}']).next());
        self.get(name.unwrap_or_else(|| panic!("{reference} refers to nothing")))
    }
}

/// A list, or a single value in the place of one.
pub(crate) fn list(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().map(text).collect(),
        one => vec![text(one)],
    }
}
