//! What an error status means.

use std::time::Duration;

use domain::Secret;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::http::Failure;
use crate::{LlmError, ProviderName};

/// The most of a provider's error message that is passed on.
const MESSAGE_LIMIT_CHARS: usize = 500;

/// A status that is no success, its headers and its body, as one of our errors. `keys` are blotted out of
/// whatever the provider says.
pub(crate) fn refusal(provider: ProviderName, status: StatusCode, headers: &HeaderMap, body: &[u8], keys: &[Secret]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let kind = exception(headers, json.as_ref());
    let message = message(&text, json.as_ref(), kind, keys);
    let retry_after = seconds(headers).or_else(|| retry_delay(json.as_ref()?));
    let status_code = status.as_u16();
    let redirects = || LlmError::BadRequest { provider, message: format!("it redirects (HTTP {status_code}); correct the base URL") };
    let error = match (status, kind) {
        (StatusCode::TOO_MANY_REQUESTS, _) | (_, Some("ThrottlingException" | "ServiceQuotaExceededException")) => {
            LlmError::RateLimited { provider, retry_after, message }
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => LlmError::Auth { provider, status: status_code, message },
        _ if names_a_bad_key(json.as_ref()) => LlmError::Auth { provider, status: status_code, message },
        // Bedrock's model failed on this request: another may not.
        (StatusCode::FAILED_DEPENDENCY, _) => LlmError::Overloaded { provider, status: status_code, retry_after, message },
        _ if is_retried(status) => LlmError::Overloaded { provider, status: status_code, retry_after, message },
        _ if status.is_redirection() => redirects(),
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => LlmError::NoModel { provider, message: format!("HTTP {status_code}: {message}") },
        _ => LlmError::BadRequest { provider, message: format!("HTTP {status_code}: {message}") },
    };
    let forbidden = headers.get("x-should-retry").is_some_and(|value| value == "false");
    // An empty account stays empty however long one waits.
    let empty = json.as_ref().and_then(|json| json.pointer("/error/code")).is_some_and(|code| code == "insufficient_quota");
    Failure { error, again: !forbidden && !empty && is_retried(status) }
}

fn is_retried(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 425 | 429) || status.is_server_error()
}

