//! `scale` on a real queue, with workers that come as soon as they are asked for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod decision;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch::{Ctx, Registry};
use domain::scale::Bounds;
use domain::{Capacity, CapacityError, Counts, Mode, NewJob, OwnerId, Scope};
use scale::Scale;
use serde_json::{Value, json};
use store::queue::{self, LEASE};
use store::{Db, enqueue, gates};
use testkit::{TestDb, new_job};

/// A cloud that does as it is told, or is away, and keeps what it was told.
#[derive(Default)]
struct Cloud {
    desired: Mutex<[u32; 2]>,
    told: Mutex<Vec<(Mode, u32)>>,
    away: Mutex<Option<CapacityError>>,
    /// A job that comes in the very moment in which fewer workers are asked for.
    surprise: Mutex<Option<Db>>,
}

#[async_trait]
impl Capacity for Cloud {
    async fn counts(&self, mode: Mode) -> Result<Counts, CapacityError> {
        if let Some(error) = self.away.lock().unwrap().clone() {
            return Err(error);
        }
        let desired = self.desired.lock().unwrap()[mode as usize];
        Ok(Counts { desired, running: desired })
    }

    async fn set_desired(&self, mode: Mode, desired: u32) -> Result<(), CapacityError> {
        let db = self.surprise.lock().unwrap().take();
        if let Some(db) = db {
            job(&db, mode).await;
        }
        self.desired.lock().unwrap()[mode as usize] = desired;
        self.told.lock().unwrap().push((mode, desired));
        Ok(())
    }

    async fn stop(&self, _task: &str, _reason: &str) -> Result<bool, CapacityError> {
        unreachable!("whoever scales stops nobody")
    }
}

const BOUNDS: [Bounds; 2] = [Bounds { slots: 2, most: 10, least_busy: 2 }, Bounds { slots: 1, most: 3, least_busy: 0 }];

async fn job(db: &Db, mode: Mode) {
    enqueue::enqueue(db, &NewJob { mode: Some(mode), ..new_job() }, None, None, None).await.unwrap();
}

/// The handler over JSON, and the cloud behind it.
async fn scene() -> (TestDb, Registry, Arc<Cloud>) {
    let (test, cloud) = (TestDb::new().await, Arc::new(Cloud::default()));
    let scale = Scale { db: test.db.clone(), capacity: Some(cloud.clone()), bounds: BOUNDS };
    (test, Registry::new().with(scale), cloud)
}

async fn scale(registry: &Registry, request: Value) -> Value {
    registry.invoke("scale", Ctx::with_timeout(Duration::from_secs(10)), request).await.unwrap()
}

/// Makes the last work of every mode as old as this.
async fn idle_for(test: &TestDb, seconds: u32) {
    test.execute(&format!("update scaling set busy_at = now() - interval '{seconds} seconds'")).await;
}

fn sample() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/scale.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn work_wakes_workers_of_its_mode_and_a_minute_without_any_lets_them_go() {
    let (test, registry, cloud) = scene().await;
    let idle = |mode: &str| json!({ "mode": mode, "ready": 0, "leased": 0, "held_back": 0, "running": 0, "before": 0, "desired": 0, "why": "idle" });
    assert_eq!(scale(&registry, sample()).await, json!([idle("mechanic"), idle("genius")]));
    for _ in 0..5 {
        job(&test.db, Mode::Mechanic).await;
    }
    let woken =
        json!({ "mode": "mechanic", "ready": 5, "leased": 0, "held_back": 0, "running": 0, "before": 0, "desired": 3, "why": "load" });
    assert_eq!(scale(&registry, sample()).await, json!([woken, idle("genius")]));
    let again = scale(&registry, json!({ "mode": "mechanic" })).await;
    assert_eq!((&again[0]["before"], &again[0]["desired"]), (&json!(3), &json!(3)), "a target, and no difference");

    let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Mechanic, 5, LEASE, None).await.unwrap();
    assert_eq!(scale(&registry, json!({})).await[0]["leased"], 5);
    for job in &claimed {
        end(&test.db, job).await;
    }
    assert_eq!(scale(&registry, json!({})).await[0]["desired"], 3, "they had work a moment ago");
    idle_for(&test, 59).await;
    assert_eq!(scale(&registry, json!({})).await[0]["why"], "recent");
    idle_for(&test, 60).await;
    assert_eq!(scale(&registry, json!({})).await[0]["desired"], 0);
    assert_eq!(*cloud.told.lock().unwrap(), [(Mode::Mechanic, 3), (Mode::Mechanic, 0)], "nothing is asked for that is there");
}

