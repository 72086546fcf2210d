//! Errors as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch::{HandlerError, InvokeError};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

/// Where the types of problems have their names.
const TYPES: &str = "urn:ai-code-team:problem:";

/// What can be wrong: the last part of `type`, the status and the title.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    InvalidRequest,
    Unauthorized,
    MissingScope,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    KeyReused,
    TooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    Internal,
    Unavailable,
}

impl Kind {
    /// Every kind, in the order of the statuses.
    pub(crate) const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::MissingScope,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::KeyReused,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
        Self::Internal,
        Self::Unavailable,
    ];

    /// Status, name and title.
    pub(crate) fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid-request", "The request cannot be understood"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "No valid token came with the request"),
            Self::MissingScope => (StatusCode::FORBIDDEN, "missing-scope", "The token does not permit this"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "The state of things does not allow this"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not JSON"),
            Self::KeyReused => (StatusCode::CONFLICT, "key-reused", "The idempotency key belongs to another request"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is broken on the server"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The server cannot do this now"),
        }
    }
}

/// A request that was not answered as it wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    missing_scope: Option<&'static str>,
}

/// What is wrong with a request, and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Names the kind of problem; programs decide by this.
    #[serde(rename = "type")]
    #[schema(example = "urn:ai-code-team:problem:invalid-request")]
    problem_type: String,
    /// The kind, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

/// A field that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Where in the body: a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pointer: Option<String>,
    /// Which query parameter, header or part of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// What is wrong with it.
    detail: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after_s: None, missing_scope: None }
    }

    /// A field of the body is wrong; `pointer` is empty for the body as a whole.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let place = if pointer.is_empty() { "the body".to_owned() } else { pointer.clone() };
        let error = FieldError { pointer: Some(pointer), parameter: None, detail: detail.clone() };
        Self { errors: vec![error], ..Self::new(Kind::InvalidRequest, format!("{place}: {detail}")) }
    }

    /// A query parameter, a header or a part of the path is wrong.
    pub(crate) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        let error = FieldError { pointer: None, parameter: Some(name.clone()), detail: detail.clone() };
        Self { errors: vec![error], ..Self::new(Kind::InvalidRequest, format!("{name}: {detail}")) }
    }

    /// The request is understood, and cannot be done as things are.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// A job in the body, at `place`, is wrong. What `enqueue` says begins with the field: `input.title must be…`.
    pub(crate) fn of_job(place: &str, message: String) -> Self {
        match message.split_once(' ').map(|(field, _)| field.trim_end_matches(':')) {
            Some(field) if FIELDS.contains(&field) => Self::field(format!("{place}/{}", field.replace('.', "/")), message),
            _ => Self::field(place, message),
        }
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds.max(1)), ..self }
    }

    pub(crate) fn missing_scope(scope: &'static str) -> Self {
        let detail = format!("the token lacks the scope {scope}: make one that has it with `codeteam token create`");
        Self { missing_scope: Some(scope), ..Self::new(Kind::MissingScope, detail) }
    }

    /// Something of ours is broken: the log says what, the caller learns where to look.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        let id = uuid::Uuid::new_v4();
        tracing::error!(request_id = %id, "an API request failed: {error:#}");
        Self::new(Kind::Internal, format!("internal error, see the log for request {id}"))
    }

    /// What happened this time.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoJob(_) | StoreError::NotFound(_) => Self::new(Kind::NotFound, error.to_string()),
            StoreError::Refused(_) | StoreError::LeaseLost { .. } => Self::new(Kind::Conflict, error.to_string()),
            StoreError::Unavailable(_) => {
                tracing::warn!("an API request was put off: {error}");
                Self::new(Kind::Unavailable, "the database is unavailable for now").retry_after(2)
            }
            error => Self::internal(&error),
        }
    }
}

impl From<InvokeError> for Problem {
    fn from(error: InvokeError) -> Self {
        let retry_after = match &error {
            InvokeError::Handler(error) => error.retry_after_seconds(),
            InvokeError::Unknown { .. } => None,
        };
        match error {
            InvokeError::Handler(HandlerError::Invalid(message)) => Self::of_job("", message),
            InvokeError::Handler(HandlerError::LeaseLost(message)) => Self::new(Kind::Conflict, message),
            InvokeError::Handler(error @ (HandlerError::RetryAfter { .. } | HandlerError::Timeout(_))) => {
                tracing::warn!("an API request was put off: {error}");
                Self::new(Kind::Unavailable, "the server is busy or its database is away").retry_after(retry_after.unwrap_or(2))
            }
            error => Self::internal(&error),
        }
    }
}

/// Fields of a new job that `enqueue` names at the beginning of what it says.
const FIELDS: [&str; 5] = ["input.title", "input.body", "remote", "model", "repository"];

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind.describe();
        let body = ProblemBody {
            problem_type: format!("{TYPES}{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_string(&body).expect("a problem has string keys and no failing serializer");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // RFC 6750, section 3.
        let challenge = match (self.kind, self.missing_scope) {
            (Kind::Unauthorized, _) => Some("Bearer realm=\"codeteam\"".to_owned()),
            (Kind::MissingScope, Some(scope)) => {
                Some(format!("Bearer realm=\"codeteam\", error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            _ => None,
        };
        if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::from_str(&challenge).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
