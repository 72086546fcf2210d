//! The settings of this process, from its environment and, in a deployment, from Secrets Manager.

use redact::Redactor;
use tracing::warn;

use crate::secrets::{self, Need};
use crate::{Environment, Settings, SettingsError};

/// Why a process does not know its settings.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Correct the variable.
    #[error(transparent)]
    Setting(#[from] SettingsError),
    /// The secrets of the deployment cannot be read.
    #[error("{why}")]
    Secrets {
        /// Which one, where, and what right is missing.
        why: String,
        /// The settings without them, for whoever looks at what is wrong.
        without: Box<Settings>,
    },
}

impl Settings {
    /// Reads the process's environment, and of the secrets that `CODETEAM_SECRETS` names those that `needs` are about. From then on no secret in it passes the
    /// process's redactor, be it one of the settings or another program's.
    ///
    /// # Errors
    /// The first variable that cannot be understood, or the first secret that cannot be read.
    pub fn from_env(needs: &[Need]) -> Result<Self, StartError> {
        let root = rustix::process::geteuid().is_root() || process::spawner::root_is_given_up();
        let mut settings = Self::of(Environment::of_process(), root)?;
        if process::spawner::root_is_given_up() {
            // The home of root is closed to whom we are now.
            settings.environment.0.retain(|(name, _)| name != "HOME");
            settings.environment.0.push(("HOME".into(), settings.state_dir.clone().into()));
        }
        settings.register(Redactor::of_process());
        let settings = settings.with_held(root, needs)?;
        settings.register(Redactor::of_process());
        Ok(settings)
    }

    fn of(environment: Environment, root: bool) -> Result<Self, SettingsError> {
        let settings = Self::read(|name| environment.text(name).map(str::to_owned), root)?;
        Ok(Self { environment, ..settings })
    }

    /// The same with the secrets that Secrets Manager holds for `needs`, and none of the environment's of such names.
    fn with_held(self, root: bool, needs: &[Need]) -> Result<Self, StartError> {
        if self.deployment.secrets.is_none() {
            return Ok(self);
        }
        let mut environment = self.environment.clone();
        let ignored = secrets::NAMES.into_iter().filter(|name| environment.text(name).is_some()).collect();
        environment.0.retain(|(name, _)| !secrets::NAMES.iter().any(|held| name == held));
        let without = Self { ignored, ..Self::of(environment, root)? };
        let fetched =
            without.vault().and_then(|vault| Ok(vault.map(|vault| secrets::fetch(&vault, needs)).transpose()?.unwrap_or_default()));
        let held = match fetched {
            Ok(held) => held,
            Err(error) => return Err(StartError::Secrets { why: format!("{error:#}"), without: Box::new(without) }),
        };
        let lookup = |name: &str| match held.get(name) {
            Some(secret) => Some(secret.expose().to_owned()),
            None => without.environment.text(name).map(str::to_owned),
        };
        let read = Self::read(lookup, root)?;
        Ok(Self { ignored: without.ignored, environment: without.environment, ..read })
    }

