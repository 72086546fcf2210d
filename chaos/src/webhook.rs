//! Webhooks, signed as GitHub signs them, and other requests to the product's servers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// With what webhooks are signed.
pub const SECRET: &str = "chaos-webhook-secret";

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Delivers a webhook to the server at `address`; what it accepted.
///
/// # Errors
/// When it does not answer, or refuses.
pub async fn deliver(address: &str, event: &str, delivery: &str, payload: &Value) -> Result<Value> {
    let body = payload.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).context("any key will do")?;
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let headers = format!("x-github-event: {event}\r\nx-github-delivery: {delivery}\r\nx-hub-signature-256: sha256={signature}\r\n");
    post(address, "/webhooks/github", &headers, &body).await
}

/// Posts `body` to `path` of the server at `address`; the answer, which has to be 202.
///
/// # Errors
/// When it does not answer, or says anything else.
pub async fn post(address: &str, path: &str, headers: &str, body: &str) -> Result<Value> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n",
        body.len(),
    );
    let answer = timeout(PATIENCE, exchange(address, &format!("{head}{body}"))).await.context("the server does not answer")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
    ensure!(head.starts_with("HTTP/1.1 202 "), "not accepted: {answer:.300}");
    serde_json::from_str(body).with_context(|| format!("the answer is not JSON: {answer:.300}"))
}

async fn exchange(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