/// Ends a claimed job.
async fn end(db: &Db, job: &queue::Claimed) {
    let outcome = domain::Outcome::Failed { cause: "there was nothing to do".to_owned() };
    store::finish::finish(db, job.job_id, job.epoch, &outcome, &json!({})).await.unwrap();
}

#[tokio::test]
async fn a_single_job_gets_the_least_that_a_busy_mode_has_and_a_flood_the_most() {
    let (test, registry, cloud) = scene().await;
    job(&test.db, Mode::Mechanic).await;
    assert_eq!(scale(&registry, json!({})).await[0]["desired"], 2);
    for _ in 0..9 {
        job(&test.db, Mode::Genius).await;
    }
    let genius = &scale(&registry, json!({ "mode": "genius" })).await[0];
    assert_eq!((&genius["desired"], &genius["why"]), (&json!(3), &json!("most")));
    assert_eq!(*cloud.desired.lock().unwrap(), [2, 3]);
}

#[tokio::test]
async fn nobody_is_kept_up_by_jobs_that_are_paused() {
    let (test, registry, _cloud) = scene().await;
    job(&test.db, Mode::Mechanic).await;
    gates::pause(&test.db, &Scope::Mode(Mode::Mechanic), None).await.unwrap();
    let paused = scale(&registry, json!({})).await;
    assert_eq!((&paused[0]["held_back"], &paused[0]["desired"]), (&json!(1), &json!(0)));
    gates::resume(&test.db, &Scope::Mode(Mode::Mechanic)).await.unwrap();
    assert_eq!(scale(&registry, json!({})).await[0]["desired"], 2);
    gates::pause(&test.db, &Scope::All, None).await.unwrap();
    idle_for(&test, 60).await;
    assert_eq!(scale(&registry, json!({})).await[0]["desired"], 0, "paused while they were up");
}

#[tokio::test]
async fn a_job_that_comes_while_workers_are_let_go_has_them_asked_for_again() {
    let (test, registry, cloud) = scene().await;
    job(&test.db, Mode::Genius).await;
    scale(&registry, json!({})).await;
    for job in queue::claim(&test.db, OwnerId::new(), Mode::Genius, 5, LEASE, None).await.unwrap() {
        end(&test.db, &job).await;
    }
    idle_for(&test, 61).await;
    *cloud.surprise.lock().unwrap() = Some(test.db.clone());
    let genius = &scale(&registry, json!({ "mode": "genius" })).await[0];
    assert_eq!((&genius["before"], &genius["ready"], &genius["desired"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(*cloud.told.lock().unwrap(), [(Mode::Genius, 1), (Mode::Genius, 0), (Mode::Genius, 1)]);
}

#[tokio::test]
async fn two_services_that_decide_at_the_same_time_come_to_the_same() {
    let (test, registry, cloud) = scene().await;
    let other = Registry::new().with(Scale { db: test.db.clone(), capacity: Some(cloud.clone()), bounds: BOUNDS });
    for round in 0..20 {
        job(&test.db, Mode::Mechanic).await;
        tokio::join!(scale(&registry, json!({})), scale(&other, json!({})));
        let expected = u32::max(2, (round + 2) / 2).min(10);
        assert_eq!(cloud.desired.lock().unwrap()[0], expected, "after {} jobs", round + 1);
    }
}

#[tokio::test]
async fn who_has_no_workers_to_give_says_so_and_what_can_be_done() {
    let (test, registry, cloud) = scene().await;
    let invoke = async |registry: &Registry, request| {
        let failed = registry.invoke("scale", Ctx::with_timeout(Duration::from_secs(10)), request).await;
        failed.unwrap_err().to_string()
    };
    let none = Registry::new().with(Scale { db: test.db.clone(), capacity: None, bounds: BOUNDS });
    assert!(invoke(&none, json!({})).await.contains("set ECS_CLUSTER"));
    *cloud.away.lock().unwrap() = Some(CapacityError::Unavailable("ECS answers 503".to_owned()));
    assert!(invoke(&registry, json!({})).await.contains("ECS answers 503"));
    *cloud.away.lock().unwrap() = Some(CapacityError::Refused("no cluster \"ai-coding\"".to_owned()));
    assert!(invoke(&registry, json!({})).await.contains("no cluster"));
    for (request, field) in [(json!({ "mode": "wizard" }), "wizard"), (json!({ "modes": [] }), "modes")] {
        let error = invoke(&registry, request).await;
        assert!(error.contains(field), "{error}");
    }
}
