//! One signed call: the SDK finds the address and signs, our own client sends.
//!
//! That way there is one TLS stack, one proxy setting and one retry layer, the body that goes out is the one
//! that is stored, and so is the one that comes back.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::http::{HttpRequest, HttpResponse};
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Config, HttpClient, IdentityCache, Region, RuntimeComponents, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use domain::Secret;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};

use super::{Bedrock, NAME};
use crate::LlmError;
use crate::http::{Failure, Http, Post, chain};

impl Bedrock {
    /// Signs `body` and sends it once.
    pub(super) async fn attempt(&self, model: &str, body: &str) -> Result<String, Failure> {
        let access = self.accesses.current().await?;
        let sender = Sender { http: self.http.clone(), secrets: access.secrets(), outcome: Arc::default() };
        let outcome = sender.outcome.clone();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.region.clone()))
            .http_client(SharedHttpClient::new(sender))
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.endpoint.clone());
        let client = Client::from_conf(access.apply(config).build());
        let body = body.to_owned();
        let replace = move |request: &mut HttpRequest| {
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body.as_str());
        };
        let answer = client.converse().model_id(model).customize().mutate_request(replace).send().await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What was sent is judged by what came back. Whether the SDK could read it makes no difference.
        outcome.unwrap_or_else(|| {
            let cause = answer.err().map(|problem| chain(&problem)).unwrap_or_default();
            Err(Failure::final_(LlmError::BadRequest {
                provider: NAME,
                message: format!("the request cannot be signed: {cause}; check AWS_REGION"),
            }))
        })
    }
}

/// Sends what the SDK has signed and keeps what came of it.
#[derive(Clone, Debug)]
struct Sender {
    http: Http,
    secrets: Vec<Secret>,
    outcome: Arc<Mutex<Option<Result<String, Failure>>>>,
}

impl HttpClient for Sender {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Sender {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sender = self.clone();
        HttpConnectorFuture::new(async move {
            let outcome = sender.send(&request).await;
            let answer = match &outcome {
                Ok(reply) => Ok(HttpResponse::new(StatusCode::OK.into(), SdkBody::from(reply.as_str()))),
                Err(failure) => Err(ConnectorError::other(failure.error.to_string().into(), None)),
            };
            *sender.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            answer
        })
    }
}

impl Sender {
    async fn send(&self, request: &HttpRequest) -> Result<String, Failure> {
        let wrong =
            |what: &str| Failure::final_(LlmError::BadRequest { provider: NAME, message: format!("the signed {what} cannot be sent") });
        let body = request.body().bytes().and_then(|bytes| str::from_utf8(bytes).ok()).ok_or_else(|| wrong("body"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("headers"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong("headers"))?;
            value.set_sensitive(true);
            if name != CONTENT_LENGTH {
                headers.append(name, value);
            }
        }
        let post = Post { provider: NAME, url: request.uri(), headers, body, keys: &self.secrets };
        self.http.attempt(&post).await
    }
}
