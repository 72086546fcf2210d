//! One request to GitHub's API and its reply: bounded in time and size, with a token that nothing repeats.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use domain::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Client, Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;

use super::refusal::{Refusal, refusal};
use crate::ForgeError;

/// The version of the API that we were written for; GitHub keeps each for two years after the next.
const API_VERSION: &str = "2022-11-28";
/// The longest reply that is read: a hundred comments of the greatest size are 7 MB.
const REPLY_LIMIT_BYTES: usize = 32 << 20;

/// How GitHub is reached.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The proxy; `None` = directly.
    pub proxy: Option<String>,
    /// How long one request may take, reply included. GitHub itself gives up after 10 s.
    pub timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { proxy: None, timeout: Duration::from_secs(30) }
    }
}

/// The HTTP client and where the API is.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    api: String,
}

/// A request to send.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    /// From the API's address on, encoded.
    path: String,
    /// What errors show instead of a path that holds a secret.
    shown: Option<&'static str>,
    body: Option<Value>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), shown: None, body }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None)
    }

    pub(crate) fn post(path: impl Into<String>, body: Option<Value>) -> Self {
        Self::new(Method::POST, path, body)
    }

    /// The same, shown as `shown`.
    pub(crate) fn shown_as(self, shown: &'static str) -> Self {
        Self { shown: Some(shown), ..self }
    }

    /// How errors name it.
    fn name(&self) -> String {
        let path = self.shown.unwrap_or_else(|| self.path.split('?').next().unwrap_or_default());
        format!("{} {path}", self.method)
    }
}

/// A reply with status 2xx.
pub(crate) struct Reply {
    request: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    /// What it says.
    ///
    /// # Errors
    /// [`ForgeError::Unavailable`] where it is not what was expected: something between GitHub and us may have answered.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        // Where it is wrong, not what stands there: that may be a token.
        let parsed = serde_json::from_slice(&self.body);
        parsed.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            ForgeError::Unavailable(anyhow!("GitHub's reply to {} cannot be read (line {line} column {column})", self.request))
        })
    }

    /// The path of the page after this one.
    pub(crate) fn next(&self, api: &str) -> Option<String> {
        let links = self.headers.get_all(LINK).iter().filter_map(|links| links.to_str().ok());
        let next = links.flat_map(|links| links.split(',')).find_map(|link| {
            let (url, parameters) = link.split_once(';')?;
            let is_next = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
            is_next.then(|| url.trim().trim_start_matches('<').trim_end_matches('>'))
        });
        // A link elsewhere would take the token with it.
        next?.strip_prefix(api).filter(|path| path.starts_with('/')).map(str::to_owned)
    }
}

impl Http {
    /// A client that follows no redirects (they would carry the token elsewhere, and turn a POST into a GET).
    ///
    /// # Errors
    /// Where the proxy is not a URL or the machine has no root certificates.
    pub(crate) fn new(api: &str, options: &HttpOptions) -> anyhow::Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that somebody else has installed one meanwhile, which is as good.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let mut builder = Client::builder()
            .user_agent(concat!("ai-code-team/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(options.timeout)
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            builder = builder
                .proxy(reqwest::Proxy::all(proxy).map_err(|error| anyhow!("the proxy for GitHub: {}", chain(&error.without_url())))?);
        }
        let client = builder.build().map_err(|error| anyhow!("the HTTP client for GitHub: {}", chain(&error)))?;
        Ok(Self { client, api: api.to_owned() })
    }

    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    /// Sends `call` once, with `token` where there is one.
    pub(crate) async fn send(&self, call: &Call, token: Option<&Secret>, now: OffsetDateTime) -> Result<Reply, Refusal> {
        let request = call.name();
        let mut builder = self
            .client
            .request(call.method.clone(), format!("{}{}", self.api, call.path))
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION);
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| ForgeError::Denied("a token of GitHub's holds characters that no header may".to_owned()))?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        if let Some(body) = &call.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let away = |error: reqwest::Error| {
            let cause = chain(&error.without_url());
            ForgeError::Unavailable(anyhow!("{request} at {}: {cause}", self.api))
        };
        let mut response = builder.send().await.map_err(away)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(&mut response).await.map_err(away)?;
        match body {
            _ if !status.is_success() => Err(refusal(&request, status, &headers, &body.unwrap_or_default(), now)),
            Some(body) => Ok(Reply { request, headers, body }),
            None => Err(ForgeError::Invalid(format!("GitHub's reply to {request} is longer than {REPLY_LIMIT_BYTES} bytes")).into()),
        }
    }
}

/// The body; `None` where it is too long.
async fn read(response: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > REPLY_LIMIT_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// An error with its causes: the outermost alone says only "error sending request".
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What may not stand in a URL as it is: all but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one part of a path or as a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(link: &'static str) -> Reply {
        let headers = [(LINK, HeaderValue::from_static(link))].into_iter().collect();
        Reply { request: "GET /x".into(), headers, body: b"{\"token\":\"ghs_hunter2\"}".to_vec() }
    }

    #[test]
    fn the_next_page_is_taken_from_the_api_and_from_nowhere_else() {
        let api = "https://api.github.com";
        let next = |link| reply(link).next(api);
        let both = "<https://api.github.com/x?page=1>; rel=\"prev\", <https://api.github.com/x?page=3>; rel=\"next\"";
        assert_eq!(next(both).as_deref(), Some("/x?page=3"));
        assert_eq!(next("<https://api.github.com/x?page=3>; rel=\"last\""), None);
        assert_eq!(next("<https://api.github.com.evil.example/x>; rel=\"next\""), None);
        assert_eq!(next("<https://evil.example/x>; rel=\"next\""), None);
    }

    #[test]
    fn what_a_reply_holds_is_not_repeated_when_it_cannot_be_read() {
        let error = reply("").json::<Vec<u64>>().unwrap_err().to_string();
        assert_eq!(error, "GitHub's reply to GET /x cannot be read (line 1 column 0)");
    }

    #[test]
    fn a_login_cannot_leave_its_place_in_a_path() {
        assert_eq!(encoded("code-team[bot]"), "code-team%5Bbot%5D");
        assert_eq!(encoded("../x?y=é"), "..%2Fx%3Fy%3D%C3%A9");
    }
}
