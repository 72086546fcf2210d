//! `triage` on a real database, with a forge that is a directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod pull_requests;
mod sorting;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch::{Ctx, InvokeError, Registry};
use domain::{JobId, JobInput, NewJob, OwnerId, Trigger};
use github::{
    Access, CheckRun, Comment, Credential, Emotion, Forge, ForgeError, LineComment, LocalForge, NewPullRequest, NewReview, Permission,
    Person, PullRequest, Review, Subject, Triggers, Unregistered,
};
use llm::{Models, Providers};
use serde_json::{Value, json};
use store::enqueue::{Enqueued, enqueue};
use store::{jobs, queue};
use tempfile::TempDir;
use testkit::{TestDb, new_job};
use tokio::sync::Barrier;
use triage::Triage;

/// A database, a forge that knows `acme/shop` and its people, and the handler.
struct World {
    test: TestDb,
    forge: LocalForge,
    folder: TempDir,
    registry: Registry,
}

impl World {
    async fn new() -> Self {
        let (test, folder) = (TestDb::new().await, TempDir::new().unwrap());
        let forge = LocalForge::new(folder.path().join("forge"), Unregistered::Refuse);
        let people = [("ana", Permission::Admin), ("bea", Permission::Write), ("cid", Permission::Triage), ("dan", Permission::Read)];
        forge.register("acme/shop", "/srv/shop.git", people.map(|(login, may)| (login.to_owned(), may))).await.unwrap();
        let registry = registry(&test, forge.clone());
        Self { test, forge, folder, registry }
    }

    async fn triage(&self, request: Value) -> Result<Value, InvokeError> {
        self.registry.invoke("triage", Ctx::with_timeout(Duration::from_secs(20)), request).await
    }

    /// A job that `login` asked for with a label in `repository`.
    async fn labeled(&self, repository: &str, login: &str) -> JobId {
        let trigger = Trigger::Label { label: "genius".to_owned() };
        let input = JobInput { requester: Some(login.to_owned()), ..new_job().input };
        self.write(NewJob { repository: repository.to_owned(), input, trigger, ..new_job() }).await
    }

    async fn write(&self, job: NewJob) -> JobId {
        match enqueue(&self.test.db, &NewJob { mode: None, ..job }, None, None, None).await.unwrap() {
            Enqueued::New(job_id) => job_id,
            other => panic!("{other:?}"),
        }
    }

    async fn queued(&self, fields: &str) -> String {
        self.test.value(&format!("select concat_ws(' ', {fields}) from queue")).await
    }
}

fn registry(test: &TestDb, forge: impl Forge) -> Registry {
    registry_with(test, forge, Providers::new())
}

fn registry_with(test: &TestDb, forge: impl Forge, providers: Providers) -> Registry {
    let (db, triggers, models) = (test.db.clone(), Triggers::default(), Models::builtin());
    Registry::new().with(Triage { db, owner: OwnerId::new(), forge: Arc::new(forge), triggers, models, providers })
}

#[tokio::test]
async fn whoever_may_push_starts_a_job_in_the_mode_of_the_label() {
    for login in ["ana", "bea", "BEA"] {
        let world = World::new().await;
        let job_id = world.labeled("acme/shop", login).await;
        let sample = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/triage.json")).unwrap();
        let decided = world.triage(serde_json::from_slice(&sample).unwrap()).await.unwrap();
        assert_eq!(
            decided,
            json!({ "decided": "ready", "job_id": job_id, "kind": "change", "mode": "genius", "reason": "the label \"genius\"" })
        );
        assert_eq!(world.queued("state, mode, waiting_for, attempt, owner").await, "ready genius 0");
        assert_eq!(jobs::get(&world.test.db, job_id).await.unwrap().job.mode, Some(domain::Mode::Genius));
    }
}

#[tokio::test]
async fn whoever_may_not_push_is_refused_by_name_and_the_job_ends() {
    for login in ["cid", "dan", "eve"] {
        let world = World::new().await;
        let job_id = world.labeled("acme/shop", login).await;
        let decided = world.triage(json!({})).await.unwrap();
        let reason = format!("{login} may not push to the repository, so the label \"genius\" starts nothing");
        assert_eq!(decided, json!({ "decided": "refused", "job_id": job_id, "reason": reason }));
        let standing = jobs::get(&world.test.db, job_id).await.unwrap();
        assert_eq!(standing.job.finished.unwrap().outcome, domain::Outcome::Refused { reason });
        assert!(standing.queue.is_none());
    }
}

