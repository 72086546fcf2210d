//! Webhook payloads, read tolerantly: unknown fields are skipped, missing ones are `None`, and events
//! that nothing here reacts to are only checked to be JSON, so a new field or event on GitHub's side
//! breaks nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

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
    /// What the body says.
    pub payload: Payload,
}

/// The fields of a body that decide something. Empty for events that nothing reacts to.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub struct Payload {
    /// What happened to the subject, such as `labeled`.
    pub action: Option<String>,
    /// The issue, or the issue side of a pull request.
    pub issue: Option<Issue>,
    /// The label that was put on or taken off.
    pub label: Option<Label>,
    /// The comment.
    pub comment: Option<CommentPayload>,
    /// Where it happened.
    pub repository: Option<Repository>,
    /// Who did it.
    pub sender: Option<User>,
}

/// An issue.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Issue {
    /// Its number in the repository.
    pub number: Option<u64>,
    /// One line.
    pub title: Option<String>,
    /// Markdown; GitHub sends `null` for an empty one.
    pub body: Option<String>,
    /// When it changed last, as GitHub writes it (RFC 3339, whole seconds).
    pub updated_at: Option<String>,
    /// Its labels.
    pub labels: Option<Vec<Label>>,
    /// Present where the issue is a pull request.
    pub pull_request: Option<IgnoredAny>,
}

/// A label.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Label {
    /// Its name.
    pub name: Option<String>,
}

/// A comment on an issue.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct CommentPayload {
    /// Unique over all of GitHub.
    pub id: Option<u64>,
    /// Markdown.
    pub body: Option<String>,
    /// Who wrote it.
    pub user: Option<User>,
}

/// A repository.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Repository {
    /// Survives renames.
    pub id: Option<u64>,
    /// `owner/name`.
    pub full_name: Option<String>,
}

/// A person, an organisation or a bot.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct User {
    /// The login.
    pub login: Option<String>,
    /// `User`, `Bot` or `Organization`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

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
    /// The body is not JSON, or not shaped like the event its header names.
    #[error("the body is not a {event:?} payload: {source}")]
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
    let payload = match event {
        "issues" | "issue_comment" => serde_json::from_slice(body),
        _ => serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(body).map(|_| Payload::default()),
    };
    let payload = payload.map_err(|source| WebhookError::NotJson { event: event.to_owned(), source })?;
    Ok(Webhook { event: event.to_owned(), delivery: delivery.to_owned(), payload })
}
