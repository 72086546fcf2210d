//! `enqueue`, fed from `events/`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod envelopes;
mod jobs;
mod webhooks;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dispatch::{Ctx, HttpRequest, InvokeError, Registry};
use domain::Secret;
use enqueue::Enqueue;
use github::signature::sign;
use github::{Triggers, WebhookSecrets};
use llm::Models;
use serde_json::Value;
use testkit::TestDb;

/// A database with the handler before it.
struct World {
    test: TestDb,
    registry: Registry,
}

impl World {
    async fn new() -> Self {
        Self::build(Some(WebhookSecrets::new(secret(), None).unwrap()), false).await
    }

    async fn with_secrets(secrets: Option<WebhookSecrets>) -> Self {
        Self::build(secrets, false).await
    }

    async fn build(secrets: Option<WebhookSecrets>, local_remotes: bool) -> Self {
        let test = TestDb::new().await;
        let handler = Enqueue { db: test.db.clone(), secrets, triggers: Triggers::default(), models: Models::builtin(), local_remotes };
        Self { registry: Registry::new().with(handler), test }
    }

    async fn json(&self, event: Value) -> Result<Value, InvokeError> {
        self.registry.invoke("enqueue", ctx(), event).await
    }

    async fn http(&self, request: HttpRequest) -> Result<Value, InvokeError> {
        self.registry.invoke_http("enqueue", ctx(), request).await
    }

    /// How many rows there are in `jobs`, `queue`, `events`, `job_keys` and `deliveries`.
    async fn rows(&self) -> [u64; 5] {
        let mut rows = [0; 5];
        for (count, table) in rows.iter_mut().zip(["jobs", "queue", "events", "job_keys", "deliveries"]) {
            *count = self.test.value(&format!("select count(*) from {table}")).await.parse().unwrap();
        }
        rows
    }
}

const NOTHING: [u64; 5] = [0; 5];
const ONLY_THE_DELIVERY: [u64; 5] = [0, 0, 0, 0, 1];
const ONE_JOB: [u64; 5] = [1, 1, 1, 1, 1];

fn ctx() -> Ctx {
    Ctx::with_timeout(Duration::from_secs(20))
}

fn secret() -> Secret {
    Secret::new("the webhook's secret")
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)).unwrap()
}

/// A delivery as GitHub makes it, signed with [`secret`].
fn delivery(event: &str, id: &str, body: &[u8]) -> HttpRequest {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("x-github-event", event.to_owned()),
        ("x-github-delivery", id.to_owned()),
        ("x-hub-signature-256", sign(&secret(), body)),
    ];
    HttpRequest {
        method: "POST".to_owned(),
        path: "/webhooks/github".to_owned(),
        query: String::new(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        body: body.to_vec(),
    }
}

/// The kind of the error and its text.
fn refused(result: Result<Value, InvokeError>) -> (&'static str, String) {
    match result {
        Err(InvokeError::Handler(error)) => (error.error_type(), error.to_string()),
        other => panic!("{other:?}"),
    }
}
