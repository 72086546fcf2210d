//! The door to Secrets Manager: a task reads what the template permits its role, and is refused everything else, as AWS does it and the
//! emulator does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{Answer, Asked, Served, exchange};
use crate::template::{Template, list};

/// The services that the built product stands in for, and their roles.
const ROLES: [(&str, &str); 3] = [("dashboard", "DashboardRole"), ("mechanic-worker", "MechanicRole"), ("genius-worker", "GeniusRole")];

/// Names of entries, by service.
type ByService = BTreeMap<String, BTreeSet<String>>;

pub(super) struct Gate {
    served: Served,
    permitted: Arc<ByService>,
    asked: Arc<Mutex<ByService>>,
}

impl Gate {
    /// Before the emulator at `address`. Who asks is told by the access key's id, which is the service's name.
    pub(super) async fn start(address: &str) -> Self {
        let template = Template::dev().await;
        let permitted = ROLES.map(|(service, role)| (service.to_owned(), readable(&template.get(role).properties)));
        let (permitted, asked) = (Arc::new(ByService::from(permitted)), Arc::<Mutex<ByService>>::default());
        let served = Served::start({
            let (permitted, asked, address) = (Arc::clone(&permitted), Arc::clone(&asked), address.to_owned());
            move |request| pass(address.clone(), Arc::clone(&permitted), Arc::clone(&asked), request)
        });
        Self { served: served.await, permitted, asked }
    }

    pub(super) fn address(&self) -> &str {
        &self.served.address
    }

    /// What the template permits `service`.
    pub(super) fn permitted(&self, service: &str) -> BTreeSet<String> {
        self.permitted[service].clone()
    }

    /// What `service` has asked for so far, permitted or not.
    pub(super) fn asked(&self, service: &str) -> BTreeSet<String> {
        self.asked.lock().unwrap().get(service).cloned().unwrap_or_default()
    }
}

/// The entries that a role may read.
fn readable(role: &Value) -> BTreeSet<String> {
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap();
    let reads = statements.iter().filter(|statement| list(&statement["Action"]).contains(&"secretsmanager:GetSecretValue".to_owned()));
    let arns = reads.flat_map(|statement| list(&statement["Resource"]));
    arns.map(|arn| arn.split(":secret:").nth(1).unwrap().trim_end_matches("-??????").to_owned()).collect()
}

async fn pass(address: String, permitted: Arc<ByService>, asked: Arc<Mutex<ByService>>, request: Asked) -> Answer {
    let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
    let service = header("authorization").split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let entry = body["SecretId"].as_str().unwrap_or_default().to_owned();
    asked.lock().unwrap().entry(service.to_owned()).or_default().insert(entry.clone());
    let reads = header("x-amz-target") == "secretsmanager.GetSecretValue";
    if !reads || !permitted.get(service).is_some_and(|names| names.contains(&entry)) {
        let refused = json!({ "__type": "AccessDeniedException", "Message": format!("{service} is not authorized to read {entry}") });
        return Some((400, refused.to_string().into_bytes()));
    }
    let names = ["authorization", "content-type", "x-amz-date", "x-amz-target"];
    let headers: String = names.map(|name| format!("{name}: {}\r\n", header(name))).concat();
    Some(exchange(&address, &request.method, &request.path, &headers, &request.body).await)
}
