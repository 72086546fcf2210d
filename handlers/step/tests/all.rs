//! `step` with scripted models, on real repositories and a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod caps;
mod context;
mod failover;
mod hand_over;
mod hints;
mod interrupted;
mod loops;
mod networks;
mod project;
mod questions;
mod replies;
mod resume;
mod review;
mod usage;
mod walls;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch::{Ctx, HandlerError, call};
use domain::{Caps, Epoch, JobId, NewJob, OwnerId};
use git::{Git, GitOptions};
use github::words::{Language, translated};
use github::{LocalForge, Unregistered};
use llm::{LlmError, ModelRequest, Provider, ProviderName, Providers, Reply, Scripted};
use serde_json::{Value, json};
use step::{Step, StepRequest, StepResponse};
use store::enqueue::{Enqueued, enqueue};
use store::queue;
use testkit::{PATH, Repository, TestDb, english_left};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A database and a repository `acme/shop`.
struct World {
    test: TestDb,
    repository: Repository,
}

impl World {
    async fn new() -> Self {
        let repository = Repository::with(&[("price.py", "def price():\n    return 1\n"), ("README.md", "# Shop\n")]).await;
        Self { test: TestDb::new().await, repository }
    }

    /// A worker of its own, with its own folder, whose model answers with `replies`.
    fn worker(&self, name: &str, replies: Value) -> Worker {
        let script = json!({ "name": "test", "replies": replies }).to_string();
        self.worker_with(name, Scripted::parse("test.json", &script).unwrap())
    }

    fn worker_with(&self, name: &str, model: impl Provider + 'static) -> Worker {
        let calls = Arc::new(Mutex::default());
        let providers = Providers::new().with(Counted { model, calls: Arc::clone(&calls) });
        let mut worker = self.worker_of(name, providers, calls);
        worker.step.default_model = Some("scripted".to_owned());
        worker
    }

    /// A worker of its own which takes each mode's first model.
    fn worker_of(&self, name: &str, providers: Providers, calls: Calls) -> Worker {
        let folder = self.repository.path(name);
        let git = Git::new(GitOptions::new(PATH, folder.join("mirrors")));
        let forge = Arc::new(LocalForge::new(folder.join("forge"), Unregistered::Record));
        let checkouts = folder.join("checkouts");
        let step = Step::new(self.test.db.clone(), providers, git, forge, checkouts.clone());
        Worker { step, checkouts, calls }
    }

    /// A job in this repository that the test holds.
    async fn job(&self, job: NewJob) -> (JobId, Epoch) {
        let job = NewJob { remote: job.remote.clone().or_else(|| Some(self.repository.remote())), ..job };
        let Enqueued::New(job_id) = enqueue(&self.test.db, &job, None, None, None).await.unwrap() else { panic!("it is new") };
        (job_id, self.claim(job_id).await)
    }

    async fn claim(&self, job_id: JobId) -> Epoch {
        queue::claim_one(&self.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().expect("the job is ready").epoch
    }

    /// Takes the job from whoever holds it, and gives it to the caller.
    async fn take_over(&self, job_id: JobId) -> Epoch {
        self.test.execute("update queue set lease_until = now() - interval '1 second'").await;
        assert_eq!(queue::sweep(&self.test.db, None).await.unwrap(), [job_id]);
        self.claim(job_id).await
    }

    /// The ledger in short: kind and step of each row. Its chain holds.
    async fn ledger(&self) -> String {
        assert_eq!(store::ledger::verify(&self.test.db, None).await.unwrap().faults, []);
        self.test.value("select string_agg(kind || ' ' || step_no, ', ' order by seq) from ledger").await
    }

    /// The halves of steps that are stored.
    async fn halves(&self) -> String {
        self.test.value("select string_agg(step_no || ' ' || half, ', ' order by step_no, half) from steps").await
    }
}

/// A process that works on jobs.
struct Worker {
    step: Step,
    checkouts: PathBuf,
    calls: Calls,
}

/// How often the model was called for each step.
type Calls = Arc<Mutex<BTreeMap<u32, u32>>>;

impl Worker {
    fn with_caps(mut self, caps: Caps) -> Self {
        self.step.caps = Arc::new(move |_| caps);
        self
    }

    async fn step(&self, job_id: JobId, epoch: Epoch) -> Result<StepResponse, HandlerError> {
        self.step_until(job_id, epoch, &CancellationToken::new()).await
    }

    async fn step_until(&self, job_id: JobId, epoch: Epoch, cancel: &CancellationToken) -> Result<StepResponse, HandlerError> {
        let ctx = Ctx::with_timeout(Duration::from_secs(60)).cancelled_by(cancel.clone());
        call(&self.step, ctx, StepRequest { job_id, epoch }).await
    }

    /// Steps until something else than another step follows.
    async fn drive(&self, job_id: JobId, epoch: Epoch) -> Result<StepResponse, HandlerError> {
        loop {
            match self.step(job_id, epoch).await? {
                StepResponse::Continue { .. } => {}
                end => return Ok(end),
            }
        }
    }

    fn workspace(&self, job_id: JobId, epoch: Epoch) -> PathBuf {
        self.checkouts.join(format!("{job_id}-{epoch}")).join("workspace")
    }

    /// Waits until a call is under way: its money is held back a moment before.
    async fn model_is_asked(&self) {
        while self.calls().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    fn calls(&self) -> Vec<(u32, u32)> {
        self.calls.lock().unwrap().iter().map(|(step_no, calls)| (*step_no, *calls)).collect()
    }
}

/// A model whose calls are counted.
struct Counted<P> {
    model: P,
    calls: Calls,
}

#[async_trait]
impl<P: Provider> Provider for Counted<P> {
    fn name(&self) -> ProviderName {
        self.model.name()
    }

    fn encode(&self, request: &ModelRequest) -> Result<String, LlmError> {
        self.model.encode(request)
    }

    async fn call(&self, body: &str, request: &ModelRequest, deadline: Instant, cancel: &CancellationToken) -> Result<String, LlmError> {
        *self.calls.lock().unwrap().entry(request.step_no).or_default() += 1;
        self.model.call(body, request, deadline, cancel).await
    }

    fn decode(&self, raw: &str) -> Result<Reply, LlmError> {
        self.model.decode(raw)
    }
}

/// A reply that calls one tool.
fn calls(tool: &str, input: Value) -> Value {
    json!({ "tool_calls": [{ "name": tool, "input": input }] })
}

fn shell(command: &str) -> Value {
    calls("shell", json!({ "command": command }))
}

fn finish() -> Value {
    calls(
        "finish",
        json!({ "title": "Round once", "summary": "Rounded once.", "tests_run": ["python3 -m unittest"], "confidence": "high" }),
    )
}

/// The cause of a job that failed. Whatever it is, whoever asked in Portuguese is told it in Portuguese.
fn cause(response: StepResponse) -> String {
    match response {
        StepResponse::Done { outcome: domain::Outcome::Failed { cause } } => {
            let told = translated(&cause, Language::Portuguese);
            assert_eq!(english_left(&told), Vec::<String>::new(), "{cause} is told as {told}");
            cause
        }
        other => panic!("{other:?}"),
    }
}
