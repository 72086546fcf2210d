//! The handlers that the tests call.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch::{Ctx, Handler, HandlerError, HttpRequest, Registry};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Keeps every request and answers with it; fails for requests that hold `fails` in any string.
#[derive(Clone)]
pub struct Echo {
    pub fails: &'static str,
    pub seen: Arc<Mutex<Vec<Value>>>,
}

impl Handler for Echo {
    const NAME: &'static str = "echo";
    type Request = Value;
    type Response = Value;

    async fn handle(&self, _ctx: Ctx, request: Value) -> Result<Value, HandlerError> {
        if request.to_string().contains(self.fails) {
            return Err(HandlerError::RetryAfter { after: Duration::from_secs(5), message: format!("{} is busy", self.fails) });
        }
        self.seen.lock().unwrap().push(request.clone());
        Ok(json!({ "echo": request }))
    }

    fn from_http(request: HttpRequest) -> Result<Value, HandlerError> {
        serde_json::to_value(request).map_err(|error| HandlerError::Internal(error.into()))
    }
}

impl Echo {
    /// One that fails for nothing.
    pub fn new() -> Self {
        Self::failing_for("there is no such text")
    }

    /// One that fails where `fails` is mentioned.
    pub fn failing_for(fails: &'static str) -> Self {
        Self { fails, seen: Arc::default() }
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }

    /// Gives it `event` through a registry.
    pub async fn invoke(&self, event: Value) -> Result<Value, dispatch::InvokeError> {
        Registry::new().with(self.clone()).invoke("echo", ctx(), event).await
    }
}

/// A request with types, for everything that can go wrong.
#[derive(Clone, Deserialize, Serialize, Debug, PartialEq)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    Add { terms: Vec<u32> },
    Panic { message: String },
    Sleep { millis: u64 },
    SleepUntilCancelled,
    Break,
    Deny,
}

/// Does what it is ordered.
#[derive(Clone)]
pub struct Obedient;

impl Handler for Obedient {
    const NAME: &'static str = "obedient";
    type Request = Order;
    type Response = u32;

    async fn handle(&self, ctx: Ctx, order: Order) -> Result<u32, HandlerError> {
        match order {
            Order::Add { terms } => Ok(terms.iter().sum()),
            Order::Panic { message } => panic!("{message}"),
            Order::Sleep { millis } => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(0)
            }
            Order::SleepUntilCancelled => {
                ctx.cancel.cancelled().await;
                Ok(1)
            }
            Order::Break => Err(anyhow::anyhow!("disk full").context("cannot store the reply").into()),
            Order::Deny => Err(HandlerError::Denied("signature does not match".into())),
        }
    }
}

/// A context with a minute left.
pub fn ctx() -> Ctx {
    Ctx::new("r-1", Duration::from_secs(60))
}

/// The event in `events/envelopes/<name>.json`.
pub fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/envelopes").join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}
