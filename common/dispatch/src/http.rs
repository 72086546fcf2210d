//! An HTTP request, whoever received it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// An HTTP request as handlers see it. As JSON it is readable, so that a test event can hold one:
/// `{"method", "path", "query", "headers", "body"}`, with `body_base64` instead of `body` where the body is
/// not UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct HttpRequest {
    /// `POST`, in capitals.
    pub method: String,
    /// From the first slash to the question mark, as it was sent.
    pub path: String,
    /// After the question mark, as it was sent (percent-encoded); empty when there is none.
    pub query: String,
    /// Lower-case names; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The bytes of the body, never base64.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The header `name` (lower case), if it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl TryFrom<Wire> for HttpRequest {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let body = match (wire.body, wire.body_base64) {
            (Some(_), Some(_)) => return Err("give body or body_base64, not both".to_owned()),
            (Some(text), None) => text.into_bytes(),
            (None, Some(encoded)) => BASE64_STANDARD.decode(encoded).map_err(|error| format!("body_base64 is not base64: {error}"))?,
            (None, None) => Vec::new(),
        };
        let headers = wire.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Ok(Self { method: wire.method.to_ascii_uppercase(), path: wire.path, query: wire.query, headers, body })
    }
}

impl From<HttpRequest> for Wire {
    fn from(request: HttpRequest) -> Self {
        let (body, body_base64) = match String::from_utf8(request.body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
        };
        Self { method: request.method, path: request.path, query: request.query, headers: request.headers, body, body_base64 }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(body: &[u8]) -> HttpRequest {
        HttpRequest {
            method: "POST".into(),
            path: "/webhooks/github".into(),
            query: String::new(),
            headers: BTreeMap::from([("x-github-event".into(), "issues".into())]),
            body: body.to_vec(),
        }
    }

    #[test]
    fn a_request_is_readable_json_with_header_names_in_any_case() {
        let json = json!({"method": "post", "path": "/webhooks/github", "headers": {"X-GitHub-Event": "issues"}, "body": "{}"});
        assert_eq!(serde_json::from_value::<HttpRequest>(json).unwrap(), request(b"{}"));
    }

    #[test]
    fn bodies_of_text_and_of_bytes_survive_json() {
        for body in ["", "{\"a\":1}"].map(str::as_bytes).into_iter().chain([&[0xff, 0x00, 0x1f][..]]) {
            let json = serde_json::to_value(request(body)).unwrap();
            assert_eq!(serde_json::from_value::<HttpRequest>(json).unwrap(), request(body));
        }
    }

    #[test]
    fn two_bodies_are_refused() {
        let json = json!({"method": "POST", "path": "/", "body": "a", "body_base64": "YQ=="});
        let error = serde_json::from_value::<HttpRequest>(json).unwrap_err();
        assert_eq!(error.to_string(), "give body or body_base64, not both");
    }
}
