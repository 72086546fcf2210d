//! What a call is signed with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_bedrockruntime::config::{Builder, Credentials, Token};
use aws_smithy_runtime_api::client::auth::http::HTTP_BEARER_AUTH_SCHEME_ID;
use domain::Secret;
use redact::Redactor;
use serde::Deserialize;
use tokio::time::Instant;

use super::NAME;
use crate::LlmError;
use crate::http::{Failure, Http};

/// How long fetched keys are used before they are fetched again. A container's keys are replaced hours before
/// they expire, and asking costs a millisecond.
const FRESH: Duration = Duration::from_secs(300);

/// Where the right to call Bedrock comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AwsAccess {
    /// Keys that hold until somebody replaces them.
    Keys {
        /// The access key's id.
        id: String,
        /// The secret access key.
        secret: Secret,
        /// The session token, where the keys are temporary.
        session: Option<Secret>,
    },
    /// A Bedrock API key, sent as a bearer token.
    ApiKey(Secret),
    /// The keys of the container's role: fetched, and fetched again before they expire
    /// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html>).
    Container {
        /// The address that gives them.
        url: String,
        /// What it wants as `authorization`.
        token: Option<Secret>,
        /// A file with what it wants, read each time since it changes; comes before `token`.
        token_file: Option<PathBuf>,
    },
}

impl AwsAccess {
    /// What must not appear in any message.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Keys { id, secret, session } => [Secret::new(id), secret.clone()].into_iter().chain(session.clone()).collect(),
            Self::ApiKey(key) => vec![key.clone()],
            Self::Container { token, .. } => token.iter().cloned().collect(),
        }
    }

    /// Gives `config` what it signs with.
    pub(super) fn apply(&self, config: Builder) -> Builder {
        match self {
            Self::Keys { id, secret, session } => {
                let session = session.as_ref().map(|session| session.expose().to_owned());
                config.credentials_provider(Credentials::new(id, secret.expose(), session, None, "codeteam"))
            }
            Self::ApiKey(key) => config.bearer_token(Token::new(key.expose(), None)).auth_scheme_preference([HTTP_BEARER_AUTH_SCHEME_ID]),
            // Never left at this: `Accesses::current` has fetched the keys.
            Self::Container { .. } => config,
        }
    }
}

/// The access of now.
#[derive(Clone, Debug)]
pub(super) struct Accesses {
    http: Http,
    source: AwsAccess,
    fetched: Arc<Mutex<Option<(Instant, AwsAccess)>>>,
}

/// What a container's address answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fetched {
    access_key_id: String,
    secret_access_key: Secret,
    token: Option<Secret>,
}

impl Accesses {
    pub(super) fn new(http: Http, source: AwsAccess) -> Self {
        Self { http, source, fetched: Arc::default() }
    }

    pub(super) async fn current(&self) -> Result<AwsAccess, Failure> {
        let AwsAccess::Container { url, token, token_file } = &self.source else { return Ok(self.source.clone()) };
        let known = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, access)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(access);
        }
        // Whoever fetches a secret tells the redactor, like whoever reads one from the environment.
        let redactor = Redactor::of_process();
        // The address is as good as a key to whoever shares the task's network.
        let url_shown = || "the address of the task's role".to_owned();
        let unreachable = |cause: String| Failure { error: LlmError::Unreachable { provider: NAME, url: url_shown(), cause }, again: true };
        let token = match token_file {
            Some(path) => {
                let read = tokio::fs::read_to_string(path).await;
                Some(Secret::new(read.map_err(|error| unreachable(format!("{}: {error}", path.display())))?.trim()))
            }
            None => token.clone(),
        };
        if let Some(token) = &token {
            redactor.register("AWS_CONTAINER_AUTHORIZATION_TOKEN", token);
        }
        let answer = self.http.fetch(url, token.as_ref()).await.map_err(|cause| unreachable(format!("no keys: {cause}")))?;
        let keys: Fetched = serde_json::from_str(&answer).map_err(|error| unreachable(format!("no keys: {error}")))?;
        redactor.register("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
        if let Some(session) = &keys.token {
            redactor.register("AWS_SESSION_TOKEN", session);
        }
        let access = AwsAccess::Keys { id: keys.access_key_id, secret: keys.secret_access_key, session: keys.token };
        // Two calls at once may both have fetched: either's keys will do.
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), access.clone()));
        Ok(access)
    }
}
