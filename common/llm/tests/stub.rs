//! A provider's end of the wire: it refuses malformed conversations and otherwise answers as planned.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use llm::{Backoff, Provider};
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The key that a stub expects.
pub const KEY: &str = "sk-test-0123456789abcdef";

/// What is particular about one wire.
pub trait Wire: Send + Sync + 'static {
    /// A provider that talks to `base_url` with [`KEY`].
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider>;
    /// A model of this provider in the price table.
    fn model(&self) -> &'static str;
    /// What is wrong with a request, in the provider's eyes.
    fn check(&self, request: &Request) -> Result<(), String>;
    /// The turns of a request's body, without marks that may move between calls.
    fn conversation(&self, body: &Value) -> Vec<Value>;
    /// The body of a successful reply.
    fn reply(&self, answer: &Answer) -> Value;
    /// The body of an error.
    fn error(&self, message: &str) -> Value;
}

/// What the model answers.
#[derive(Clone, Default)]
pub struct Answer {
    pub text: &'static str,
    /// Name and input; the wire invents ids.
    pub calls: Vec<(&'static str, Value)>,
    pub end: End,
    /// Input tokens read from the cache, out of 100.
    pub cached: u64,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub enum End {
    #[default]
    Usual,
    Truncated,
    Refused,
}

impl Answer {
    pub fn text(text: &'static str) -> Self {
        Self { text, ..Self::default() }
    }

    pub fn call(name: &'static str, input: Value) -> Self {
        Self { calls: vec![(name, input)], ..Self::default() }
    }
}

/// One planned response.
pub enum Planned {
    Answer(Answer),
    /// A status, with headers.
    Status(u16, &'static [(&'static str, &'static str)]),
}

pub struct Stub {
    server: MockServer,
}

struct Responder {
    wire: Arc<dyn Wire>,
    planned: Mutex<VecDeque<Planned>>,
}

impl Stub {
    pub async fn start(wire: impl Wire, planned: impl IntoIterator<Item = Planned>) -> Self {
        let server = MockServer::start().await;
        let responder = Responder { wire: Arc::new(wire), planned: Mutex::new(planned.into_iter().collect()) };
        Mock::given(any()).respond_with(responder).mount(&server).await;
        Self { server }
    }

    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// The bodies received so far.
    pub async fn bodies(&self) -> Vec<Value> {
        self.server.received_requests().await.unwrap().iter().map(|request| request.body_json().unwrap()).collect()
    }
}

impl Respond for Responder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if let Err(problem) = self.wire.check(request) {
            return ResponseTemplate::new(400).set_body_json(self.wire.error(&format!("the stub refuses: {problem}")));
        }
        match self.planned.lock().unwrap().pop_front() {
            None => ResponseTemplate::new(400).set_body_json(self.wire.error("the stub refuses: nothing more is planned")),
            Some(Planned::Answer(answer)) => ResponseTemplate::new(200).set_body_json(self.wire.reply(&answer)),
            Some(Planned::Status(status, headers)) => {
                let response = ResponseTemplate::new(status).set_body_json(self.wire.error("planned trouble"));
                headers.iter().fold(response, |response, (name, value)| response.insert_header(*name, *value))
            }
        }
    }
}
