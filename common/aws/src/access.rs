//! The right to call AWS: keys that hold until somebody replaces them, or a container's role, whose keys are fetched and fetched
//! again before they expire (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html>).

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use domain::Secret;
use redact::Redactor;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Http;

/// How long the address of a role may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the right to call AWS comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Keys.
    Keys {
        /// The access key's id.
        id: String,
        /// The secret access key.
        secret: Secret,
        /// The session token, where the keys are temporary.
        session: Option<Secret>,
    },
    /// The role of the container.
    Container {
        /// The address that gives its keys.
        url: String,
        /// What that wants as `authorization`.
        token: Option<Secret>,
        /// A file with what it wants, read each time since it changes; comes before `token`.
        token_file: Option<PathBuf>,
    },
}

/// Gives the SDK what it signs with; the SDK keeps it until shortly before it expires.
#[derive(Debug)]
pub(crate) struct Provider {
    http: Http,
    access: Option<Access>,
}

/// How the words begin that tell why there is nothing to sign with.
pub(crate) const NO_KEYS: &str = "no keys";

/// What a container's address answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fetched {
    access_key_id: String,
    secret_access_key: Secret,
    token: Option<Secret>,
    expiration: Option<String>,
}

impl Provider {
    pub(crate) fn new(http: Http, access: Option<Access>) -> Self {
        Self { http, access }
    }

    async fn credentials(&self) -> provider::Result {
        let (url, token, token_file) = match &self.access {
            None => return Err(CredentialsError::not_loaded(format!("{NO_KEYS} in the environment, in a file or from a role"))),
            Some(Access::Keys { id, secret, session }) => return Ok(credentials(id, secret, session.as_ref(), None)),
            Some(Access::Container { url, token, token_file }) => (url, token, token_file),
        };
        // The address is as good as a key to whoever shares the task's network: it is in no message.
        let failed = |cause: String| CredentialsError::provider_error(format!("{NO_KEYS} of the task's role: {cause}"));
        // Whoever fetches a secret tells the redactor, like whoever reads one from the environment.
        let redactor = Redactor::of_process();
        let token = match token_file {
            Some(path) => {
                let read = tokio::fs::read_to_string(path).await;
                Some(Secret::new(read.map_err(|error| failed(format!("{}: {error}", path.display())))?.trim()))
            }
            None => token.clone(),
        };
        if let Some(token) = &token {
            redactor.register("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
        }
        let answer = self.http.get(url, token.as_ref(), PATIENCE).await.map_err(failed)?;
        if answer.status != 200 {
            return Err(failed(format!("status {}", answer.status)));
        }
        let keys: Fetched = serde_json::from_slice(&answer.body)
            .map_err(|error| failed(format!("not the JSON of keys (line {} column {})", error.line(), error.column())))?;
        redactor.register("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
        if let Some(session) = &keys.token {
            redactor.register("AWS_SESSION_TOKEN", session);
        }
        let until = keys.expiration.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok()).map(SystemTime::from);
        Ok(credentials(&keys.access_key_id, &keys.secret_access_key, keys.token.as_ref(), until))
    }
}

fn credentials(id: &str, secret: &Secret, session: Option<&Secret>, until: Option<SystemTime>) -> Credentials {
    Credentials::new(id, secret.expose(), session.map(|session| session.expose().to_owned()), until, "codeteam")
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
