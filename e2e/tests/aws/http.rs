//! A small server of HTTP/1.1: what stands between the product and an emulator, and what neither emulator has.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
pub(super) struct Asked {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What is answered; `None` = the connection ends without a word.
pub(super) type Answer = Option<(u16, Vec<u8>)>;

/// A server on a free port of loopback. Dropped, it takes no further connection.
pub(super) struct Served {
    /// `127.0.0.1:port`.
    pub address: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// Answers every request by `answer`, many at a time.
    pub(super) async fn start<F, Fut>(answer: F) -> Self
    where
        F: Fn(Asked) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, answer) = (listener.local_addr().unwrap().to_string(), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move { converse(stream, &*answer).await });
            }
        });
        Self { address, task }
    }
}

async fn converse<F, Fut>(mut stream: TcpStream, answer: &F)
where
    F: Fn(Asked) -> Fut,
    Fut: Future<Output = Answer>,
{
    let mut read = Vec::new();
    while let Some(asked) = take(&mut stream, &mut read).await {
        let Some((status, body)) = answer(asked).await else { return };
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&body).await.is_err() {
            return;
        }
    }
}

/// Asks the server at `address`, which may keep the connection open: the status and the body of its answer.
pub(super) async fn exchange(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let (first, _, body) = message(&mut stream, &mut Vec::new()).await.expect("the server answers");
    (first.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status"), body)
}

/// The next request of a connection; `None` = it has ended.
async fn take(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    let (first, headers, body) = message(stream, read).await?;
    let mut words = first.split(' ').map(str::to_owned);
    Some(Asked { method: words.next()?, path: words.next()?, headers, body })
}

/// The next message of a connection: its first line, headers and body; `None` = the connection has ended.
async fn message(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<(String, BTreeMap<String, String>, Vec<u8>)> {
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(stream, read).await?;
    };
    let text = String::from_utf8_lossy(&read[..head]).into_owned();
    let (first, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
    let headers = rest.lines().filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    assert!(!headers.contains_key("transfer-encoding"), "chunked bodies are not understood here: {text}");
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length is a number"));
    while read.len() < head + 4 + length {
        more(stream, read).await?;
    }
    let body = read[head + 4..head + 4 + length].to_vec();
    read.drain(..head + 4 + length);
    Some((first.to_owned(), headers, body))
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 16 * 1024];
    let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
    read.extend_from_slice(&buffer[..count]);
    Some(())
}