#[tokio::test]
async fn a_repository_that_the_forge_does_not_have_lets_nobody_push() {
    let world = World::new().await;
    world.labeled("acme/unknown", "ana").await;
    assert_eq!(world.triage(json!({})).await.unwrap()["decided"], "refused");
}

#[tokio::test]
async fn the_permission_is_asked_each_time() {
    let world = World::new().await;
    world.forge.register("acme/shop", "/srv/shop.git", [("ana".to_owned(), Permission::Read)]).await.unwrap();
    world.labeled("acme/shop", "ana").await;
    assert_eq!(world.triage(json!({})).await.unwrap()["decided"], "refused");
}

#[tokio::test]
async fn a_job_of_the_api_without_a_mode_gets_a_mechanic() {
    let world = World::new().await;
    let job_id = world.write(new_job()).await;
    let decided = world.triage(json!({ "job_id": job_id })).await.unwrap();
    assert_eq!((&decided["decided"], &decided["mode"]), (&json!("ready"), &json!("mechanic")));
}

#[tokio::test]
async fn a_forge_that_is_away_is_waited_for_and_uses_up_no_attempt() {
    let world = World::new().await;
    let away = world.folder.path().join("away");
    std::fs::write(&away, "a file, where the forge's folder should be").unwrap();
    let without = registry(&world.test, LocalForge::new(&away, Unregistered::Refuse));
    let job_id = world.labeled("acme/shop", "ana").await;
    let error = without.invoke("triage", Ctx::with_timeout(Duration::from_secs(20)), json!({})).await.unwrap_err();
    let InvokeError::Handler(error) = error else { panic!("{error}") };
    assert_eq!(error.error_type(), "RetryAfter");
    assert_eq!(world.queued("state, waiting_for, attempt, owner").await, "waiting triage 0");
    assert_eq!(world.test.value("select run_at >= now() + interval '1 second' from queue").await, "true");
    let cause = world.test.value("select data ->> 'cause' from events where kind = 'attempt_failed'").await;
    assert_eq!(cause, error.to_string());
    assert_eq!(world.triage(json!({})).await.unwrap(), json!({ "decided": "nothing" }), "not before its time");
    world.test.execute("update queue set run_at = now()").await;
    assert_eq!(world.triage(json!({})).await.unwrap()["job_id"], json!(job_id));
    assert_eq!(world.queued("state, mode, attempt").await, "ready genius 0");
}

#[tokio::test]
async fn a_job_that_is_decided_is_not_decided_again() {
    let world = World::new().await;
    let job_id = world.labeled("acme/shop", "ana").await;
    assert_eq!(world.triage(json!({ "job_id": job_id })).await.unwrap()["decided"], "ready");
    let before = world.queued("queue").await;
    for request in [json!({ "job_id": job_id }), json!({}), json!({ "job_id": JobId::new() })] {
        assert_eq!(world.triage(request).await.unwrap(), json!({ "decided": "nothing" }));
    }
    assert_eq!(world.queued("queue").await, before);
}

#[tokio::test]
async fn a_job_that_was_stopped_while_it_waited_is_left_to_the_worker_that_ends_it() {
    let world = World::new().await;
    let job_id = world.labeled("acme/shop", "ana").await;
    queue::stop(&world.test.db, job_id).await.unwrap();
    assert_eq!(world.triage(json!({})).await.unwrap(), json!({ "decided": "nothing" }));
    assert_eq!(world.queued("state, outcome_pending ->> 'outcome'").await, "ready stopped");
}

/// A forge that answers about permissions when two have met: who asks, and the test.
struct Slow(Arc<Barrier>);

#[async_trait]
impl Forge for Slow {
    async fn permission(&self, _: &str, _: &str) -> Result<Permission, ForgeError> {
        self.0.wait().await;
        self.0.wait().await;
        Ok(Permission::Admin)
    }

    async fn remote(&self, _: &str) -> Result<String, ForgeError> {
        unreachable!("triage clones nothing")
    }

    async fn credential(&self, _: &str, _: Access) -> Result<Option<Credential>, ForgeError> {
        unreachable!("triage clones nothing")
    }

    async fn author(&self) -> Result<Person, ForgeError> {
        unreachable!("triage commits nothing")
    }

