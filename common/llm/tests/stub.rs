//! A provider's end of the wire: it refuses malformed conversations and otherwise answers as planned.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use llm::{Backoff, Provider};
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The key that a stub expects.
pub const KEY: &str = "sk-test-0123456789abcdef";

/// What is particular about one wire: all that a new one brings to the suite.
pub trait Wire: Send + Sync + 'static {
    /// A provider that talks to `base_url` with [`KEY`].
    fn provider(&self, base_url: &str, backoff: Backoff) -> Box<dyn Provider>;
    /// A model of this provider, as the provider calls it.
    fn model(&self) -> &'static str;
    /// What is wrong with the method, the path or the headers of a request, in the provider's eyes.
    fn check_head(&self, request: &Request) -> Result<(), String>;
    /// What is wrong with its body: breaches of form, of the order of roles, of calls and their results.
    fn check_body(&self, body: &Value) -> Result<(), String>;
    /// Bodies that the provider would refuse, each with words of [`Wire::check_body`]'s answer. The first one
    /// is well-formed: its words are empty.
    fn bodies(&self) -> Vec<(Value, &'static str)>;
    /// The turns of a request's body, without marks that may move between calls.
    fn conversation(&self, body: &Value) -> Vec<Value>;
    /// The body of a successful reply.
    fn reply(&self, answer: &Answer) -> Value;
    /// An error.
    fn error(&self, status: u16, message: &str) -> ResponseTemplate;
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
    /// A status, with the provider's words.
    Refusal(u16, String),
    /// A status, with the whole body.
    Body(u16, Value),
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

    /// A header of the last request.
    pub async fn header(&self, name: &str) -> Option<String> {
        let requests = self.server.received_requests().await.unwrap();
        Some(requests.last()?.headers.get(name)?.to_str().unwrap().to_owned())
    }
}

impl Respond for Responder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body = request.body_json().map_err(|error| error.to_string());
        let checked = self.wire.check_head(request).and_then(|()| self.wire.check_body(&body?));
        if let Err(problem) = checked {
            return self.wire.error(400, &format!("the stub refuses: {problem}"));
        }
        match self.planned.lock().unwrap().pop_front() {
            None => self.wire.error(400, "the stub refuses: nothing more is planned"),
            Some(Planned::Answer(answer)) => ResponseTemplate::new(200).set_body_json(self.wire.reply(&answer)),
            Some(Planned::Refusal(status, words)) => self.wire.error(status, &words),
            Some(Planned::Body(status, body)) => ResponseTemplate::new(status).set_body_json(body),
            Some(Planned::Status(status, headers)) => {
                let response = self.wire.error(status, "planned trouble");
                headers.iter().fold(response, |response, (name, value)| response.insert_header(*name, *value))
            }
        }
    }
}
