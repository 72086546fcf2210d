//! Secrets that come from Secrets Manager, and are replaced there while they are used.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod rotation;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use config::{Environment, Services, Settings};
use serde_json::{Value, json};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A Secrets Manager on loopback, with entries below `team/dev/` that change.
struct Entries {
    server: MockServer,
    held: Held,
}

#[derive(Clone, Default)]
struct Held(Arc<Mutex<BTreeMap<String, String>>>);

impl Respond for Held {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let name = asked["SecretId"].as_str().and_then(|id| id.strip_prefix("team/dev/")).unwrap();
        match self.0.lock().unwrap().get(name) {
            Some(value) => ResponseTemplate::new(200).set_body_json(json!({ "SecretString": value })),
            None => ResponseTemplate::new(400).set_body_json(json!({"__type": "ResourceNotFoundException", "message": "none"})),
        }
    }
}

impl Entries {
    async fn start(entries: &[(&str, &str)]) -> Self {
        let (server, held) = (MockServer::start().await, Held::default());
        let call = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        call.respond_with(held.clone()).mount(&server).await;
        let started = Self { server, held };
        entries.iter().for_each(|(name, value)| started.set(name, value));
        started
    }

    fn set(&self, name: &str, value: &str) {
        self.held.0.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Services of a deployment with these entries, whose environment holds `further` as well.
    fn services(&self, further: &[(&str, &str)]) -> Services {
        let uri = self.server.uri();
        let held = self.held.0.lock().unwrap().clone();
        let deployment = [
            ("CODETEAM_SECRETS", "team/dev"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &uri),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-test"),
        ];
        let variables: Vec<(&str, &str)> = deployment.into_iter().chain(further.iter().copied()).collect();
        let set = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::read(|name| held.get(name).cloned().or_else(|| set(name)), false).unwrap();
        let environment = Environment(variables.iter().map(|(name, value)| (name.into(), value.into())).collect());
        Services::new(Settings { environment, ..settings })
    }
}
