//! One POST to a provider: bounded, cancellable, retried only where certainly no reply was made.

use std::error::Error;
use std::time::Duration;

use domain::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, NoProxy, Response, Url};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::refusal::refusal;
use crate::{Backoff, LlmError, ProviderName};

/// The longest reply that is read.
const REPLY_LIMIT_BYTES: usize = 32 << 20;
/// The longest error that is read.
const ERROR_LIMIT_BYTES: usize = 64 << 10;
/// How long an address of the machine's own may take to answer.
const FETCH_PATIENCE: Duration = Duration::from_secs(5);
/// Where AWS gives a container the keys of its role: never through a proxy.
const UNPROXIED: &str = "169.254.170.2,169.254.170.23,fd00:ec2::23";

/// What the HTTP client needs to know.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// The proxy through which providers are reached; `None` = directly.
    pub proxy: Option<String>,
    /// When to ask again.
    pub backoff: Backoff,
}

/// The HTTP client that all providers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    backoff: Backoff,
}

/// One request to send.
pub(crate) struct Post<'a> {
    pub provider: ProviderName,
    pub url: &'a str,
    pub headers: HeaderMap,
    pub body: &'a str,
    /// Blotted out of whatever the provider says.
    pub keys: &'a [Secret],
}

/// Why one attempt failed, and whether another may follow.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: LlmError,
    pub again: bool,
}

impl Http {
    /// A client that follows no redirects (they would carry the key elsewhere).
    ///
    /// # Errors
    /// [`LlmError::Setup`] when the proxy is not a URL or the machine has no root certificates.
    pub fn new(options: HttpOptions) -> Result<Self, LlmError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that somebody else has installed one meanwhile, which is as good.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let mut builder = Client::builder()
            .user_agent(concat!("ai-code-team/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|error| LlmError::Setup(chain(&error)))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(UNPROXIED)));
        }
        let client = builder.build().map_err(|error| LlmError::Setup(chain(&error)))?;
        Ok(Self { client, backoff: options.backoff })
    }

    /// Sends `post` and returns the body of a 2xx reply.
    pub(crate) async fn post(&self, post: &Post<'_>, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        self.persist(post.provider, deadline, cancel, || self.attempt(post)).await
    }

    /// Makes attempts until one succeeds or nothing speaks for another.
    pub(crate) async fn persist<F>(
        &self,
        provider: ProviderName,
        deadline: Instant,
        cancel: &CancellationToken,
        attempts: impl Fn() -> F,
    ) -> Result<String, LlmError>
    where
        F: Future<Output = Result<String, Failure>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failure = match until(deadline, cancel, attempts()).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(end) => return Err(end.error(provider, true)),
            };
            if !failure.again {
                return Err(failure.error);
            }
            let Some(wait) = self.backoff.after(attempt, failure.error.retry_after()) else { return Err(failure.error) };
            if Instant::now() + wait >= deadline {
                return Err(failure.error);
            }
            let wait_ms = wait.as_millis();
            tracing::info!(%provider, attempt, wait_ms, "asking {provider} again: {}", failure.error);
            until(deadline, cancel, tokio::time::sleep(wait)).await.map_err(|end| end.error(provider, false))?;
        }
    }

    /// Sends `post` once.
    pub(crate) async fn attempt(&self, post: &Post<'_>) -> Result<String, Failure> {
        let provider = post.provider;
        let request = self.client.post(post.url).headers(post.headers.clone()).body(post.body.to_owned());
        let response = request.send().await.map_err(|error| unsent(post, error))?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            let body = read(response, ERROR_LIMIT_BYTES).await.unwrap_or_default();
            return Err(refusal(provider, status, &headers, &body, post.keys));
        }
        let bytes = read(response, REPLY_LIMIT_BYTES).await.map_err(|problem| match problem {
            ReadProblem::Cut(cause) => LlmError::Cut { provider, cause },
            ReadProblem::TooLong => LlmError::Malformed { provider, what: format!("it is longer than {REPLY_LIMIT_BYTES} bytes") },
        });
        let text = bytes.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| LlmError::Malformed { provider, what: format!("it is not UTF-8: {error}") })
        });
        text.map_err(Failure::final_)
    }

    /// What a GET of `url`, an address of the machine's own, answers.
    ///
    /// # Errors
    /// What went wrong, without the address.
    pub(crate) async fn fetch(&self, url: &str, authorization: Option<&Secret>) -> Result<String, String> {
        let mut request = self.client.get(url).timeout(FETCH_PATIENCE);
        if let Some(token) = authorization {
            let mut token = HeaderValue::from_str(token.expose()).map_err(|_| "the authorization holds a line break".to_owned())?;
            token.set_sensitive(true);
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await.map_err(|error| chain(&error.without_url()))?;
        if !response.status().is_success() {
            return Err(format!("HTTP {}", response.status().as_u16()));
        }
        let bytes = read(response, ERROR_LIMIT_BYTES).await.map_err(|_| "the answer broke off".to_owned())?;
        String::from_utf8(bytes).map_err(|_| "the answer is not UTF-8".to_owned())
    }
}

impl Failure {
    /// One after which no further attempt makes sense.
    pub(crate) fn final_(error: LlmError) -> Self {
        Self { error, again: false }
    }
}

/// The headers of a request that carries `key`; an empty one is not sent.
pub(crate) fn bearer(provider: ProviderName, key: &Secret) -> Result<HeaderMap, LlmError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = key.expose().trim();
    if !key.is_empty() {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| no_header(provider))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// A key that no header can carry.
pub(crate) fn no_header(provider: ProviderName) -> LlmError {
    let message = format!("the key holds characters that no key has; copy it again into {}", provider.needs());
    LlmError::BadRequest { provider, message }
}

/// A request that got no status line. Only where no connection came about is it certain that nothing was
/// sent, and only then may it be repeated.
fn unsent(post: &Post<'_>, error: reqwest::Error) -> Failure {
    let (provider, url) = (post.provider, without_credentials(post.url));
    let (is_connect, is_builder) = (error.is_connect(), error.is_builder());
    let cause = chain(&error.without_url());
    if is_connect {
        Failure { error: LlmError::Unreachable { provider, url, cause }, again: true }
    } else if is_builder {
        Failure::final_(LlmError::BadRequest { provider, message: format!("cannot send to {url:?}: {cause}") })
    } else {
        Failure::final_(LlmError::Cut { provider, cause })
    }
}

enum ReadProblem {
    Cut(String),
    TooLong,
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, ReadProblem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ReadProblem::Cut(chain(&error.without_url())))? {
        if bytes.len() + chunk.len() > limit {
            return Err(ReadProblem::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Why a wait ended before what it waited for.
pub(crate) enum End {
    Deadline,
    Cancelled,
}

impl End {
    pub(crate) fn error(self, provider: ProviderName, sent: bool) -> LlmError {
        match self {
            Self::Deadline => LlmError::Timeout { provider, sent },
            Self::Cancelled => LlmError::Cancelled { provider, sent },
        }
    }
}

/// Waits for `work`, but not past `deadline` or `cancel`.
pub(crate) async fn until<T>(deadline: Instant, cancel: &CancellationToken, work: impl Future<Output = T>) -> Result<T, End> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(End::Cancelled),
        () = tokio::time::sleep_until(deadline) => Err(End::Deadline),
        value = work => Ok(value),
    }
}

/// An error with its causes: the outermost alone says only "error sending request".
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A base URL may carry a password, and a query a key.
fn without_credentials(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => "the configured base URL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(without_credentials("https://user:hunter2@gateway.example/v1/messages?key=x"), "https://gateway.example/v1/messages");
    }
}
