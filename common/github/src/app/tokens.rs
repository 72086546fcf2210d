//! Tokens for one repository each, with no more than what one kind of work needs, for an hour at most.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::App;
use super::http::Call;
use crate::{ForgeError, RepositoryName};

/// A token is not used when it has less than this to live: a clone takes its time.
const RESERVE: Duration = Duration::minutes(5);

/// What a token is for, and so what it may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Scope {
    /// Clone and fetch.
    Clone,
    /// Push.
    Push,
    /// Speak: comments, reviews, reactions, pull requests, check runs.
    Talk,
}

impl Scope {
    fn permissions(self) -> Value {
        match self {
            Self::Clone => json!({ "contents": "read", "metadata": "read" }),
            Self::Push => json!({ "contents": "write", "metadata": "read" }),
            Self::Talk => {
                json!({ "checks": "write", "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "write" })
            }
        }
    }
}

/// What is known of installations and tokens. Keys are in lower case, as GitHub takes names.
#[derive(Default)]
pub(super) struct Tokens {
    installations: Mutex<HashMap<String, u64>>,
    minted: Mutex<HashMap<Key, Minted>>,
}

/// For which repository (`None` = none in particular) and what.
type Key = (Option<String>, Option<Scope>);

#[derive(Clone, Deserialize)]
struct Minted {
    token: Secret,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

impl Tokens {
    fn installations(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.installations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn minted(&self) -> MutexGuard<'_, HashMap<Key, Minted>> {
        self.minted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, key: &Key, now: OffsetDateTime) -> Option<Secret> {
        self.minted().get(key).filter(|minted| minted.expires_at - RESERVE > now).map(|minted| minted.token.clone())
    }

    fn keep(&self, key: Key, minted: Minted, now: OffsetDateTime) {
        let mut all = self.minted();
        all.retain(|_, minted| minted.expires_at > now);
        all.insert(key, minted);
    }

    /// `token` is not taken any more.
    pub(super) fn forget(&self, token: &Secret) {
        self.minted().retain(|_, minted| minted.token != *token);
    }
}

impl App {
    /// A token for `repository` that may do what `scope` says.
    pub(crate) async fn token(&self, repository: RepositoryName<'_>, scope: Scope) -> Result<Secret, ForgeError> {
        let name = repository.to_string().to_ascii_lowercase();
        let key = (Some(name.clone()), Some(scope));
        if let Some(token) = self.inner.tokens.fresh(&key, self.inner.clock.now()) {
            return Ok(token);
        }
        let body = json!({ "repositories": [repository.name()], "permissions": scope.permissions() });
        let known = self.inner.tokens.installations().get(&name).copied();
        if let Some(installation) = known {
            match self.mint(installation, &key, &body).await {
                // It was uninstalled, and perhaps installed anew, under another number.
                Err(ForgeError::NotFound(_)) => drop(self.inner.tokens.installations().remove(&name)),
                other => return other,
            }
        }
        let installation = self.installation(repository).await?;
        let token = self.mint(installation, &key, &body).await?;
        self.inner.tokens.installations().insert(name, installation);
        Ok(token)
    }

    /// The token for `repository` that may do what `scope` says is not taken any more: the next one is another.
    pub(crate) fn forget_token(&self, repository: RepositoryName<'_>, scope: Scope) {
        let key = (Some(repository.to_string().to_ascii_lowercase()), Some(scope));
        self.inner.tokens.minted().remove(&key);
    }

    /// A token that sees what everybody sees, for questions about accounts.
    pub(crate) async fn token_for_accounts(&self) -> Result<Secret, ForgeError> {
        let key = (None, None);
        if let Some(token) = self.inner.tokens.fresh(&key, self.inner.clock.now()) {
            return Ok(token);
        }
        let installations = self.installations().await?;
        let Some(installation) = installations.into_iter().find(|installation| installation.suspended_at.is_none()) else {
            return Err(ForgeError::NotFound(format!("the App {} is installed nowhere: install it on a repository", self.inner.app_id)));
        };
        self.mint(installation.id, &key, &json!({ "permissions": { "metadata": "read" } })).await
    }

    async fn installation(&self, repository: RepositoryName<'_>) -> Result<u64, ForgeError> {
        match self.as_app(&Call::get(format!("/repos/{repository}/installation"))).await {
            Ok(reply) => Ok(reply.json::<Installation>()?.id),
            Err(ForgeError::NotFound(text)) => {
                Err(ForgeError::NotFound(format!("the App is not installed on {repository}, or there is no such repository; {text}")))
            }
            Err(other) => Err(other),
        }
    }

    async fn mint(&self, installation: u64, key: &Key, body: &Value) -> Result<Secret, ForgeError> {
        let call = Call::post(format!("/app/installations/{installation}/access_tokens"), Some(body.clone()));
        let minted: Minted = match self.as_app(&call).await {
            Ok(reply) => reply.json()?,
            // Nothing is wrong with the request: the owner has not granted what it asks for.
            Err(ForgeError::Invalid(text)) => {
                return Err(ForgeError::Denied(format!(
                    "{text}: the owner has to accept the App's permissions, or to give it the repository"
                )));
            }
            Err(other) => return Err(other),
        };
        (self.inner.on_token)(&minted.token);
        let token = minted.token.clone();
        self.inner.tokens.keep(key.clone(), minted, self.inner.clock.now());
        Ok(token)
    }
}
