//! What the server answers.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    after: Duration,
    lost: bool,
}

impl Reply {
    /// This body as JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string()).header("content-type", "application/json; charset=utf-8")
    }

    /// This text, whatever it is.
    pub fn text(status: u16, body: &str) -> Self {
        Self::bytes(status, body).header("content-type", "text/html")
    }

    /// These bytes, of no kind.
    pub fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO, lost: false }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Given only after a while.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// Never given: the connection ends in its place.
    #[must_use]
    pub fn lost(self) -> Self {
        Self { lost: true, ..self }
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Gives it; `false` = the connection is over.
    pub(super) async fn give(&self, connection: &mut TcpStream) -> io::Result<bool> {
        tokio::time::sleep(self.after).await;
        if self.lost {
            return Ok(false);
        }
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {} x\r\n{headers}content-length: {}\r\n\r\n", self.status, self.body.len());
        connection.write_all(&[head.as_bytes(), &self.body].concat()).await?;
        Ok(true)
    }
}

/// An error as GitHub words it.
pub fn said(status: u16, message: &str) -> Reply {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest" });
    Reply::json(status, &body).header("x-github-request-id", "AB12:34")
}

pub(super) fn ok(body: &Value) -> Reply {
    Reply::json(200, body)
}

pub(super) fn created(body: &Value) -> Reply {
    Reply::json(201, body)
}

pub(super) fn missing() -> Reply {
    said(404, "Not Found")
}
