//! All handlers of a process by name, with their types erased to JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::call::observe;
use crate::decode::decode;
use crate::{Ctx, Handler, HandlerError, HttpRequest, envelope};

/// The handlers of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Registry {
    handlers: BTreeMap<&'static str, Arc<dyn Erased>>,
}

/// Why [`Registry::invoke`] gave no response.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no handler of this name.
    #[error("no handler {name:?}; known: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The handler failed.
    #[error(transparent)]
    Handler(#[from] HandlerError),
}

impl Registry {
    /// No handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `handler` under its name.
    ///
    /// # Panics
    /// When another handler has this name: that is a mistake in the program.
    #[must_use]
    pub fn with<H: Handler>(mut self, handler: H) -> Self {
        let previous = self.handlers.insert(H::NAME, Arc::new(handler));
        assert!(previous.is_none(), "two handlers are named {:?}", H::NAME);
        self
    }

    /// The names of all handlers, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.keys().copied()
    }

    /// Whether there is a handler `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.handlers.contains_key(name)
    }

    /// Gives `event` to the handler `name`: the JSON of a request, or an envelope around one or many.
    ///
    /// The answer to a request is its response; to SQS `{batchItemFailures}`; to ALB and API Gateway v2 an
    /// HTTP response, also when the handler fails; to SNS and S3 the list of the responses, one a record.
    ///
    /// # Errors
    /// [`InvokeError::Unknown`], or how the handler failed (see [`crate::call`]).
    pub async fn invoke(&self, name: &str, ctx: Ctx, event: Value) -> Result<Value, InvokeError> {
        Ok(envelope::deliver(self.find(name)?, ctx, event).await?)
    }

    /// Gives an HTTP request to the handler `name`, which makes its request out of it by
    /// [`Handler::from_http`]. The caller answers with the response or with the error's
    /// [`HandlerError::http_status`].
    ///
    /// # Errors
    /// [`InvokeError::Unknown`], or how the handler failed (see [`crate::call`]).
    pub async fn invoke_http(&self, name: &str, ctx: Ctx, request: HttpRequest) -> Result<Value, InvokeError> {
        Ok(self.find(name)?.http(ctx, request).await?)
    }

    fn find(&self, name: &str) -> Result<&dyn Erased, InvokeError> {
        let unknown = || InvokeError::Unknown { name: name.to_owned(), known: self.names().collect::<Vec<_>>().join(", ") };
        self.handlers.get(name).map(AsRef::as_ref).ok_or_else(unknown)
    }
}

/// A [`Handler`] without its types.
pub(crate) trait Erased: Send + Sync {
    /// Calls it with the JSON of a request.
    fn json(&self, ctx: Ctx, request: Value) -> BoxFuture<'_, Result<Value, HandlerError>>;

    /// Calls it with an HTTP request.
    fn http(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, Result<Value, HandlerError>>;
}

impl<H: Handler> Erased for H {
    fn json(&self, ctx: Ctx, request: Value) -> BoxFuture<'_, Result<Value, HandlerError>> {
        erase(self, ctx, move || decode(&format!("{} request", H::NAME), request))
    }

    fn http(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, Result<Value, HandlerError>> {
        erase(self, ctx, move || H::from_http(request))
    }
}

/// Decoding and encoding belong to the call: they fail in its span and count in its metrics.
fn erase<H: Handler>(
    handler: &H,
    ctx: Ctx,
    decode: impl FnOnce() -> Result<H::Request, HandlerError> + Send + 'static,
) -> BoxFuture<'_, Result<Value, HandlerError>> {
    observe(H::NAME, ctx.clone(), async move {
        let response = handler.handle(ctx, decode()?).await?;
        serde_json::to_value(response)
            .map_err(|error| HandlerError::Internal(anyhow::Error::new(error).context(format!("the response of {} is not JSON", H::NAME))))
    })
    .boxed()
}
