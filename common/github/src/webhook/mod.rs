//! Webhook payloads, read tolerantly: unknown fields are skipped, missing ones are `None`, events that nothing here
//! reacts to are only checked to be JSON, and a shape that nobody knows is a reason and no error. So whatever is new on
//! GitHub's side breaks nothing.

mod payload;

use serde::de::IgnoredAny;

pub use payload::{
    BranchPayload, CheckRunPayload, CheckSuite, CommentPayload, Installation, Issue, Label, Numbered, Payload, PullRequestPayload,
    Repository, RequestedAction, ReviewPayload, User,
};

/// The header that names the event, in lower case.
pub const EVENT_HEADER: &str = "x-github-event";
/// The header that carries the delivery's GUID, in lower case.
pub const DELIVERY_HEADER: &str = "x-github-delivery";
/// The largest body that GitHub sends (25 MiB).
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// One delivery.
#[derive(Clone, PartialEq, Debug)]
pub struct Webhook {
    /// The event's name, such as `issues`. It comes from a header that GitHub does not sign.
    pub event: String,
    /// The delivery's GUID: the same when GitHub redelivers it. Not signed either.
    pub delivery: String,
    /// What the body says, or why nobody here understands it.
    pub payload: Result<Payload, String>,
}

/// The events whose payloads anybody looks into.
const READ: [&str; 8] = [
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "check_run",
    "installation",
    "installation_repositories",
];

/// Why a delivery cannot be read. The caller answers 400, or 413 where it is too large.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A header is missing or empty.
    #[error("no {0} header: is this a webhook from GitHub?")]
    NoHeader(&'static str),
    /// More than [`MAX_BODY_BYTES`].
    #[error("the body has {size_bytes} bytes, more than the {MAX_BODY_BYTES} that GitHub sends")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
    },
    /// The body came as a form.
    #[error("the body is a form: set the webhook's content type to application/json on GitHub")]
    Form,
    /// The body is not JSON.
    #[error("the body of the event {event:?} is not JSON: {source}")]
    NotJson {
        /// The event that its header names.
        event: String,
        /// Where it stopped making sense.
        source: serde_json::Error,
    },
}

/// Reads one delivery: `event` and `delivery` from its headers, `body` as it was signed.
///
/// # Errors
/// What is wrong with it, for the answer to GitHub, which shows it to the repository's owner.
pub fn parse(event: &str, delivery: &str, body: &[u8]) -> Result<Webhook, WebhookError> {
    for (value, header) in [(event, EVENT_HEADER), (delivery, DELIVERY_HEADER)] {
        if value.trim().is_empty() {
            return Err(WebhookError::NoHeader(header));
        }
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(WebhookError::TooLarge { size_bytes: body.len() });
    }
    if body.starts_with(b"payload=") {
        return Err(WebhookError::Form);
    }
    let not_json = |source| WebhookError::NotJson { event: event.to_owned(), source };
    let payload = if READ.contains(&event) {
        match serde_json::from_slice(body) {
            Ok(payload) => Ok(payload),
            Err(error) if error.is_data() => {
                json(body).map_err(not_json)?;
                Err(format!("this {event} payload has a shape that this release does not know: {error}"))
            }
            Err(error) => return Err(not_json(error)),
        }
    } else {
        json(body).map_err(not_json)?;
        Ok(Payload::default())
    };
    Ok(Webhook { event: event.to_owned(), delivery: delivery.to_owned(), payload })
}

/// Nothing, if it is JSON of whatever shape.
fn json(body: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<IgnoredAny>(body).map(|_| ())
}
