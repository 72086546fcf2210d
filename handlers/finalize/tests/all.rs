//! `finalize` on real repositories, a real database and a forge that is a directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod again;
mod allowed;
mod follow_up;
mod people;
mod publish;
mod refused;
mod review;
mod secrets;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch::{Ctx, HandlerError, call};
use domain::job::Confidence;
use domain::{Epoch, Finish, JobId, JobInput, MicroUsd, NewJob, Outcome, OwnerId};
use finalize::{Finalize, FinalizeRequest, Finalized};
use git::{Checkout, Checkpoint, Git, GitOptions, Remote};
use github::{LocalForge, Unregistered};
use serde_json::{Value, json};
use store::enqueue::{Enqueued, enqueue};
use store::steps::{self, Acted, Answered, Prepared, Reserve};
use store::{jobs, queue};
use testkit::{PATH, Repository, TestDb, new_job, usage};
use tokio_util::sync::CancellationToken;

/// A database, a repository `acme/shop`, its forge, and the handler.
struct World {
    test: TestDb,
    repository: Repository,
    finalize: Finalize,
}

impl World {
    async fn new() -> Self {
        Self::with(&[("price.py", "def price():\n    return 1\n")]).await
    }

    /// A repository of these files.
    async fn with(files: &[(&str, &str)]) -> Self {
        let (test, repository) = (TestDb::new().await, Repository::with(files).await);
        let git = Git::new(GitOptions::new(PATH, repository.path("mirrors")));
        let forge = LocalForge::new(repository.path("forge"), Unregistered::Record);
        let checkouts = repository.path("checkouts");
        let finalize = Finalize { db: test.db.clone(), git, forge: std::sync::Arc::new(forge), checkouts };
        Self { test, repository, finalize }
    }

    /// A job in this repository that the test holds.
    async fn job(&self, job: NewJob) -> (JobId, Epoch) {
        let job = NewJob { remote: Some(self.repository.remote()), ..job };
        let Enqueued::New(job_id) = enqueue(&self.test.db, &job, None, None, None).await.unwrap() else { panic!("it is new") };
        (job_id, self.claim(job_id).await)
    }

    async fn claim(&self, job_id: JobId) -> Epoch {
        self.test.execute("update queue set run_at = now()").await;
        queue::claim_one(&self.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().expect("the job is ready").epoch
    }

    /// Takes the job from whoever holds it, and gives it to the caller.
    async fn take_over(&self, job_id: JobId) -> Epoch {
        self.test.execute("update queue set lease_until = now() - interval '1 second'").await;
        assert_eq!(queue::sweep(&self.test.db, None).await.unwrap(), [job_id]);
        self.claim(job_id).await
    }

    /// A step that leaves `content` in `price.py`, as the step before this one stored it.
    async fn step(&self, job_id: JobId, epoch: Epoch, step_no: i32, content: &str) {
        self.step_with(job_id, epoch, step_no, &[("price.py", content)]).await;
    }

    /// The same with other files.
    async fn step_with(&self, job_id: JobId, epoch: Epoch, step_no: i32, files: &[(&str, &str)]) {
        let cancel = CancellationToken::new();
        let remote: Remote = self.repository.remote().parse().unwrap();
        let mirror = self.finalize.git.mirror(&remote, &cancel).await.unwrap();
        let base = mirror.resolve(None).await.unwrap();
        let folder = self.repository.path(&format!("checkout-{job_id}-{epoch}"));
        let checkout = Checkout::create(&mirror, &base, &folder, &cancel).await.unwrap();
        for (path, content) in files {
            let file = checkout.workspace().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        let checkpoint = checkout.checkpoint().await.unwrap();
        steps::prepared(
            &self.test.db,
            job_id,
            epoch,
            Prepared { base_commit: base.as_str(), notes: &[], took: Duration::ZERO, ..Prepared::default() },
        )
        .await
        .unwrap();
        let results = json!({ "results": [], "commands": [{ "command": "python3 -m unittest", "ending": "exit code 0" }] });
        self.stored((job_id, epoch), step_no, &checkpoint, &results).await;
    }

    /// Stores the reply and the results of a step that left `checkpoint`.
    async fn stored(&self, (job_id, epoch): (JobId, Epoch), step_no: i32, checkpoint: &Checkpoint, results: &Value) {
        let reserve = Reserve { step_no, model: "scripted", cost_microusd: MicroUsd(500), max_output: 100, heard: None };
        let reservation = steps::reserve(&self.test.db, job_id, epoch, reserve).await.unwrap().number;
        let answer = Answered {
            step_no,
            model: "scripted",
            request: "{}",
            before: None,
            reply: "{}",
            took: Duration::from_millis(1_500),
            reservation: (reservation, MicroUsd(500)),
            usage: usage(100, 20),
            cost_microusd: MicroUsd(150),
            tools: vec![],
        };
        steps::store_reply(&self.test.db, job_id, epoch, &answer).await.unwrap();
        let acted = Acted {
            step_no,
            results,
            checkpoint: Some((checkpoint.tree.as_str(), &checkpoint.pack)),
            left_out: &[],
            took: Duration::from_millis(500),
        };
        steps::store_results(&self.test.db, job_id, epoch, &acted).await.unwrap();
    }

    /// A job that changed `price.py`.
    async fn changed(&self, job: NewJob) -> (JobId, Epoch) {
        let (job_id, epoch) = self.job(job).await;
        self.step(job_id, epoch, 1, FIXED).await;
        (job_id, epoch)
    }

    async fn finalize(&self, job_id: JobId, epoch: Epoch, outcome: Outcome) -> Result<Finalized, HandlerError> {
        call(&self.finalize, Ctx::with_timeout(Duration::from_secs(60)), FinalizeRequest { job_id, epoch, outcome }).await
    }

    /// The branches of the repository but `main`.
    async fn branches(&self) -> Vec<String> {
        let all = self.repository.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]).await;
        all.lines().filter(|name| *name != "main").map(str::to_owned).collect()
    }

    /// The pull requests that the forge keeps.
    fn pulls(&self) -> Vec<Value> {
        records(&self.repository.path("forge/acme/shop/pulls"))
    }

    /// The comments on issue 7 that the forge keeps.
    fn comments(&self) -> Vec<Value> {
        records(&self.repository.path("forge/acme/shop/issues/7/comments"))
    }

    /// How the job ended, and that its row in the queue is gone.
    async fn ended(&self, job_id: JobId) -> jobs::Finished {
        assert_eq!(store::ledger::verify(&self.test.db, None).await.unwrap().faults, []);
        let standing = jobs::get(&self.test.db, job_id).await.unwrap();
        assert!(standing.queue.is_none());
        standing.job.finished.unwrap()
    }

    /// The effects with their states.
    async fn effects(&self) -> String {
        self.test.value("select string_agg(name || ' ' || state, ', ' order by intended_at, name) from effects").await
    }
}

const FIXED: &str = "def price():\n    return 2\n";

/// The records `1.json`, `2.json` … in a folder.
fn records(folder: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

/// A job that issue 7 asked for.
fn asked() -> NewJob {
    NewJob { input: JobInput { title: "Fix the rounding!".to_owned(), number: Some(7), ..JobInput::default() }, ..new_job() }
}

fn succeeded() -> Outcome {
    let finish = Finish {
        title: "Round once".to_owned(),
        summary: "Totals were rounded twice.".to_owned(),
        tests_run: vec!["python3 -m unittest: OK".to_owned()],
        confidence: Confidence::Medium,
        needs_human: Some("Is half a cent up or down?".to_owned()),
        comments: Vec::new(),
    };
    Outcome::Succeeded { finish }
}
