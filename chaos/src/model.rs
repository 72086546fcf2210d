//! A model on loopback that answers many jobs by the number of their step, counts what it served, and has
//! bad days when it is told to.

pub mod script;
pub mod storm;
mod usage;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use testkit::model::conversation;
use testkit::model::http::{self, Request};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use script::Script;
use storm::{Storm, Weather};

/// The key that it expects.
pub const KEY: &str = "sk-chaos-0123456789abcdef";

/// What was served for one step of one job: the outside truth about what had to be paid.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Served {
    /// Requests that came.
    pub asked: u32,
    /// Replies that were written whole.
    pub replied: u32,
    /// Replies that broke off, on purpose or because nobody listened any more.
    pub cut: u32,
    /// Refusals that cost nothing: 429, 529, 500.
    pub refused: u32,
    /// Requests that are being answered.
    pub in_flight: u32,
    /// Input tokens of the newest request.
    pub input: u64,
    /// When it came.
    #[serde(skip)]
    pub last_asked: Option<Instant>,
}

/// By job (the tag in its title) and step, from 1.
pub type Book = BTreeMap<(String, usize), Served>;

/// The server; it ends when it is dropped.
pub struct Model {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    seed: u64,
    book: Mutex<Book>,
    refusals: Mutex<Vec<String>>,
    weather: Mutex<Weather>,
}

