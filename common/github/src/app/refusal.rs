//! What GitHub says instead of doing what it was asked, as what the caller should do.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::ForgeError;

/// Where GitHub limits without saying for how long: its own advice for secondary limits.
const WAIT: Duration = Duration::from_secs(60);
/// No limit of GitHub's lasts longer than its hour.
const LONGEST: Duration = Duration::from_secs(2 * 3600);
/// The most of GitHub's words that an error repeats.
const WORDS: usize = 600;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The token is not taken: another may be.
    Unauthorized(String),
    /// Too much was asked: wait.
    Limited(Duration),
    /// Anything else.
    Other(ForgeError),
}

impl From<ForgeError> for Refusal {
    fn from(error: ForgeError) -> Self {
        Self::Other(error)
    }
}

/// The errors of GitHub's API, as far as they are for people.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    message: String,
    errors: serde_json::Value,
}

/// What a reply other than 2xx to `request` means.
pub(crate) fn refusal(request: &str, status: StatusCode, headers: &HeaderMap, body: &[u8], now: OffsetDateTime) -> Refusal {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let text = described(request, status, headers, &said);
    match status.as_u16() {
        401 => Refusal::Unauthorized(text),
        403 | 429 => match limit(status, headers, &said.message, now) {
            Some(wait) => {
                let wait_s = wait.as_secs();
                tracing::warn!(wait_s, "GitHub asks to wait {wait_s} s: {text}");
                Refusal::Limited(wait)
            }
            None => Refusal::Other(ForgeError::Denied(text)),
        },
        404 | 410 => Refusal::Other(ForgeError::NotFound(text)),
        300..=399 => {
            let place = headers.get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or("another place");
            Refusal::Other(ForgeError::NotFound(format!("{text}: it was renamed or moved to {place}; use its new name")))
        }
        408 | 500.. => Refusal::Other(ForgeError::Unavailable(anyhow::Error::msg(text))),
        _ => Refusal::Other(ForgeError::Invalid(text)),
    }
}

/// How long to wait, where a limit is why it was refused.
fn limit(status: StatusCode, headers: &HeaderMap, message: &str, now: OffsetDateTime) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let message = message.to_ascii_lowercase();
    let after = number(RETRY_AFTER.as_str());
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let reset = number("x-ratelimit-reset").filter(|_| used_up).map(|reset| reset - now.unix_timestamp() + 1);
    let limited = used_up || status.as_u16() == 429 || message.contains("rate limit") || message.contains("abuse detection");
    let wait = match after.or(reset) {
        Some(seconds) => Duration::from_secs(seconds.max(1).unsigned_abs()),
        None if limited => WAIT,
        None => return None,
    };
    Some(wait.min(LONGEST))
}

/// One line: what was asked, the status, GitHub's words and its number for the request, for which its support asks.
fn described(request: &str, status: StatusCode, headers: &HeaderMap, said: &Said) -> String {
    let mut text = format!("GitHub answers {request} with {}", status.as_u16());
    if !said.message.is_empty() {
        text += &format!(": {}", said.message);
    }
    for error in said.errors.as_array().into_iter().flatten() {
        let field = |name: &str| error[name].as_str();
        let words = match (error.as_str(), field("message"), field("field"), field("code")) {
            (Some(words), ..) | (None, Some(words), ..) => words.to_owned(),
            (None, None, Some(field), Some(code)) => format!("{field} is {code}"),
            _ => continue,
        };
        text += &format!("; {words}");
    }
    let mut text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(WORDS).collect();
    if let Some(id) = headers.get("x-github-request-id").and_then(|id| id.to_str().ok()) {
        text += &format!(" (request {id})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Refusal {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let now = OffsetDateTime::from_unix_timestamp(1_000).unwrap();
        refusal("POST /x", StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now)
    }

    fn wait(refusal: &Refusal) -> Option<u64> {
        match refusal {
            Refusal::Limited(wait) => Some(wait.as_secs()),
            _ => None,
        }
    }

    #[test]
    fn every_kind_of_limit_says_how_long_to_wait() {
        let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1090")];
        assert_eq!(wait(&refused(403, &primary, "{}")), Some(91));
        assert_eq!(wait(&refused(403, &[("retry-after", "7")], "{}")), Some(7));
        assert_eq!(wait(&refused(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#)), Some(60));
        assert_eq!(wait(&refused(429, &[], "")), Some(60));
        assert_eq!(wait(&refused(429, &[("retry-after", "0")], "")), Some(1));
        assert_eq!(wait(&refused(429, &[("retry-after", "99999999")], "")), Some(7200));
    }

    #[test]
    fn what_is_forbidden_is_no_limit_even_with_requests_left() {
        let refusal =
            refused(403, &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1090")], r#"{"message":"Resource not accessible"}"#);
        assert!(matches!(&refusal, Refusal::Other(ForgeError::Denied(text)) if text.contains("Resource not accessible")), "{refusal:?}");
    }

    #[test]
    fn an_error_says_request_status_words_fields_and_number() {
        let body = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists"},{"field":"head","code":"invalid"},"no\nmore",{}]}"#;
        let Refusal::Other(ForgeError::Invalid(text)) = refused(422, &[("x-github-request-id", "AB:1")], body) else {
            panic!("not invalid")
        };
        let expected =
            "GitHub answers POST /x with 422: Validation Failed; A pull request already exists; head is invalid; no more (request AB:1)";
        assert_eq!(text, expected);
    }

    #[test]
    fn statuses_say_what_to_do() {
        for (status, kind) in [
            (404, "NotFound"),
            (410, "NotFound"),
            (301, "NotFound"),
            (422, "Invalid"),
            (409, "Invalid"),
            (500, "Unavailable"),
            (502, "Unavailable"),
            (403, "Denied"),
        ] {
            let refusal = format!("{:?}", refused(status, &[], "<html>"));
            assert!(refusal.starts_with(&format!("Other({kind}(")), "{status}: {refusal}");
        }
        assert!(matches!(refused(401, &[], ""), Refusal::Unauthorized(_)));
    }
}
