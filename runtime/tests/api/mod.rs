//! The REST API on a real database, over real connections.

mod limits;
mod openapi;
mod operating;
mod requests;
mod steering;
mod stream;

use codeteam::api::{Api, Options};
use codeteam::registry;
use codeteam::server::Server;
use codeteam::tokens::ApiToken;
use config::{Services, Settings};
use domain::{JobId, NewJob, OwnerId, TokenScope};
use serde_json::{Value, json};
use store::enqueue::{Enqueued, enqueue};
use store::tokens::{self, NewToken};
use store::{finish, queue};
use tempfile::TempDir;
use testkit::client::{EventStream, HttpAnswer, request};
use testkit::{TestDb, new_job};
use tokio_util::sync::CancellationToken;

/// A server with the API on a fresh database, and a token for everything.
struct World {
    test: TestDb,
    address: String,
    token: String,
    shutdown: CancellationToken,
    _state: TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let test = TestDb::new().await;
        let state = tempfile::tempdir().unwrap();
        let lookup = |name: &str| match name {
            "DATABASE_URL" => Some(test.url.expose().to_owned()),
            "CODETEAM_STATE_DIR" => Some(state.path().to_str().unwrap().to_owned()),
            _ => None,
        };
        let services = Services::new(Settings::read(lookup, false).unwrap());
        let registry = registry::all(&services).await.unwrap();
        let db = services.db().await.unwrap();
        let shutdown = CancellationToken::new();
        let api = Api::new(&services, db.clone(), registry.clone(), options, shutdown.clone()).unwrap();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), registry, db, None).await.unwrap().with_api(&api);
        let address = server.address().unwrap().to_string();
        tokio::spawn(server.run(shutdown.clone()));
        let token = make_token(&test, "everything", &[TokenScope::Admin]).await;
        Self { test, address, token, shutdown, _state: state }
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> HttpAnswer {
        let headers = format!("authorization: Bearer {}\r\n{headers}", self.token);
        request(&self.address, method, &format!("/api/v1{path}"), &headers, body.as_bytes()).await
    }

    async fn get(&self, path: &str) -> HttpAnswer {
        self.send("GET", path, "", "").await
    }

    async fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        self.send("POST", path, "content-type: application/json\r\n", &body.to_string()).await
    }

    /// A stream of events, after the block that opens it.
    async fn stream(&self, query: &str, last_event_id: Option<&str>) -> EventStream {
        let mut stream = self.open(query, last_event_id).await;
        assert_eq!(stream.status, 200, "{:?}", stream.headers);
        assert!(stream.next().await.unwrap().id.is_some());
        stream
    }

    async fn open(&self, query: &str, last_event_id: Option<&str>) -> EventStream {
        // Other tests hold transactions open on the same server: while they do, what was written here is still to come.
        while self.test.value("select coalesce(max(xid) >= pg_snapshot_xmin(pg_current_snapshot()), false) from events").await == "true" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let last = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let headers = format!("authorization: Bearer {}\r\n{last}", self.token);
        EventStream::open(&self.address, &format!("/api/v1/events{query}"), &headers).await
    }

    async fn job(&self) -> JobId {
        self.job_like(&new_job()).await
    }

    async fn job_like(&self, job: &NewJob) -> JobId {
        match enqueue(&self.test.db, job, None, None, None).await.unwrap() {
            Enqueued::New(job_id) => job_id,
            other => panic!("{other:?}"),
        }
    }

    /// Ends a job that is ready.
    async fn finish(&self, job_id: JobId) {
        let claimed = queue::claim_one(&self.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap();
        finish::finish(&self.test.db, job_id, claimed.epoch, &domain::Outcome::Stopped, &json!({})).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn make_token(test: &TestDb, name: &str, scopes: &[TokenScope]) -> String {
    let token = ApiToken::generate();
    let new = NewToken { token_id: &token.id, name, hash: token.hash(), scopes, lifetime: None };
    tokens::create(&test.db, new).await.unwrap();
    token.text().expose().to_owned()
}

/// The last part of a problem's type; fails unless the answer is a problem of `status`.
#[track_caller]
fn problem(answer: &HttpAnswer, status: u16) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{body}");
    let body = answer.json();
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    body["type"].as_str().unwrap().strip_prefix("urn:ai-code-team:problem:").unwrap().to_owned()
}