impl Model {
    /// A model in fair weather.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub async fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("loopback has no free port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { seed, ..State::default() });
        let serving = tokio::spawn({
            let state = state.clone();
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(serve(connection, state.clone()));
                }
            }
        });
        Ok(Self { address, state, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it served so far.
    pub fn book(&self) -> Book {
        locked(&self.state.book).clone()
    }

    /// The requests that the real model would have refused; empty when all were well-formed.
    pub fn refusals(&self) -> Vec<String> {
        locked(&self.state.refusals).clone()
    }

    /// From now on it is like this.
    pub fn set(&self, weather: Weather) {
        *locked(&self.state.weather) = weather;
    }

    /// Falsifies the book: for tests of the checks.
    pub fn falsify(&self, tag: &str, step: usize, change: impl FnOnce(&mut Served)) {
        change(locked(&self.state.book).entry((tag.to_owned(), step)).or_default());
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers the requests of one connection, one after the other, until the client closes it.
async fn serve(mut connection: TcpStream, state: Arc<State>) {
    while let Some(request) = http::read(&mut connection).await {
        let go_on = match state.understand(&request) {
            Ok(question) => {
                let asked = state.note(&question.script, question.step, |served| {
                    served.asked += 1;
                    served.in_flight += 1;
                    served.input = question.input;
                    served.last_asked = Some(Instant::now());
                });
                let go_on = state.answer(&mut connection, &question, asked).await;
                state.note(&question.script, question.step, |served| served.in_flight -= 1);
                go_on
            }
            Err(problem) => {
                let body = error("invalid_request_error", &format!("the stub refuses: {problem}"));
                locked(&state.refusals).push(problem);
                write(&mut connection, 400, "", &body).await
            }
        };
        if !go_on {
            return;
        }
    }
}

/// What a request asks for.
struct Question {
    script: Script,
    step: usize,
    /// Its tokens.
    input: u64,
    /// The most tokens of an answer.
    max_output: u64,
}

impl State {
    fn note(&self, script: &Script, step: usize, change: impl FnOnce(&mut Served)) -> u32 {
        let mut book = locked(&self.book);
        let served = book.entry((script.tag.clone(), step)).or_default();
        change(served);
        served.asked
    }

    /// Whose step a request asks for.
    fn understand(&self, request: &Request) -> Result<Question, String> {
        if request.header("x-api-key") != Some(KEY) {
            return Err("the key is not the one that was given".to_owned());
        }
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| format!("the body is not JSON: {error}"))?;
        let said = conversation::check(&body)?;
        let first = body["messages"][0]["content"].to_string();
        let script = Script::named_in(&first).ok_or("no job of ours is named in the first message")?;
        for (index, content) in said.iter().enumerate() {
            if script.content(index + 1).as_ref() != Some(content) {
                return Err(format!("{}: turn {} is not what this model said then", script.tag, index + 1));
            }
        }
        match said.len() < script.steps() {
            true => Ok(Question {
                script,
                step: said.len() + 1,
                input: usage::of_input(request.body.len()),
                max_output: body["max_tokens"].as_u64().unwrap_or_default(),
            }),
            false => Err(format!("{}: nothing is planned for step {}", script.tag, said.len() + 1)),
        }
    }

    /// Answers one request as the weather wants it; `false` = the connection is over.
    async fn answer(&self, connection: &mut TcpStream, question: &Question, asked: u32) -> bool {
        let (script, step) = (&question.script, question.step);
        let chance = storm::chance(self.seed, &script.tag, step, asked);
        let storm = locked(&self.weather).strikes(chance);
        sleep(script.thinks(step).unwrap_or(Duration::from_millis(20 + chance % 80))).await;
        let refused = |served: &mut Served| served.refused += 1;
        let body = match script.is_poison(step) {
            true => "this is no message of the API".to_owned(),
            false => self.reply(question, asked),
        };
        match storm {
            Some(Storm::TooMany) => {
                self.note(script, step, refused);
                write(connection, 429, "retry-after: 1\r\n", &error("rate_limit_error", "slow down")).await
            }
            Some(Storm::Overloaded) => {
                self.note(script, step, refused);
                write(connection, 529, "", &error("overloaded_error", "overloaded")).await
            }
            Some(Storm::Broken) => {
                self.note(script, step, refused);
                write(connection, 500, "", &error("api_error", "internal")).await
            }
            Some(Storm::Cut) => {
                self.note(script, step, |served| served.cut += 1);
                let head = head(200, "", body.len());
                connection.write_all(head.as_bytes()).await.ok();
                connection.write_all(&body.as_bytes()[..body.len() / 2]).await.ok();
                false
            }
            Some(Storm::Silence) => {
                self.note(script, step, |served| served.cut += 1);
                // Whoever waits for an answer sends nothing: it has hung up.
                connection.readable().await.ok();
                false
            }
            Some(Storm::Drip) => {
                self.note(script, step, |served| served.cut += 1);
                let whole = drip(connection, &format!("{}{body}", head(200, "", body.len()))).await;
                if whole {
                    self.note(script, step, |served| (served.cut, served.replied) = (served.cut - 1, served.replied + 1));
                }
                whole
            }
            None => {
                // Counted before it is written: who reads it may be looked at before we are back here.
                self.note(script, step, |served| served.replied += 1);
                write(connection, 200, "", &body).await
            }
        }
    }

    fn reply(&self, question: &Question, asked: u32) -> String {
        let Question { script, step, .. } = question;
        let content = script.content(*step);
        let usage = match script.counts_tokens() {
            false => json!({ "input_tokens": 100, "output_tokens": 20, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0 }),
            true => {
                let before = locked(&self.book).get(&(script.tag.clone(), step - 1)).map_or(0, |served| served.input);
                let misses = usage::misses(storm::chance(self.seed, &script.tag, *step, asked));
                let output = content.as_ref().map_or(0, |content| content.to_string().len());
                usage::of(question.input, if misses { 0 } else { before }, output, question.max_output)
            }
        };
        json!({
            "id": format!("msg_{}_{step}_{asked}", script.tag), "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "content": content, "stop_reason": "tool_use", "stop_sequence": null, "usage": usage
        })
        .to_string()
    }
}

/// One byte a second; whether all of it was taken.
async fn drip(connection: &mut TcpStream, text: &str) -> bool {
    for byte in text.as_bytes() {
        if connection.write_all(std::slice::from_ref(byte)).await.is_err() {
            return false;
        }
        sleep(Duration::from_secs(1)).await;
    }
    true
}

fn error(kind: &str, message: &str) -> String {
    json!({ "type": "error", "error": { "type": kind, "message": message } }).to_string()
}

fn head(status: u16, headers: &str, length: usize) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n")
}

async fn write(connection: &mut TcpStream, status: u16, headers: &str, body: &str) -> bool {
    let text = format!("{}{body}", head(status, headers, body.len()));
    connection.write_all(text.as_bytes()).await.is_ok()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
