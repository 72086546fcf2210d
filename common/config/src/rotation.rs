//! Secrets that are replaced while they are used.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::aws::AwsError;
use ::aws::secrets::Vault;
use async_trait::async_trait;
use domain::Secret;
use llm::{LlmError, ModelRequest, Provider, ProviderName, Reply};
use redact::Redactor;
use store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::login::Login;
use crate::secrets;

/// How long after one refusal the next is not listened to: what was read meanwhile has to be tried first.
const PAUSE: Duration = Duration::from_secs(10);
/// How often the secrets of GitHub are looked at.
const LOOK: Duration = Duration::from_secs(300);

/// Opens further sessions of the database by what `login` gives, again and again, until it is dropped. What cannot be had now is asked
/// for again; sessions that are open stay so.
pub(crate) async fn keep_open(login: Login, mut known: Secret, reopen: impl Fn(&Secret) -> Result<(), StoreError>) {
    let Some(every) = login.changes_every() else { return };
    loop {
        let refused = tokio::select! {
            () = tokio::time::sleep(every) => false,
            () = secrets::refusal() => true,
        };
        match login.url(refused).await {
            Ok(url) if url == known => {}
            Ok(url) => match reopen(&url) {
                Ok(()) => known = url,
                Err(error) => tracing::error!("the database's new URL is of no use, sessions are opened by the one before: {error}"),
            },
            Err(error) => tracing::warn!("what opens the database cannot be looked at, sessions are opened as before: {error:#}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gives `changed` the secrets `names` whenever one of them has another value than before, until it is dropped.
pub(crate) async fn keep_current<const N: usize>(
    vault: Vault,
    names: [&'static str; N],
    mut known: [Option<Secret>; N],
    changed: impl Fn(&[Option<Secret>; N]) -> anyhow::Result<()>,
) {
    loop {
        let refused = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            () = secrets::refusal() => true,
        };
        match read(&vault, names, refused).await {
            Ok(now) if now == known => {}
            Ok(now) => match changed(&now) {
                Ok(()) => known = now,
                Err(error) => tracing::error!("what Secrets Manager holds now is of no use, and what was known is kept: {error:#}"),
            },
            Err(error) => tracing::warn!("secrets cannot be looked at, those that are known are kept: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read<const N: usize>(vault: &Vault, names: [&'static str; N], fresh: bool) -> Result<[Option<Secret>; N], AwsError> {
    let mut read = [const { None }; N];
    for (name, secret) in names.iter().zip(&mut read) {
        *secret = if fresh { vault.read(name).await? } else { vault.get(name).await? };
        if let Some(secret) = secret {
            Redactor::of_process().register(name, secret);
        }
    }
    Ok(read)
}

/// Makes a provider that shows a key.
type Make = Box<dyn Fn(Secret) -> Arc<dyn Provider> + Send + Sync>;

/// A provider of models whose key is in Secrets Manager: asked for every five minutes, and once more where it was not taken.
pub(crate) struct Rekeyed {
    vault: Vault,
    name: &'static str,
    make: Make,
    current: RwLock<(Secret, Arc<dyn Provider>)>,
}

impl Rekeyed {
    /// The provider that `make` makes with `key`, which is `name` in `vault`.
    pub(crate) fn new<P: Provider + 'static>(
        vault: Vault,
        name: &'static str,
        key: &Secret,
        make: impl Fn(Secret) -> P + Send + Sync + 'static,
    ) -> Self {
        let make: Make = Box::new(move |key| Arc::new(make(key)));
        let provider = make(key.clone());
        Self { vault, name, make, current: RwLock::new((key.clone(), provider)) }
    }

    fn current(&self) -> Arc<dyn Provider> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Takes the key as it is now into use; whether it is another one.
    async fn renew(&self, fresh: bool) -> bool {
        let read = if fresh { self.vault.read(self.name).await } else { self.vault.get(self.name).await };
        let key = match read {
            Ok(Some(key)) => key,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!("{} cannot be looked at, the one that is known is used: {error}", self.name);
                return false;
            }
        };
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == key {
            return false;
        }
        Redactor::of_process().register(self.name, &key);
        let provider = (self.make)(key.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (key, provider);
        tracing::info!("{} was replaced in Secrets Manager and is used from now on", self.name);
        true
    }
}

#[async_trait]
impl Provider for Rekeyed {
    fn name(&self) -> ProviderName {
        self.current().name()
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        self.current().encode(request)
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        self.renew(false).await;
        match self.current().call(body, request, deadline, cancel).await {
            // Whoever does not take the key has made no reply.
            Err(LlmError::Auth { .. }) if self.renew(true).await => self.current().call(body, request, deadline, cancel).await,
            answer => answer,
        }
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        self.current().decode(raw)
    }
}
