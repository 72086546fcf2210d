//! `claim`, fed as callers feed it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::path::Path;
use std::time::Duration;

use claim::Claim;
use dispatch::{Ctx, InvokeError, Registry};
use domain::{Mode, NewJob, OwnerId};
use serde_json::{Value, json};
use store::enqueue::{Enqueued, enqueue};
use testkit::{TestDb, new_job};

fn registry(test: &TestDb) -> (Registry, OwnerId) {
    let owner = OwnerId::new();
    (Registry::new().with(Claim { db: test.db.clone(), owner }), owner)
}

async fn claim(registry: &Registry, request: Value) -> Result<Value, InvokeError> {
    registry.invoke("claim", Ctx::with_timeout(Duration::from_secs(10)), request).await
}

async fn write(test: &TestDb, job: NewJob) -> String {
    match enqueue(&test.db, &job, None, None, None).await.unwrap() {
        Enqueued::New(job_id) => job_id.to_string(),
        other => panic!("{other:?}"),
    }
}

fn sample() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/claim.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_sample_event_takes_one_job_and_then_none() {
    let test = TestDb::new().await;
    let (registry, owner) = registry(&test);
    let job_id = write(&test, new_job()).await;
    let claimed = claim(&registry, sample()).await.unwrap();
    let whole = json!([{ "job_id": job_id, "repository": "acme/shop", "mode": "mechanic", "epoch": 1, "attempt": 1, "step_no": 0 }]);
    assert_eq!(claimed, whole);
    assert_eq!(test.value("select owner from queue").await, owner.0.to_string());
    assert_eq!(claim(&registry, sample()).await.unwrap(), json!([]));
}

#[tokio::test]
async fn one_to_a_thousand_and_24_slots_may_be_asked_for() {
    let test = TestDb::new().await;
    let (registry, _) = registry(&test);
    for _ in 0..3 {
        write(&test, new_job()).await;
    }
    for slots in [0, 1025, 65_535] {
        let error = claim(&registry, json!({ "mode": "mechanic", "slots": slots })).await.unwrap_err();
        assert_eq!(error.to_string(), format!("slots is {slots}: expected 1 to 1024"));
    }
    assert_eq!(test.value("select count(*) from queue where state = 'leased'").await, "0");
    assert_eq!(claim(&registry, json!({ "mode": "mechanic", "slots": 2 })).await.unwrap().as_array().unwrap().len(), 2);
    assert_eq!(claim(&registry, json!({ "mode": "mechanic", "slots": 64 })).await.unwrap().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_is_taken_by_its_id_on_behalf_of_the_worker_that_is_named() {
    let test = TestDb::new().await;
    let (registry, _) = registry(&test);
    write(&test, new_job()).await;
    let genius = write(&test, NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
    let worker = OwnerId::new();
    let request = json!({ "mode": "mechanic", "job_id": genius, "worker": worker });
    let claimed = claim(&registry, request.clone()).await.unwrap();
    assert_eq!((&claimed[0]["job_id"], &claimed[0]["mode"]), (&json!(genius), &json!("genius")));
    assert_eq!(test.value(&format!("select owner from queue where job_id = '{genius}'")).await, worker.0.to_string());
    assert_eq!(claim(&registry, request).await.unwrap(), json!([]), "again it is taken already");
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_by_its_field() {
    let test = TestDb::new().await;
    let (registry, _) = registry(&test);
    for (request, field) in [
        (json!({}), "mode"),
        (json!({ "mode": "wizard" }), "wizard"),
        (json!({ "mode": "mechanic", "slots": -1 }), "slots"),
        (json!({ "mode": "mechanic", "slot": 1 }), "slot"),
    ] {
        let error = claim(&registry, request).await.unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}
