//! What the door answers when a request does not become a call: the errors that AWS Lambda documents.

use std::fmt::Display;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch::Registry;
use serde_json::json;

use super::REQUEST_LIMIT;
use crate::sigv4::SignatureError;

/// A request that is turned away.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// The exception's name in the API.
    name: &'static str,
    message: String,
}

impl Refusal {
    /// There is no such handler; the message names those there are.
    pub(super) fn unknown(name: &str, registry: &Registry) -> Self {
        let known: Vec<_> = registry.names().collect();
        Self::not_found(format!("no function {name:?}; known: {}", known.join(", ")))
    }

    pub(super) fn not_found(message: String) -> Self {
        Self { status: StatusCode::NOT_FOUND, name: "ResourceNotFoundException", message }
    }

    pub(super) fn not_json(error: &serde_json::Error) -> Self {
        let message = format!("could not parse request body into json: {error}");
        Self { status: StatusCode::BAD_REQUEST, name: "InvalidRequestContentException", message }
    }

    /// The client's connection failed while it sent the body.
    pub(super) fn unreadable(error: &axum::Error) -> Self {
        let message = format!("could not read the request body: {error}");
        Self { status: StatusCode::BAD_REQUEST, name: "InvalidRequestContentException", message }
    }

    pub(super) fn invocation_type(given: &str) -> Self {
        let message = format!("no invocation type {given:?}; known: RequestResponse, Event, DryRun");
        Self { status: StatusCode::BAD_REQUEST, name: "InvalidParameterValueException", message }
    }

    pub(super) fn too_large() -> Self {
        let message = format!("request must be at most {REQUEST_LIMIT} bytes for the invoke operation");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, name: "RequestTooLargeException", message }
    }

    /// A door without keys was used by something else than a program on this machine.
    pub(super) fn browser() -> Self {
        let message = "this door is open to programs on this machine only: no browser, and a Host that is loopback".to_owned();
        Self { status: StatusCode::FORBIDDEN, name: "AccessDeniedException", message }
    }

    /// All the calls that a handler may run are running.
    pub(super) fn full(name: &str, limit: usize) -> Self {
        let message = format!("{name} already runs {limit} calls, its limit; try again in a second");
        Self { status: StatusCode::TOO_MANY_REQUESTS, name: "TooManyRequestsException", message }
    }

    /// The call's task is gone without a result.
    pub(super) fn broken(error: &impl Display) -> Self {
        tracing::error!("a call ended without a result: {error}");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, name: "ServiceException", message: "the call ended without a result".to_owned() }
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        Self { status: StatusCode::FORBIDDEN, name: error.aws_name(), message: error.to_string() }
    }
}

/// `Type` and `Message` are what AWS sends; `cargo lambda invoke` reads `errorType` and `errorMessage`, whatever
/// the status.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = if self.status.is_server_error() { "Service" } else { "User" };
        let body = json!({ "Type": kind, "Message": self.message, "errorType": self.name, "errorMessage": self.message });
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-amzn-errortype", self.name)];
        let mut response = (self.status, headers, body.to_string()).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