/// How long to wait: `retry-after-ms` (OpenAI's), or `retry-after` in seconds. Its other form, a date, is not
/// read: no provider sends it.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number(RETRY_AFTER.as_str()))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Google says it in the body: `{"error": {"details": [{"@type": "…RetryInfo", "retryDelay": "34.5s"}]}}`
/// (<https://cloud.google.com/apis/design/errors#error_payloads>).
fn retry_delay(body: &Value) -> Option<Duration> {
    let delay = details(body).find_map(|detail| detail.get("retryDelay")?.as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}

/// Google answers a wrong key with 400.
fn names_a_bad_key(body: Option<&Value>) -> bool {
    body.is_some_and(|body| details(body).any(|detail| detail.get("reason").is_some_and(|reason| reason == "API_KEY_INVALID")))
}

fn details(body: &Value) -> impl Iterator<Item = &Value> {
    body.pointer("/error/details").and_then(Value::as_array).into_iter().flatten()
}

/// The name of an AWS error: in a header, or in the body; a namespace before it or an address behind it is cut
/// (<https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>).
fn exception<'a>(headers: &'a HeaderMap, body: Option<&'a Value>) -> Option<&'a str> {
    let in_header = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    let name = in_header.or_else(|| body?.get("__type")?.as_str())?;
    let name = name.split(':').next().unwrap_or(name);
    Some(name.rsplit('#').next().unwrap_or(name))
}

/// The provider's own words: `{"error": {"message": …}}` from most, `{"message": …}` from AWS; servers of one's
/// own and proxies answer anything.
fn message(text: &str, body: Option<&Value>, kind: Option<&str>, keys: &[Secret]) -> String {
    let word = |at: &str| body?.pointer(at)?.as_str();
    let words = ["/error/message", "/error", "/message", "/Message", "/detail"].into_iter().find_map(word).unwrap_or(text.trim());
    let words = match (kind, words) {
        (None, "") => "no message".to_owned(),
        (None, words) => words.to_owned(),
        (Some(kind), "") => kind.to_owned(),
        (Some(kind), words) => format!("{kind}: {words}"),
    };
    let shown = |text: String, key: &Secret| if key.expose().is_empty() { text } else { text.replace(key.expose(), "***") };
    keys.iter().fold(words, shown).chars().take(MESSAGE_LIMIT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> LlmError {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let keys = [Secret::new("sk-1234"), Secret::new("")];
        refusal(ProviderName::Google, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), &keys).error
    }

    #[test]
    fn what_a_provider_says_is_passed_on_without_the_key() {
        let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad key sk-1234"}}"#;
        assert_eq!(of(400, &[], body).to_string(), "google refused the request: HTTP 400: bad key ***");
        let words = |body| of(400, &[], body).to_string();
        assert!(words("<html>Bad Gateway</html>\n").ends_with("400: <html>Bad Gateway</html>"));
        assert!(words("").ends_with("400: no message"));
        assert!(words(r#"{"error":"model 'x' not found"}"#).ends_with("400: model 'x' not found"));
        assert!(words(r#"{"object":"error","message":"too long","code":400}"#).ends_with("400: too long"));
        let across_the_limit = format!("{}sk-1234", "x".repeat(MESSAGE_LIMIT_CHARS - 3));
        assert!(!words(&across_the_limit).contains("sk-"), "a key is blotted out before the text is cut");
    }

    #[test]
    fn only_statuses_that_may_pass_are_tried_again() {
        let retried: Vec<u16> =
            (300..600).filter(|code| is_retried(StatusCode::from_u16(*code).expect("three digits"))).filter(|code| *code < 500).collect();
        assert_eq!(retried, [408, 409, 425, 429]);
        assert!(is_retried(StatusCode::from_u16(529).unwrap()));
        let empty = br#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
        let failure = refusal(ProviderName::OpenAi, StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), empty, &[]);
        assert!(!failure.again && matches!(failure.error, LlmError::RateLimited { .. }), "an empty account stays empty");
    }

    #[test]
    fn a_model_that_is_not_there_is_told_from_a_wrong_request() {
        let body = r#"{"error":{"code":404,"message":"models/gemini-0 is not found","status":"NOT_FOUND"}}"#;
        assert_eq!(of(404, &[], body).to_string(), "google refused the request: HTTP 404: models/gemini-0 is not found");
        assert!(matches!(of(410, &[], ""), LlmError::NoModel { .. }));
        assert!(matches!(of(400, &[], body), LlmError::BadRequest { .. }));
    }

    #[test]
    fn a_wait_is_read_in_seconds_or_in_openais_milliseconds() {
        let wait = |name: &'static str, value: &str| of(429, &[(name, value)], "").retry_after();
        assert_eq!(wait("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn google_says_in_the_body_how_long_to_wait_and_that_the_key_is_wrong() {
        let details = json!([{ "@type": "type.googleapis.com/google.rpc.Help" }, { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s" }]);
        let body = json!({ "error": { "code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details } }).to_string();
        assert_eq!(of(429, &[], &body).retry_after(), Some(Duration::from_millis(34_500)));
        assert_eq!(of(429, &[("retry-after", "2")], &body).retry_after(), Some(Duration::from_secs(2)), "a header comes first");
        assert_eq!(of(429, &[], r#"{"error":{"details":[{"retryDelay":"-1s"}]}}"#).retry_after(), None);
        let body = json!({ "error": { "code": 400, "message": "API key not valid.", "details": [{ "reason": "API_KEY_INVALID" }] } });
        assert!(matches!(of(400, &[], &body.to_string()), LlmError::Auth { status: 400, .. }));
    }

    #[test]
    fn the_exceptions_of_aws_keep_their_names_and_their_kinds() {
        let denied = of(403, &[("x-amzn-errortype", "AccessDeniedException:http://internal.amazon.com/")], r#"{"message":"no access"}"#);
        assert!(denied.to_string().contains("AccessDeniedException: no access"), "{denied}");
        assert!(matches!(denied, LlmError::Auth { status: 403, .. }));
        let named = |status, kind: &str| of(status, &[("x-amzn-errortype", kind)], r#"{"message":"m"}"#);
        assert!(matches!(named(400, "ValidationException"), LlmError::BadRequest { .. }));
        assert!(matches!(named(404, "ResourceNotFoundException"), LlmError::NoModel { .. }));
        for (status, kind) in [
            (408, "ModelTimeoutException"),
            (424, "ModelErrorException"),
            (500, "InternalServerException"),
            (503, "ServiceUnavailableException"),
        ] {
            assert!(matches!(named(status, kind), LlmError::Overloaded { status: code, .. } if code == status), "{kind}");
        }
        for (status, kind) in [
            (429, "ThrottlingException"),
            (400, "ThrottlingException"),
            (429, "ModelNotReadyException"),
            (400, "ServiceQuotaExceededException"),
        ] {
            assert!(matches!(named(status, kind), LlmError::RateLimited { .. }), "{kind}");
        }
        let in_body = of(400, &[], r#"{"__type":"com.amazon.coral#ThrottlingException","Message":"slow down"}"#);
        assert!(matches!(&in_body, LlmError::RateLimited { message, .. } if message == "ThrottlingException: slow down"), "{in_body}");
    }
}
