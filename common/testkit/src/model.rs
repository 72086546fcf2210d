//! A model on loopback: Anthropic's Messages API, which answers by the number of the step and refuses
//! conversations that the real one would refuse.
//!
//! A real server on a real port, so that other processes can talk to it. It counts what it is asked, since
//! every answer would be paid for.

pub mod conversation;
pub mod http;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use self::http::{Request, Response};

/// How long a test waits for a call that it expects.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the model answers in one step.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What it says; may be empty where it calls tools.
    pub text: String,
    /// The tools that it calls: name and input.
    pub calls: Vec<(String, Value)>,
}

impl Answer {
    /// An answer of one tool call.
    pub fn call(tool: &str, input: Value) -> Self {
        Self { text: String::new(), calls: vec![(tool.to_owned(), input)] }
    }

    fn content(&self, step: usize) -> Vec<Value> {
        let text = Some(&self.text).filter(|text| !text.is_empty()).map(|text| json!({ "type": "text", "text": text }));
        let call = |(index, (name, input)): (usize, &(String, Value))| json!({ "type": "tool_use", "id": format!("toolu_{step}_{index}"), "name": name, "input": input });
        text.into_iter().chain(self.calls.iter().enumerate().map(call)).collect()
    }
}

/// The server; it ends when it is dropped.
pub struct ModelStub {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    script: Vec<Answer>,
    /// By step, from 1: how often it was asked.
    calls: Mutex<Vec<usize>>,
    refusals: Mutex<Vec<String>>,
    hold: Mutex<Option<(usize, Arc<Gate>)>>,
}

/// Where a call waits: the stub says that it came, the test lets it go.
struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

/// A reply that is held back until it is released.
pub struct Hold(Arc<Gate>);

impl Hold {
    /// Waits until the call has come.
    ///
    /// # Panics
    /// When it does not come within a minute.
    pub async fn reached(&self) {
        let came = tokio::time::timeout(PATIENCE, self.0.reached.acquire()).await;
        came.expect("the call that is to be held never came").expect("a gate is never closed").forget();
    }

    /// Lets the reply go.
    pub fn release(self) {
        self.0.open.add_permits(1);
    }
}

impl ModelStub {
    /// The key that it expects.
    pub const KEY: &str = "sk-test-0123456789abcdef";

    /// A model that says `script[0]` in the first step, `script[1]` in the second, and refuses further ones.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let script: Vec<Answer> = script.into_iter().collect();
        let calls = Mutex::new(vec![0; script.len()]);
        let state = Arc::new(State { script, calls, refusals: Mutex::default(), hold: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn({
            let state = state.clone();
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(serve(connection, state.clone()));
                }
            }
        });
        Self { address, state, serving }
    }

    /// Its base URL: what `ANTHROPIC_BASE_URL` would name.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each step was asked for, from the first; refused calls do not count.
    pub fn calls(&self) -> Vec<usize> {
        locked(&self.state.calls).clone()
    }

    /// Why calls were refused; empty when all were well-formed.
    pub fn refusals(&self) -> Vec<String> {
        locked(&self.state.refusals).clone()
    }

    /// Holds the reply of the next call for `step`; calls after that one are answered at once.
    pub fn hold(&self, step: usize) -> Hold {
        let gate = Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) });
        *locked(&self.state.hold) = Some((step, gate.clone()));
        Hold(gate)
    }
}

impl Drop for ModelStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers the requests of one connection, one after the other, until the client closes it.
async fn serve(mut connection: TcpStream, state: Arc<State>) {
    while let Some(request) = http::read(&mut connection).await {
        let (response, gate) = state.answer(&request);
        if let Some(gate) = gate {
            gate.reached.add_permits(1);
            tokio::select! {
                _ = gate.open.acquire() => {}
                // Who waits for an answer sends nothing: it has hung up.
                _ = connection.readable() => return,
            }
        }
        if http::write(&mut connection, &response).await.is_err() {
            return;
        }
    }
}

impl State {
    fn answer(&self, request: &Request) -> (Response, Option<Arc<Gate>>) {
        match self.step(request) {
            Ok(step) => {
                locked(&self.calls)[step - 1] += 1;
                let gate = locked(&self.hold).take_if(|(held, _)| *held == step).map(|(_, gate)| gate);
                (Response { status: 200, body: self.reply(step) }, gate)
            }
            Err(problem) => {
                let message = format!("the stub refuses: {problem}");
                locked(&self.refusals).push(problem);
                (
                    Response {
                        status: 400,
                        body: json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } }),
                    },
                    None,
                )
            }
        }
    }

    /// The step that a request asks for: one more than the model has had turns.
    fn step(&self, request: &Request) -> Result<usize, String> {
        if (request.method.as_str(), request.path.as_str()) != ("POST", "/v1/messages") {
            return Err(format!("{} {} is not POST /v1/messages", request.method, request.path));
        }
        for (name, expected) in [("x-api-key", ModelStub::KEY), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")] {
            if request.header(name) != Some(expected) {
                return Err(format!("the header {name} is not {expected:?}"));
            }
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| format!("the body is not JSON: {error}"))?;
        let said = conversation::check(&body)?;
        let step = said.len() + 1;
        for (index, content) in said.iter().enumerate() {
            let expected = self.script.get(index).map(|answer| Value::from(answer.content(index + 1)));
            if expected.as_ref() != Some(content) {
                return Err(format!("turn {} is not what this model said then", index + 1));
            }
        }
        if step > self.script.len() {
            return Err(format!("nothing is planned for step {step}"));
        }
        Ok(step)
    }

    fn reply(&self, step: usize) -> Value {
        let answer = &self.script[step - 1];
        json!({
            "id": format!("msg_{step}"), "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "content": answer.content(step),
            "stop_reason": if answer.calls.is_empty() { "end_turn" } else { "tool_use" }, "stop_sequence": null,
            "usage": { "input_tokens": 100, "output_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0 }
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
