//! The handler trait, event envelopes, registry and Lambda adapter.
//!
//! A [`Handler`] sees typed requests and nothing of where they come from. Everything around it happens
//! here, once, for every handler alike:
//!
//! ```text
//! run_lambda (AWS Lambda, cargo lambda) ─┐
//! Registry::invoke (Invoke API, pollers) ┴→ envelope → decode → call → Handler::handle
//! Registry::invoke_http (our own server) ───────────→ from_http ─┘ │
//! call (worker loop, in process) ──────────────────────────────────┘
//! ```
//!
//! [`call`] applies deadline, cancellation, panic isolation, the tracing span and the metrics. The
//! envelopes of SQS, SNS, EventBridge, S3, ALB and API Gateway v2 are recognised by strict marks and
//! opened as deep as they are nested; JSON without such marks is the request itself.

mod call;
mod ctx;
mod decode;
mod envelope;
mod error;
mod handler;
mod http;
mod lambda;
mod registry;

pub use call::{CANCEL_GRACE, call};
pub use ctx::Ctx;
pub use error::HandlerError;
pub use handler::Handler;
pub use http::HttpRequest;
pub use lambda::run_lambda;
pub use registry::{InvokeError, Registry};