    async fn person(&self, _: &str) -> Result<Option<Person>, ForgeError> {
        unreachable!("triage commits nothing")
    }

    async fn find_pull_request(&self, _: &str, _: &str) -> Result<Option<PullRequest>, ForgeError> {
        unreachable!("triage opens no pull request")
    }

    async fn pull_request(&self, _: &str, _: u64) -> Result<Option<PullRequest>, ForgeError> {
        unreachable!("triage looks at no pull request")
    }

    async fn put_pull_request(&self, _: &str, _: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        unreachable!("triage opens no pull request")
    }

    async fn find_comment(&self, _: &str, _: u64, _: &str) -> Result<Option<Comment>, ForgeError> {
        unreachable!("triage writes no comment")
    }

    async fn put_comment(&self, _: &str, _: u64, _: &str, _: &str) -> Result<Comment, ForgeError> {
        unreachable!("triage writes no comment")
    }

    async fn edit_comment(&self, _: &str, _: u64, _: u64, _: &str) -> Result<(), ForgeError> {
        unreachable!("triage writes no comment")
    }

    async fn put_reply(&self, _: &str, _: u64, _: u64, _: &str, _: &str) -> Result<Comment, ForgeError> {
        unreachable!("triage writes no comment")
    }

    async fn review_comments(&self, _: &str, _: u64, _: u64) -> Result<Vec<LineComment>, ForgeError> {
        unreachable!("no review asked for this job")
    }

    async fn react(&self, _: &str, _: Subject, _: Emotion) -> Result<(), ForgeError> {
        unreachable!("triage leaves reactions to the outbox")
    }

    async fn put_check_run(&self, _: &str, _: Option<u64>, _: &CheckRun) -> Result<u64, ForgeError> {
        unreachable!("triage leaves check runs to the outbox")
    }

    async fn find_review(&self, _: &str, _: u64, _: &str) -> Result<Option<Review>, ForgeError> {
        unreachable!("triage reviews nothing")
    }

    async fn put_review(&self, _: &str, _: u64, _: &str, _: &NewReview) -> Result<Review, ForgeError> {
        unreachable!("triage reviews nothing")
    }
}

/// Runs triage and does `meanwhile` while the forge thinks.
async fn while_the_forge_thinks(world: &World, meanwhile: impl Future<Output = ()>) -> Result<Value, InvokeError> {
    let barrier = Arc::new(Barrier::new(2));
    let registry = registry(&world.test, Slow(barrier.clone()));
    let triage = registry.invoke("triage", Ctx::with_timeout(Duration::from_secs(20)), json!({}));
    let test = async {
        barrier.wait().await;
        meanwhile.await;
        barrier.wait().await;
    };
    tokio::join!(triage, test).0
}

#[tokio::test]
async fn two_triages_at_once_decide_a_job_once() {
    let world = World::new().await;
    world.labeled("acme/shop", "ana").await;
    let second = async { assert_eq!(world.triage(json!({})).await.unwrap(), json!({ "decided": "nothing" })) };
    assert_eq!(while_the_forge_thinks(&world, second).await.unwrap()["decided"], "ready");
    assert_eq!(world.test.value("select count(*) from events where kind = 'triaged'").await, "1");
}

#[tokio::test]
async fn a_stop_that_comes_while_the_forge_is_asked_is_kept_for_the_worker() {
    let world = World::new().await;
    let job_id = world.labeled("acme/shop", "ana").await;
    let stop = async { queue::stop(&world.test.db, job_id).await.unwrap() };
    while_the_forge_thinks(&world, stop).await.unwrap();
    assert_eq!(world.queued("state, cancel_requested").await, "ready t");
}

#[tokio::test]
async fn a_triage_whose_lease_ran_out_decides_nothing() {
    let world = World::new().await;
    world.labeled("acme/shop", "ana").await;
    let expire = async {
        world.test.execute("update queue set lease_until = now() - interval '1 second'").await;
        assert_eq!(queue::sweep(&world.test.db, None).await.unwrap().len(), 1);
    };
    let InvokeError::Handler(error) = while_the_forge_thinks(&world, expire).await.unwrap_err() else { panic!("triage is known") };
    assert_eq!(error.error_type(), "LeaseLost");
    assert_eq!(world.queued("state, waiting_for, mode").await, "waiting triage");
    assert_eq!(world.test.value("select count(*) from events where kind in ('triaged', 'attempt_failed')").await, "0");
}