    /// Says what was set in vain, once there is a log.
    pub fn warn(&self) {
        if !self.ignored.is_empty() {
            let names = self.ignored.join(", ");
            warn!("{names} of the environment are ignored: CODETEAM_SECRETS is set, so secrets come from Secrets Manager alone");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{body_json, header, method};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// What the always-on service asks for.
    const NEEDS: [Need; 5] = [Need::Database, Need::Notifications, Need::Models, Need::GitHubApp, Need::Webhooks];

    /// The environment of a task whose secrets are at `endpoint`.
    fn environment(endpoint: &str) -> Environment {
        let pairs = [
            ("CODETEAM_SECRETS", "team/dev"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-test"),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("GOOGLE_API_KEY", "forged"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1"),
        ];
        Environment(pairs.map(|(name, value)| (name.into(), value.into())).to_vec())
    }

    /// Answers what is asked for `name`, or for everything.
    async fn answer(server: &MockServer, name: Option<&str>, answer: ResponseTemplate) {
        let call = Mock::given(method("POST")).and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        let call = match name {
            Some(name) => call.and(body_json(json!({"SecretId": format!("team/dev/{name}")}))),
            None => call,
        };
        call.respond_with(answer).mount(server).await;
    }

    fn refused(code: &str) -> ResponseTemplate {
        ResponseTemplate::new(400).set_body_json(json!({"__type": code, "message": "no"}))
    }

    #[tokio::test]
    async fn a_deployments_secrets_come_from_secrets_manager_and_never_from_the_environment() {
        let server = MockServer::builder().start().await;
        let held = |text: &str| ResponseTemplate::new(200).set_body_json(json!({ "SecretString": text }));
        answer(&server, Some("DATABASE_URL"), held(&format!("postgres://u:{}@h/d", "true-Zs8nBcQ7"))).await;
        answer(&server, Some("OPENAI_API_KEY"), held("sk-true-kX9vQ2mL")).await;
        answer(&server, Some("GITHUB_WEBHOOK_SECRET"), held("hook-Qm7pRt4w")).await;
        answer(&server, None, refused("ResourceNotFoundException")).await;
        let settings = Settings::of(environment(&server.uri()), false).unwrap().with_held(false, &NEEDS).unwrap();
        let text = |secret: &Option<domain::Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        assert_eq!(text(&settings.database_url).as_deref(), Some(&*format!("postgres://u:{}@h/d", "true-Zs8nBcQ7")));
        assert_eq!(text(&settings.openai_api_key).as_deref(), Some("sk-true-kX9vQ2mL"));
        assert_eq!(settings.webhook_secrets.iter().map(domain::Secret::expose).collect::<Vec<_>>(), ["hook-Qm7pRt4w"]);
        assert_eq!(settings.google_api_key, None, "an entry that is missing is a secret that is not set");
        assert_eq!(text(&settings.openai_base_url).as_deref(), Some("http://127.0.0.1:1/v1"), "what is no secret is the environment's");
        assert_eq!(settings.ignored, ["DATABASE_URL", "GOOGLE_API_KEY"]);
        assert_eq!(settings.environment.text("GOOGLE_API_KEY"), None, "programs that are started do not get it either");
        let redactor = Redactor::new();
        settings.register(&redactor);
        assert_eq!(redactor.text("true-Zs8nBcQ7 sk-true-kX9vQ2mL"), "[redacted: DATABASE_URL] [redacted: OPENAI_API_KEY]");
    }

    #[tokio::test]
    async fn a_secret_that_may_not_be_read_ends_the_start_with_its_name_region_and_right() {
        let server = MockServer::builder().start().await;
        answer(&server, Some("DATABASE_URL"), refused("AccessDeniedException")).await;
        answer(&server, None, refused("ResourceNotFoundException")).await;
        let error = Settings::of(environment(&server.uri()), false).unwrap().with_held(false, &NEEDS).unwrap_err();
        let told = error.to_string();
        for word in ["team/dev/DATABASE_URL", "us-east-1", "secretsmanager:GetSecretValue"] {
            assert!(told.contains(word), "no {word} in {told}");
        }
        let StartError::Secrets { without, .. } = error else { panic!("{told}") };
        assert_eq!((without.database_url, without.google_api_key), (None, None), "the environment's are no way out");
    }

    #[tokio::test]
    async fn what_is_not_needed_is_neither_asked_for_nor_taken_from_the_environment() {
        let server = MockServer::builder().start().await;
        let held = ResponseTemplate::new(200).set_body_json(json!({ "SecretString": format!("postgres://u:{}@h/d", "true-Zs8nBcQ7") }));
        answer(&server, Some("DATABASE_URL"), held).await;
        let settings = Settings::of(environment(&server.uri()), false).unwrap().with_held(false, &[Need::Database]).unwrap();
        assert!(settings.database_url.is_some());
        assert_eq!((settings.google_api_key, settings.ignored), (None, vec!["DATABASE_URL", "GOOGLE_API_KEY"]));
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
        let settings = Settings::of(environment(&server.uri()), false).unwrap().with_held(false, &[]).unwrap();
        assert_eq!((settings.database_url, server.received_requests().await.unwrap().len()), (None, 1));
    }

    #[test]
    fn without_a_region_it_is_said_what_to_set() {
        let environment = Environment(vec![("CODETEAM_SECRETS".into(), "team/dev".into())]);
        let error = Settings::of(environment, false).unwrap().with_held(false, &NEEDS).unwrap_err();
        assert_eq!(error.to_string(), "AWS_REGION is not set: name the region of the deployment");
    }
}
