//! What a provider does, and the set of those that are configured.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{LlmError, ModelInfo, ModelRequest, ProviderName, Reply};

/// One way to talk to models.
///
/// A call is three steps, so that the caller can store what happened between them: [`Provider::encode`]
/// gives the body to send, [`Provider::call`] sends it and gives the verbatim reply, [`Provider::decode`]
/// reads a reply, fresh or stored.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its name in the price table.
    fn name(&self) -> ProviderName;

    /// The verbatim request body. The same request always gives the same bytes.
    ///
    /// # Errors
    /// [`LlmError::BadRequest`] for a conversation that this provider has no form for.
    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError>;

    /// Sends `body`, which is what [`Provider::encode`] made of `request`, and returns the verbatim reply.
    ///
    /// Retries, within `deadline`, only what certainly gave no reply. Returns within moments of `cancel`.
    ///
    /// # Errors
    /// Every variant of [`LlmError`].
    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError>;

    /// Reads a verbatim reply. Pure: a stored reply gives the same [`Reply`] on every worker.
    ///
    /// Its usage is normalised: `uncached_input + cache_read + cache_write` is the whole input, whatever the
    /// provider counts in which figure (see [`domain::Usage::of_total`]).
    ///
    /// # Errors
    /// [`LlmError::Malformed`].
    fn decode(&self, raw: &str) -> Result<Reply, LlmError>;
}

/// The providers that are configured.
#[derive(Clone, Default)]
pub struct Providers {
    list: Vec<Arc<dyn Provider>>,
}

/// A model was asked for whose provider has no key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("model {model:?} needs {provider}, which is not configured: set {}", provider.needs())]
pub struct NotConfigured {
    /// The model that was asked for.
    pub model: String,
    /// The provider that it needs.
    pub provider: ProviderName,
}

impl Providers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `provider`, in the place of one of the same name.
    #[must_use]
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        self.list.retain(|other| other.name() != provider.name());
        self.list.push(Arc::new(provider));
        self
    }

    /// The provider of `model`.
    ///
    /// # Errors
    /// [`NotConfigured`], which names the key to set.
    pub fn provider_for(&self, model: &ModelInfo) -> Result<&dyn Provider, NotConfigured> {
        self.named(model.provider).ok_or_else(|| NotConfigured { model: model.name.clone(), provider: model.provider })
    }

    /// Whether `name` is configured.
    pub fn has(&self, name: ProviderName) -> bool {
        self.named(name).is_some()
    }

    /// The names of those that are configured, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = ProviderName> {
        self.list.iter().map(|provider| provider.name())
    }

    fn named(&self, name: ProviderName) -> Option<&dyn Provider> {
        self.list.iter().find(|provider| provider.name() == name).map(AsRef::as_ref)
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
