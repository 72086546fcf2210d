//! What `enqueue` is asked: a job in plain JSON, or an HTTP request from GitHub.

use std::net::IpAddr;

use dispatch::{HandlerError, HttpRequest};
use domain::{JobInput, Kind, NewJob};
use git::{GitError, Remote};
use github::RepositoryName;
use llm::Models;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

const MOST_TITLE_CHARS: usize = 300;
const MOST_BODY_BYTES: usize = 256 * 1024;
const MOST_KEY_BYTES: usize = 255;
/// What every reader of JSON takes exactly (RFC 8259, section 6).
const MOST_NUMBER: u64 = (1 << 53) - 1;

/// A new job, or a webhook. In JSON the second is known by its `headers`.
#[derive(Clone, Debug)]
pub enum EnqueueRequest {
    /// A job.
    Job(Box<NewJob>),
    /// A webhook as it came: its signature is over these bytes.
    Webhook(HttpRequest),
}

impl<'de> Deserialize<'de> for EnqueueRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.get("headers") {
            Some(_) => decode(value).map(Self::Webhook),
            None => decode(value).map(|job| Self::Job(Box::new(job))),
        }
    }
}

/// Decodes with errors that name the path of the bad field: `caps.steps: invalid value…`.
fn decode<T: DeserializeOwned, E: serde::de::Error>(value: Value) -> Result<T, E> {
    serde_path_to_error::deserialize(value).map_err(E::custom)
}

impl EnqueueRequest {
    /// Over HTTP only GitHub's webhooks come in, signed. A plain job comes by direct invocation, which is
    /// guarded by its own door.
    pub(crate) fn from_http(request: HttpRequest) -> Result<Self, HandlerError> {
        if request.path.trim_end_matches('/').ends_with("/webhooks/github") {
            return Ok(Self::Webhook(request));
        }
        Err(HandlerError::Denied(format!("nothing but /webhooks/github is open here, not {}", request.path)))
    }
}

/// What a job must fulfil before it is written, by whichever way it comes.
///
/// # Errors
/// What is wrong with it and what was expected, for whoever asked.
pub fn check(job: &NewJob, models: &Models, local_remotes: bool) -> Result<(), String> {
    RepositoryName::parse(&job.repository).map_err(|error| format!("repository: {error}"))?;
    let title = &job.input.title;
    if title.trim().is_empty() {
        return Err("input.title is empty: say in one line what to do".to_owned());
    }
    if title.chars().count() > MOST_TITLE_CHARS || title.contains(['\n', '\r']) {
        return Err(format!("input.title must be one line of at most {MOST_TITLE_CHARS} characters: put the rest into input.body"));
    }
    if job.input.body.len() > MOST_BODY_BYTES {
        return Err(format!("input.body has {} bytes: at most {MOST_BODY_BYTES}", job.input.body.len()));
    }
    if let Some(number) = job.input.number.filter(|number| *number > MOST_NUMBER) {
        return Err(format!("input.number is {number}: at most {MOST_NUMBER}"));
    }
    match (job.kind, &job.input.head) {
        (Kind::Review, None) if job.input.number.is_none() => {
            return Err("input names nothing to review: give a pull request (input.number) or a branch (input.head)".to_owned());
        }
        (Kind::Analysis | Kind::Question, Some(_)) => {
            return Err("input.head is for jobs of kind review and change: others start from input.base".to_owned());
        }
        (Kind::Change, Some(head)) if Some(head) == job.input.base.as_ref() => {
            return Err(format!("input.head and input.base are both {head:?}: a change goes on with the branch input.head of its own"));
        }
        _ => {}
    }
    if let Some(key) = &job.idempotency_key
        && (key.is_empty() || key.len() > MOST_KEY_BYTES || key.contains(char::is_control))
    {
        return Err(format!("idempotency_key must be 1 to {MOST_KEY_BYTES} characters without control characters"));
    }
    if let Some(remote) = &job.remote {
        let parsed: Remote = remote.parse().map_err(|error: GitError| format!("remote: {error}"))?;
        if !local_remotes {
            check_remote(remote, &parsed)?;
        }
    }
    if let Some(model) = &job.model {
        models.lookup(model).map_err(|error| format!("model: {error}"))?;
    }
    Ok(())
}

/// A server's workers reach what its callers do not: its own files and network, and what is stored is read by
/// others.
fn check_remote(text: &str, remote: &Remote) -> Result<(), String> {
    if remote.is_local() {
        return Err(format!("remote {remote} is a path on the server: name a URL (CODETEAM_LOCAL_REMOTES=1 allows paths)"));
    }
    if text != remote.to_string() {
        return Err(format!("remote {remote} carries a user or password: they would be stored"));
    }
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(['/', ':']).next().unwrap_or_default(),
    };
    let inside = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() || address.is_unique_local()
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    if inside { Err(format!("remote {remote} is in the server's own network (CODETEAM_LOCAL_REMOTES=1 allows it)")) } else { Ok(()) }
}

/// A title from GitHub is what a person typed: what is too long for one line moves into the body.
pub(crate) fn shorten_title(input: &mut JobInput) {
    let Some((end, _)) = input.title.char_indices().nth(MOST_TITLE_CHARS - 1) else { return };
    let rest = input.title.split_off(end);
    input.title.push('…');
    input.body = format!("…{rest}\n\n{}", input.body);
}
