//! A service of AWS on loopback. What is not signed, or has not the form of its protocol, gets 404, and the stub says so.

use domain::Secret;
use serde_json::Value;
use wiremock::matchers::{header, method, path};
use wiremock::{Match, Mock, MockBuilder, MockServer, Request, ResponseTemplate};

use crate::REGION;

/// One service.
pub struct Stub {
    pub server: MockServer,
    service: &'static str,
}

/// Signed by the keys of the tests, for this service, with all that AWS looks at.
struct Signed(&'static str);

impl Match for Signed {
    fn matches(&self, request: &Request) -> bool {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (day, authorization) = (text("x-amz-date").get(..8).unwrap_or_default(), text("authorization"));
        let scope = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{day}/{REGION}/{}/aws4_request, ", self.0);
        let signature = authorization.rsplit("Signature=").next().unwrap_or_default();
        day.len() == 8
            && authorization.starts_with(&scope)
            && authorization.contains("x-amz-date")
            && signature.len() == 64
            && signature.bytes().all(|digit| digit.is_ascii_hexdigit())
            && text("content-length") == request.body.len().to_string()
    }
}

/// A form with exactly these fields.
struct Form(Vec<(String, String)>);

impl Match for Form {
    fn matches(&self, request: &Request) -> bool {
        let mut fields: Vec<(String, String)> = url_decoded(&request.body);
        fields.sort();
        fields == self.0
    }
}

fn url_decoded(body: &[u8]) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(body))).unwrap().query_pairs().into_owned().collect()
}

impl Stub {
    pub async fn start(service: &'static str) -> Self {
        Self { server: MockServer::start().await, service }
    }

    /// Its address.
    pub fn endpoint(&self) -> Option<Secret> {
        Some(Secret::new(self.server.uri()))
    }

    /// A call of the JSON protocols: `target` such as `AmazonSQS.SendMessage`.
    pub fn json(&self, target: &str) -> MockBuilder {
        let version = if self.service == "sqs" { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
        let call = Mock::given(method("POST")).and(path("/")).and(Signed(self.service));
        call.and(header("x-amz-target", target)).and(header("content-type", version)).and(|request: &Request| {
            // A body that is no JSON object is refused by AWS as well.
            serde_json::from_slice::<Value>(&request.body).is_ok_and(|body| body.is_object())
        })
    }

    /// A call of the query protocol, with exactly these fields.
    pub fn form(&self, fields: &[(&str, &str)]) -> MockBuilder {
        let mut fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.sort();
        let call = Mock::given(method("POST")).and(path("/")).and(Signed(self.service));
        call.and(header("content-type", "application/x-www-form-urlencoded")).and(Form(fields))
    }

    /// What was asked of `target`, in order.
    pub async fn asked(&self, target: &str) -> Vec<Value> {
        let requests = self.server.received_requests().await.unwrap();
        let of_target = requests.iter().filter(|request| request.headers.get("x-amz-target").is_some_and(|name| name == target));
        of_target.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }
}

/// An error as the JSON protocols tell it.
pub fn refused(code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(serde_json::json!({"__type": code, "message": message}))
}

/// An error as the query protocol tells it.
pub fn refused_in_xml(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    ResponseTemplate::new(status).set_body_string(format!("<ErrorResponse>{error}<RequestId>r-1</RequestId></ErrorResponse>"))
}
