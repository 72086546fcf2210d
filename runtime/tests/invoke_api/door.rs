//! A door on loopback, the handlers behind it, and a plain HTTP client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codeteam::invoke_api::{InvokeApi, Options};
use dispatch::{Ctx, Handler, HandlerError, Registry};
use domain::Clock;
use serde::Deserialize;
use serde_json::Value;
use testkit::client::HttpAnswer;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Semaphore};
use tokio_util::sync::CancellationToken;

/// What the handler `work` can be asked to do.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Answer with `text`.
    Echo { text: String },
    /// Answer with `size` letters.
    Letters { size: usize },
    /// Log `text` and answer with nothing.
    Log { text: String },
    /// Wait until as many calls as the barrier holds are here, then answer with `number`.
    Meet { number: u64 },
    /// Wait until the test opens the gate.
    Wait,
    /// Fail.
    Fail,
    /// Fail because of something on our side.
    Break,
    /// Fail for a moment.
    Busy,
}

/// Does what it is asked, where the test can see it.
#[derive(Clone)]
pub struct Work {
    pub begun: Arc<AtomicUsize>,
    pub ended: Arc<AtomicUsize>,
    pub barrier: Arc<Barrier>,
    pub gate: Arc<Semaphore>,
    pub waiting: Arc<Semaphore>,
}

impl Handler for Work {
    const NAME: &'static str = "work";
    type Request = Order;
    type Response = Value;

    async fn handle(&self, _ctx: Ctx, order: Order) -> Result<Value, HandlerError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let response = match order {
            Order::Echo { text } => text.into(),
            Order::Letters { size } => "x".repeat(size).into(),
            Order::Log { text } => {
                tracing::info!(length = text.len(), "heard {text}");
                Value::Null
            }
            Order::Meet { number } => {
                self.barrier.wait().await;
                number.into()
            }
            Order::Wait => {
                self.waiting.add_permits(1);
                drop(self.gate.acquire().await.unwrap());
                "waited".into()
            }
            Order::Fail => return Err(HandlerError::Invalid("no such branch \"main\"".into())),
            Order::Break => return Err(anyhow::anyhow!("disk full").context("cannot store the reply").into()),
            Order::Busy => return Err(HandlerError::RetryAfter { after: Duration::from_secs(7), message: "provider is busy".into() }),
        };
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(response)
    }
}

impl Work {
    /// Opens the gate for every call that waits or will wait.
    pub fn open(&self) {
        self.gate.add_permits(1);
    }

    /// Returns when `calls` more calls wait at the gate.
    pub async fn until_waiting(&self, calls: u32) {
        self.waiting.acquire_many(calls).await.unwrap().forget();
    }

    /// How many calls have begun and ended well.
    pub fn counts(&self) -> (usize, usize) {
        (self.begun.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
    }
}

/// A second handler, which answers at once.
#[derive(Clone)]
struct Ping;

impl Handler for Ping {
    const NAME: &'static str = "ping";
    type Request = Value;
    type Response = Value;

    async fn handle(&self, _ctx: Ctx, request: Value) -> Result<Value, HandlerError> {
        Ok(request)
    }
}

/// A clock that stands still.
pub struct Stopped(pub OffsetDateTime);

impl Clock for Stopped {
    fn now(&self) -> OffsetDateTime {
        self.0
    }

    fn boottime(&self) -> Duration {
        Duration::ZERO
    }
}

/// A door that serves.
pub struct Door {
    pub address: SocketAddr,
    pub api: InvokeApi,
    pub work: Work,
    pub cancel: CancellationToken,
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Door {
    /// Serves with `options`.
    pub async fn with(options: Options) -> Self {
        Self::at(options, datetime!(2026-01-02 03:04:05 UTC)).await
    }

    /// Serves with `options` at the time `now`.
    pub async fn at(options: Options, now: OffsetDateTime) -> Self {
        let work = Work {
            begun: Arc::default(),
            ended: Arc::default(),
            barrier: Arc::new(Barrier::new(64)),
            gate: Arc::new(Semaphore::new(0)),
            waiting: Arc::new(Semaphore::new(0)),
        };
        let registry = Arc::new(Registry::new().with(work.clone()).with(Ping));
        let cancel = CancellationToken::new();
        let api = InvokeApi::new(registry, Arc::new(Stopped(now)), options, cancel.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, api.router()).into_future());
        Self { address, api, work, cancel }
    }

    /// A door with default options.
    pub async fn open() -> Self {
        Self::with(Options::default()).await
    }

    /// Invokes `function` with `body` and `headers` (lines that end in CR LF).
    pub async fn invoke(&self, function: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        invoke(self.address, function, headers, body.as_ref()).await
    }
}

/// Invokes `function` at `address`.
pub async fn invoke(address: SocketAddr, function: &str, headers: &str, body: &[u8]) -> Answer {
    answer(request(address, function, headers, body).await).await
}

/// Reads the answer to the request that was sent on `stream`.
pub async fn answer(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let HttpAnswer { status, headers, body } = HttpAnswer::parse(&answer);
    Answer { status, headers, body }
}

/// Sends the request and gives the connection, unread.
pub async fn request(address: SocketAddr, function: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = announce(address, function, headers, body.len()).await;
    stream.write_all(body).await.unwrap();
    stream
}

/// Sends the head of a request whose body has `length` bytes; `headers` may begin with a `Host` of its own.
pub async fn announce(address: SocketAddr, function: &str, headers: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (path, query) = function.split_once('?').map_or((function, String::new()), |(path, query)| (path, format!("?{query}")));
    let host = if headers.starts_with("Host:") { "" } else { "Host: localhost\r\n" };
    let head = format!(
        "POST /2015-03-31/functions/{path}/invocations{query} HTTP/1.1\r\n{host}{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}
