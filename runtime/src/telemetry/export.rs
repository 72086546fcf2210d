//! How spans leave the process: one POST for each batch, from the thread of the exporter.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const ANSWER_LIMIT_BYTES: usize = 64 << 10;
/// How often it is said that a collector is away.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// The client of the exporter. The exporter has a thread of its own, without tokio, so requests run on ours.
#[derive(Debug)]
pub(super) struct Client {
    client: reqwest::Client,
    tokio: Handle,
    said: Mutex<Option<tokio::time::Instant>>,
}

impl Client {
    /// Needs to be called within tokio.
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("ai-code-team/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .no_proxy()
            .build()?;
        Ok(Self { client, tokio: Handle::current(), said: Mutex::default() })
    }

    /// Says now and then that spans are lost: a collector that is away is no reason to fill the log.
    fn say(&self, why: &dyn std::fmt::Display) {
        let now = tokio::time::Instant::now();
        let Ok(mut said) = self.said.lock() else { return };
        if said.is_none_or(|said| now.duration_since(said) >= SAID_AGAIN) {
            *said = Some(now);
            tracing::warn!("spans cannot be sent to the collector: {why}");
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), reqwest::Request::try_from(request)?);
        let sent = self.tokio.spawn(async move {
            let mut answer = client.execute(request).await.map_err(reqwest::Error::without_url)?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
                if body.len() + chunk.len() > ANSWER_LIMIT_BYTES {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>((answer.status().as_u16(), body))
        });
        match sent.await? {
            Ok((status, body)) => {
                if !(200..300).contains(&status) {
                    self.say(&format!("it answers with HTTP {status}"));
                }
                Ok(Response::builder().status(status).body(body.into())?)
            }
            Err(error) => {
                self.say(&error);
                Err(error.into())
            }
        }
    }
}
