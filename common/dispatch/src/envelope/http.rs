//! HTTP requests through an Application Load Balancer
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>) or an API
//! Gateway HTTP API and function URLs, payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

use std::collections::BTreeMap;

use aws_lambda_events::alb::AlbTargetGroupRequest;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Envelope, Source};
use crate::decode::decode;
use crate::{HandlerError, HttpRequest};

pub(super) const ALB_SOURCE: Source = Source { recognises: |event| event["requestContext"]["elb"].is_object(), open: open_alb };

pub(super) const API_GATEWAY_V2_SOURCE: Source =
    Source { recognises: |event| event["version"] == "2.0" && event["requestContext"]["http"].is_object(), open: open_api_gateway_v2 };

/// How the sender wants its answer.
pub(super) enum Dialect {
    /// `headers`: one value a name.
    Headers,
    /// `multiValueHeaders`: a list of values a name, from target groups that are set to it.
    MultiValueHeaders,
}

impl Dialect {
    /// The HTTP response for the result of the call `request_id`. What is broken inside is logged here and
    /// not told.
    pub(super) fn answer(&self, request_id: &str, result: Result<Value, HandlerError>) -> Value {
        let mut headers = vec![("content-type", "application/json".to_owned()), ("x-request-id", request_id.to_owned())];
        let (status, body) = match result {
            Ok(response) => (200, response),
            Err(error) => {
                if error.http_status() >= 500 {
                    tracing::error!(request_id, error_type = error.error_type(), causes = ?error.causes(), "request {request_id} failed: {error}");
                }
                headers.extend(error.retry_after_seconds().map(|seconds| ("retry-after", seconds.to_string())));
                (error.http_status(), error.to_public_json(request_id))
            }
        };
        let (name, headers): (_, Value) = match self {
            Self::Headers => ("headers", headers.into_iter().collect()),
            Self::MultiValueHeaders => ("multiValueHeaders", headers.into_iter().map(|(name, value)| (name, vec![value])).collect()),
        };
        json!({ "statusCode": status, name: headers, "body": body.to_string(), "isBase64Encoded": false })
    }
}

fn open_alb(event: Value) -> Result<Envelope, HandlerError> {
    let dialect = if event["multiValueHeaders"].is_object() { Dialect::MultiValueHeaders } else { Dialect::Headers };
    let event: AlbTargetGroupRequest = decode("ALB event", event)?;
    // The load balancer leaves the parameters percent-encoded, so joining them gives the query back.
    let parameters = [&event.multi_value_query_string_parameters, &event.query_string_parameters];
    let parameters = parameters.into_iter().find(|parameters| !parameters.is_empty());
    let pairs = parameters.into_iter().flat_map(|parameters| parameters.iter()).map(|(name, value)| format!("{name}={value}"));
    let query = pairs.collect::<Vec<_>>().join("&");
    let headers = if event.multi_value_headers.is_empty() { &event.headers } else { &event.multi_value_headers };
    let headers = lower_case(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    let body = body("ALB event", event.body, event.is_base64_encoded);
    let method = event.http_method.to_string();
    let path = event.path.unwrap_or_else(|| "/".to_owned());
    Ok(Envelope::Http(body.map(|body| HttpRequest { method, path, query, headers, body }), dialect))
}

fn open_api_gateway_v2(event: Value) -> Result<Envelope, HandlerError> {
    let event: ApiGatewayV2httpRequest = decode("API Gateway v2 event", event)?;
    let mut headers = lower_case(event.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    if let Some(cookies) = event.cookies.filter(|cookies| !cookies.is_empty()) {
        headers.insert("cookie".to_owned(), cookies.join("; "));
    }
    let body = body("API Gateway v2 event", event.body, event.is_base64_encoded);
    let method = event.request_context.http.method.to_string();
    let path = event.raw_path.unwrap_or_else(|| "/".to_owned());
    let query = event.raw_query_string.unwrap_or_default();
    Ok(Envelope::Http(body.map(|body| HttpRequest { method, path, query, headers, body }), Dialect::Headers))
}

fn lower_case<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value);
        joined
            .entry(name.to_ascii_lowercase())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    joined
}

fn body(what: &str, body: Option<String>, is_base64: bool) -> Result<Vec<u8>, HandlerError> {
    let body = body.unwrap_or_default();
    if !is_base64 {
        return Ok(body.into_bytes());
    }
    BASE64_STANDARD.decode(body).map_err(|error| HandlerError::Invalid(format!("{what}: body is not base64: {error}")))
}
