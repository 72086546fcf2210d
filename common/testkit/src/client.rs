//! A plain client of HTTP/1.1, a connection for each request: what a server sends is seen as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Its headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// Reads a whole answer.
    ///
    /// # Panics
    /// When it is none.
    pub fn parse(answer: &[u8]) -> Self {
        let end = find(answer, b"\r\n\r\n").expect("an answer has a head");
        let (status, headers) = parse(&answer[..end]);
        Self { status, headers, body: answer[end + 4..].to_vec() }
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Sends a request to `address` and reads the answer to its end. `headers` are lines that end in CR LF.
///
/// # Panics
/// When nobody answers in HTTP within a minute.
pub async fn request(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> HttpAnswer {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let head = head(address, method, path, headers, body.len());
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    // A server may refuse a body before it has read all of it.
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let exchange = async { tokio::join!(writing.write_all(body), reading.read_to_end(&mut answer)) };
    let (_, read) = tokio::time::timeout(PATIENCE, exchange).await.expect("the server answers within a minute");
    if answer.is_empty() {
        read.expect("the server answers");
    }
    HttpAnswer::parse(&answer)
}

/// Gets `path` at `address`.
///
/// # Panics
/// When nobody answers in HTTP within a minute.
pub async fn get(address: &str, path: &str) -> HttpAnswer {
    request(address, "GET", path, "", b"").await
}

/// Posts `body` to `path` at `address`; `headers` are names and values.
///
/// # Panics
/// When nobody answers in HTTP within a minute.
pub async fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> HttpAnswer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    request(address, "POST", path, &headers, body).await
}

fn head(address: &str, method: &str, path: &str, headers: &str, length: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n")
}

fn parse(head: &[u8]) -> (u16, BTreeMap<String, String>) {
    let head = String::from_utf8_lossy(head);
    let (status, headers) = head.split_once("\r\n").expect("a head has lines");
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line has a status");
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    (status, headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A block of a stream of Server-Sent Events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Block {
    /// Its `id`, if it has one.
    pub id: Option<String>,
    /// Its `data`; `None` for a comment or an id alone.
    pub data: Option<String>,
}

/// A stream of Server-Sent Events, read as they come.
pub struct EventStream {
    stream: TcpStream,
    /// Read, not yet decoded.
    raw: Vec<u8>,
    /// Decoded, not yet given out.
    text: Vec<u8>,
    /// The status and headers of the answer.
    pub status: u16,
    /// The answer's headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl EventStream {
    /// Opens a stream.
    ///
    /// # Panics
    /// When nobody answers in HTTP within a minute.
    pub async fn open(address: &str, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let head = head(address, "GET", path, headers, 0);
        stream.write_all(head.as_bytes()).await.expect("the server reads");
        let mut opened = Self { stream, raw: Vec::new(), text: Vec::new(), status: 0, headers: BTreeMap::new() };
        let end = loop {
            if let Some(end) = find(&opened.raw, b"\r\n\r\n") {
                break end;
            }
            assert!(opened.read().await, "an answer has a head");
        };
        (opened.status, opened.headers) = parse(&opened.raw[..end]);
        opened.raw.drain(..end + 4);
        opened
    }

    /// The next block; `None` = the stream has ended.
    ///
    /// # Panics
    /// When nothing comes for a minute.
    pub async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = find(&self.text, b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                return Some(read_block(&String::from_utf8_lossy(&block)));
            }
            if !self.decode() && !self.read().await {
                return None;
            }
        }
    }

    /// The next event with data, as its id and JSON; `None` = the stream has ended.
    ///
    /// # Panics
    /// When nothing comes for a minute.
    pub async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.next().await?;
            if let Some(data) = block.data {
                return Some((block.id.expect("an event has an id"), serde_json::from_str(&data).expect("data is JSON")));
            }
        }
    }

    /// Reads more; whether there was more.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("something comes within a minute");
        let count = read.unwrap_or(0);
        self.raw.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Takes one whole chunk of the transfer coding, if there is one.
    fn decode(&mut self) -> bool {
        let Some(line) = find(&self.raw, b"\r\n") else { return false };
        let size = usize::from_str_radix(&String::from_utf8_lossy(&self.raw[..line]), 16).expect("a chunk has a size");
        if self.raw.len() < line + 2 + size + 2 {
            return false;
        }
        self.text.extend_from_slice(&self.raw[line + 2..line + 2 + size]);
        self.raw.drain(..line + 2 + size + 2);
        size > 0
    }
}

fn read_block(text: &str) -> Block {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
    Block { id: field("id"), data: field("data") }
}
