//! A server that answers with given bytes, so that a reply can break off or never end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What happens after the bytes.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    Close,
    Hold,
}

pub struct RawServer {
    pub url: String,
    /// Told for each request, once its bytes are answered.
    pub answered: Arc<Notify>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl RawServer {
    pub async fn start(response: String, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answered, requests) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn({
            let (answered, requests) = (answered.clone(), requests.clone());
            async move {
                let mut held = Vec::new();
                loop {
                    let (mut connection, _) = listener.accept().await.unwrap();
                    read_request(&mut connection).await;
                    requests.fetch_add(1, Ordering::SeqCst);
                    // A client that has read enough may close before everything is written.
                    connection.write_all(response.as_bytes()).await.ok();
                    answered.notify_one();
                    if then == Then::Hold {
                        held.push(connection);
                    }
                }
            }
        });
        Self { url, answered, requests, task }
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads to the end of the body: a connection closed with unread bytes would be reset, not ended.
async fn read_request(connection: &mut TcpStream) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return;
        }
    }
}
