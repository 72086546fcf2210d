//! What was asked of the product: webhooks, signed as GitHub signs them, each with a job of its own.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::model::script::{Kind, Script, long_text};

/// With what webhooks are signed.
pub const SECRET: &str = "chaos-webhook-secret";

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// One issue that got a label, and the job that came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Ticket {
    /// The number of the issue.
    pub number: u64,
    /// What kind of job, and its name in titles and in the model's book.
    pub tag: String,
    /// The same as a kind.
    #[serde(skip)]
    pub kind: Kind,
    /// What the issue was labelled with.
    pub label: &'static str,
    /// `owner/name`.
    pub repository: String,
    /// The job, once somebody has accepted it.
    pub job_id: Option<String>,
}

impl Ticket {
    /// A ticket that nobody has handed in yet.
    pub fn new(number: u64, kind: Kind, repository: &str) -> Self {
        let tag = format!("{kind}-{number:04}");
        let label = Script { tag: tag.clone(), kind }.mode();
        Self { number, tag, kind, label, repository: repository.to_owned(), job_id: None }
    }

    /// GitHub's number of the delivery.
    pub fn delivery(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.number)
    }

    fn payload(&self) -> Value {
        let padding = if self.kind == Kind::Large { long_text() } else { String::new() };
        json!({
            "action": "labeled",
            "issue": { "number": self.number, "title": format!("Greet {}", self.tag), "body": "Please.", "updated_at": "2025-08-21T08:05:12Z" },
            "label": { "name": self.label },
            "repository": { "id": 1, "full_name": self.repository },
            "sender": { "login": "hubot", "type": "User" },
            "padding": padding,
        })
    }

    /// Hands it in at the server at `address`; the job that it is.
    ///
    /// # Errors
    /// When the server does not accept it, or does not answer.
    pub async fn hand_in(&self, address: &str) -> Result<String> {
        let body = self.payload().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).context("any key will do")?;
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let head = format!(
            "POST /webhooks/github HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nx-github-event: issues\r\nx-github-delivery: {}\r\nx-hub-signature-256: sha256={signature}\r\n\r\n",
            body.len(),
            self.delivery()
        );
        let answer = timeout(PATIENCE, exchange(address, &format!("{head}{body}"))).await.context("the server does not answer")??;
        let (status, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
        let job: Value = serde_json::from_str(body).with_context(|| format!("the answer is not JSON: {answer:.300}"))?;
        match (status.contains(" 202 "), job["job_id"].as_str()) {
            (true, Some(job_id)) => Ok(job_id.to_owned()),
            _ => bail!("not accepted: {answer:.300}"),
        }
    }
}

async fn exchange(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
