//! How a handler fails, and how each kind of failure looks to a caller.

use std::time::Duration;

use serde_json::{Value, json};

/// Why a call gave no response. The variants say what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The request can never succeed as it is: change it.
    #[error("{0}")]
    Invalid(String),
    /// The caller is not who he says he is, or does not say.
    #[error("{0}")]
    Denied(String),
    /// Not now: send the same request again after `after`.
    #[error("{message}")]
    RetryAfter {
        /// How long to wait.
        after: Duration,
        /// What is in the way.
        message: String,
    },
    /// The caller no longer holds the job that it writes to: drop it.
    #[error("{0}")]
    LeaseLost(String),
    /// Something is broken on our side; people must look.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
    /// The handler panicked; the process lives on. Set by the dispatcher, holds the panic's message.
    #[error("handler panicked: {0}")]
    Panic(String),
    /// The call did not end before its deadline and was dropped. Set by the dispatcher, holds the time that
    /// the call was given.
    #[error("passed its deadline after {:.0} ms", .0.as_secs_f64() * 1_000.0)]
    Timeout(Duration),
}

impl HandlerError {
    /// The stable name of the kind: `errorType` in JSON, `error_type` in metrics and logs.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "Invalid",
            Self::Denied(_) => "Denied",
            Self::RetryAfter { .. } => "RetryAfter",
            Self::LeaseLost(_) => "LeaseLost",
            Self::Internal(_) => "Internal",
            Self::Panic(_) => "Panic",
            Self::Timeout(_) => "Timeout",
        }
    }

    /// The causes behind the message, outermost first; empty unless [`Self::Internal`].
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Internal(error) => error.chain().skip(1).map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// The shape in which AWS Lambda reports a function's error: `{errorType, errorMessage, stackTrace}`
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html>). The stack trace is the chain of
    /// [`Self::causes`].
    pub fn to_json(&self) -> Value {
        json!({ "errorType": self.error_type(), "errorMessage": self.to_string(), "stackTrace": self.causes() })
    }

    /// The HTTP status that says the same.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::Denied(_) => 401,
            Self::LeaseLost(_) => 409,
            Self::Internal(_) | Self::Panic(_) => 500,
            Self::RetryAfter { .. } => 503,
            Self::Timeout(_) => 504,
        }
    }

    /// The value of the header `Retry-After`: whole seconds, rounded up, at least 1. `None` unless
    /// [`Self::RetryAfter`].
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::RetryAfter { after, .. } => Some(after.as_secs_f64().ceil().max(1.0) as u64),
            _ => None,
        }
    }

    /// The body of an HTTP answer to the outside: like [`Self::to_json`], but what is broken inside stays
    /// inside, and the answer names `request_id` to look for in the log.
    pub fn to_public_json(&self, request_id: &str) -> Value {
        match self {
            Self::Internal(_) | Self::Panic(_) => {
                let message = format!("internal error, see the log for request {request_id}");
                json!({ "errorType": self.error_type(), "errorMessage": message, "stackTrace": [] })
            }
            _ => self.to_json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    fn broken() -> HandlerError {
        Err::<(), _>(anyhow!("connection refused")).context("cannot reach the database").context("cannot claim").unwrap_err().into()
    }

    #[test]
    fn an_error_has_the_shape_of_aws() {
        assert_eq!(
            HandlerError::Invalid("no mode".into()).to_json(),
            json!({"errorType": "Invalid", "errorMessage": "no mode", "stackTrace": []})
        );
    }

    #[test]
    fn an_internal_error_keeps_its_causes_in_order() {
        assert_eq!(
            broken().to_json(),
            json!({
                "errorType": "Internal",
                "errorMessage": "cannot claim",
                "stackTrace": ["cannot reach the database", "connection refused"],
            })
        );
    }

    #[test]
    fn the_outside_learns_nothing_of_what_is_broken_inside() {
        assert_eq!(
            broken().to_public_json("r-1"),
            json!({"errorType": "Internal", "errorMessage": "internal error, see the log for request r-1", "stackTrace": []})
        );
        assert_eq!(HandlerError::Denied("bad signature".into()).to_public_json("r-1")["errorMessage"], "bad signature");
    }

    #[test]
    fn every_kind_has_its_http_status() {
        let wait = |millis| HandlerError::RetryAfter { after: Duration::from_millis(millis), message: "busy".into() };
        let statuses = [
            HandlerError::Invalid(String::new()),
            HandlerError::Denied(String::new()),
            HandlerError::LeaseLost(String::new()),
            broken(),
            HandlerError::Panic(String::new()),
            wait(0),
            HandlerError::Timeout(Duration::ZERO),
        ]
        .map(|error| error.http_status());
        assert_eq!(statuses, [400, 401, 409, 500, 500, 503, 504]);
        assert_eq!([wait(0), wait(1_000), wait(1_001)].map(|error| error.retry_after_seconds()), [Some(1), Some(1), Some(2)]);
    }
}
