//! The trait that every handler implements.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decode::decode_slice;
use crate::{Ctx, HandlerError, HttpRequest};

/// One capability: a typed request in, a typed response out.
///
/// A handler may run twice with one request (queues deliver at least once), so the second run must be
/// harmless. It holds what it needs, given by its constructor, and is cloned freely.
pub trait Handler: Clone + Send + Sync + 'static {
    /// What callers, metrics and logs call it.
    const NAME: &'static str;
    /// What it is asked.
    type Request: DeserializeOwned + Send;
    /// What it answers.
    type Response: Serialize + Send;

    /// Does the work.
    ///
    /// The future is dropped at `ctx.deadline`, so what it owns (children, transactions) must end with it.
    fn handle(&self, ctx: Ctx, request: Self::Request) -> impl Future<Output = Result<Self::Response, HandlerError>> + Send;

    /// Makes the request out of an HTTP request (ALB, API Gateway v2, our own server). Unless a handler says
    /// otherwise, the body is the JSON of the request.
    ///
    /// # Errors
    /// [`HandlerError::Invalid`] when the body is not such JSON, with the path of the bad field.
    fn from_http(request: HttpRequest) -> Result<Self::Request, HandlerError> {
        decode_slice(&format!("{} request", Self::NAME), &request.body)
    }
}
