//! What `enqueue` is asked: a job in plain JSON, or an HTTP request from GitHub.

use dispatch::{HandlerError, HttpRequest};
use domain::NewJob;
use github::RepositoryName;
use llm::Models;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

const MOST_TITLE_CHARS: usize = 300;
const MOST_BODY_BYTES: usize = 256 * 1024;

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
        let request = match value.get("headers") {
            Some(_) => HttpRequest::deserialize(value).map(Self::Webhook),
            None => NewJob::deserialize(value).map(|job| Self::Job(Box::new(job))),
        };
        request.map_err(serde::de::Error::custom)
    }
}

impl EnqueueRequest {
    /// GitHub's webhooks come to a path that ends in `/webhooks/github`; anything else is a job.
    pub(crate) fn from_http(request: HttpRequest) -> Result<Self, HandlerError> {
        if request.path.trim_end_matches('/').ends_with("/webhooks/github") {
            return Ok(Self::Webhook(request));
        }
        let job = serde_json::from_slice(&request.body).map_err(|error| HandlerError::Invalid(format!("the body is not a job: {error}")))?;
        Ok(Self::Job(Box::new(job)))
    }
}

/// What a job must fulfil before it is written.
pub(crate) fn check(job: &NewJob, models: &Models) -> Result<(), String> {
    RepositoryName::parse(&job.repository).map_err(|error| error.to_string())?;
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
    if let Some(model) = &job.model {
        models.lookup(model).map_err(|error| error.to_string())?;
    }
    Ok(())
}
