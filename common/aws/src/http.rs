//! The HTTP client under the SDK, and for the addresses that ECS gives a task: the same library, the same roots of trust and the
//! same cryptography as for everything else that leaves the process.

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use domain::Secret;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Client, Method, NoProxy, RequestBuilder, Response};

/// The longest reply that is read: ten messages of SQS at their largest, and some.
const REPLY_LIMIT_BYTES: usize = 16 << 20;

/// A proxy on the way to AWS. Addresses of the task's own (`http://169.254...`) are never reached through it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `HTTPS_PROXY`: where it is.
    pub url: Secret,
    /// `NO_PROXY`: hosts that are reached without it, separated by commas.
    pub except: Option<String>,
}

/// The HTTP client that all services share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http(Client);

/// An answer, read to its end.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Http {
    /// A client that follows no redirects (they would carry the signature elsewhere).
    ///
    /// # Errors
    /// When the proxy is not a URL, or the machine has no root certificates.
    pub fn new(proxy: Option<&Proxy>) -> Result<Self, String> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that somebody else has installed one meanwhile, which is as good.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let mut builder = Client::builder()
            .user_agent(concat!("ai-code-team/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .no_proxy();
        if let Some(proxy) = proxy {
            let except = proxy.except.as_deref().and_then(NoProxy::from_string);
            let proxy = reqwest::Proxy::https(proxy.url.expose()).map_err(|error| chain(&error.without_url()))?;
            builder = builder.proxy(proxy.no_proxy(except));
        }
        builder.build().map(Self).map_err(|error| chain(&error))
    }

    /// What a GET of `url`, an address of the task's own, answers.
    ///
    /// # Errors
    /// What went wrong, without the address.
    pub(crate) async fn get(&self, url: &str, authorization: Option<&Secret>, patience: Duration) -> Result<Answer, String> {
        let mut request = self.0.get(url);
        if let Some(token) = authorization {
            let mut token = HeaderValue::from_str(token.expose()).map_err(|_| "the authorization holds a line break".to_owned())?;
            token.set_sensitive(true);
            request = request.header(AUTHORIZATION, token);
        }
        answer(request, patience).await
    }

    /// The same for a PUT of `json`.
    #[cfg(feature = "protection")]
    pub(crate) async fn put(&self, url: &str, json: &serde_json::Value, patience: Duration) -> Result<Answer, String> {
        let request = self.0.put(url).header(reqwest::header::CONTENT_TYPE, "application/json").body(json.to_string());
        answer(request, patience).await
    }

    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let wrong = |what: &str| ConnectorError::user(format!("the signed {what} cannot be sent").into());
        let method = Method::from_bytes(request.method().as_bytes()).map_err(|_| wrong("method"))?;
        let mut sent = self.0.request(method, request.uri());
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("headers"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong("headers"))?;
            value.set_sensitive(true);
            sent = sent.header(name, value);
        }
        let body = request.take_body();
        let body = body.bytes().ok_or_else(|| wrong("stream"))?.to_vec();
        let response = sent.body(body).send().await.map_err(failure)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await.map_err(|cause| ConnectorError::io(cause.into()))?;
        let mut reply = HttpResponse::new(status.into(), SdkBody::from(body));
        for (name, value) in &headers {
            if let Ok(value) = value.to_str() {
                reply.headers_mut().append(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(reply)
    }
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.clone();
        HttpConnectorFuture::new(async move { client.send(request).await })
    }
}

async fn answer(request: RequestBuilder, patience: Duration) -> Result<Answer, String> {
    let response = request.timeout(patience).send().await.map_err(|error| chain(&error.without_url()))?;
    let status = response.status().as_u16();
    Ok(Answer { status, body: read(response).await? })
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|error| chain(&error.without_url()))? {
        body.extend_from_slice(&bytes);
        if body.len() > REPLY_LIMIT_BYTES {
            return Err(format!("the answer is longer than {REPLY_LIMIT_BYTES} bytes"));
        }
    }
    Ok(body)
}

/// Both kinds pass, and the SDK tries again.
fn failure(error: reqwest::Error) -> ConnectorError {
    let timeout = error.is_timeout();
    let told = chain(&error.without_url()).into();
    if timeout { ConnectorError::timeout(told) } else { ConnectorError::io(told) }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}
