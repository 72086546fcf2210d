//! Jobs that end at the same moment: in few statements, each by its own fence.

use std::collections::BTreeMap;

use domain::{Epoch, JobId, Outcome};
use serde_json::json;
use store::{Db, StoreError, finish, queue};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::{count, expire, held, succeeded};

async fn end(db: &Db, job_id: JobId, epoch: Epoch, outcome: Outcome) -> Result<(), StoreError> {
    finish::finish(db, job_id, epoch, &outcome, &json!({ "branch": job_id.to_string() })).await.map(drop)
}

/// Ends them all at once; what each was told.
async fn end_all(db: &Db, jobs: &[(JobId, Epoch)]) -> BTreeMap<JobId, Result<(), StoreError>> {
    let mut ends = JoinSet::new();
    for (job_id, epoch) in jobs.iter().copied() {
        let db = db.clone();
        ends.spawn(async move { (job_id, end(&db, job_id, epoch, succeeded()).await) });
    }
    ends.join_all().await.into_iter().collect()
}

async fn hold(db: &Db, jobs: usize) -> Vec<(JobId, Epoch)> {
    let mut all = Vec::new();
    for _ in 0..jobs {
        all.push(held(db).await);
    }
    all
}

/// Waits until a statement waits for a row that `test` has locked.
async fn until_blocked(test: &TestDb) {
    let blocked = "exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())";
    while test.value(blocked).await != "true" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn jobs_that_end_at_once_end_in_few_statements_each_with_its_own_result() {
    let test = TestDb::new().await;
    let jobs = hold(&test.db, 100).await;
    let told = end_all(&test.db, &jobs).await;
    assert!(told.values().all(Result::is_ok), "{told:?}");
    assert_eq!(count(&test, "queue").await, 0);
    assert_eq!(count(&test, "jobs where outcome = 'succeeded' and links ->> 'branch' = job_id::text").await, 100);
    assert_eq!(count(&test, "events where kind = 'finalized' and data -> 'links' ->> 'branch' = job_id::text").await, 100);
    // The first goes alone; those that came meanwhile go together, and there may be a few stragglers.
    let statements = count(&test, "(select distinct xid from events where kind = 'finalized') as statements").await;
    assert!(statements <= 10, "{statements}");
}

#[tokio::test]
async fn whoever_lost_a_lease_hears_it_alone() {
    let test = TestDb::new().await;
    let jobs = hold(&test.db, 20).await;
    let (lost, epoch) = jobs[7];
    expire(&test, lost).await;
    let mut told = end_all(&test.db, &jobs).await;
    assert!(matches!(told.remove(&lost), Some(Err(StoreError::LeaseLost { job_id, epoch: under })) if (job_id, under) == (lost, epoch)));
    assert!(told.values().all(Result::is_ok), "{told:?}");
    assert_eq!(test.value("select job_id from queue").await, lost.to_string());
    assert_eq!(count(&test, "jobs where outcome is null").await, 1);
}

#[tokio::test]
async fn an_old_and_a_new_holder_in_one_process_are_told_apart() {
    let test = TestDb::new().await;
    let (job_id, old) = held(&test.db).await;
    expire(&test, job_id).await;
    let new = crate::claim(&test.db, job_id).await;
    let (first, second) = tokio::join!(end(&test.db, job_id, old, succeeded()), end(&test.db, job_id, new, succeeded()));
    assert!(matches!(first, Err(StoreError::LeaseLost { .. })), "{first:?}");
    second.unwrap();
}

#[tokio::test]
async fn one_that_the_database_refuses_leaves_the_others_to_end() {
    let test = TestDb::new().await;
    let jobs = hold(&test.db, 20).await;
    let refused = jobs[3].0;
    // The number that its last event would get is taken.
    test.execute(&format!("insert into events (job_id, seq, kind, data) values ('{refused}', 3, 'hint', '{{}}')")).await;
    let mut told = end_all(&test.db, &jobs).await;
    assert!(matches!(told.remove(&refused), Some(Err(StoreError::Duplicate))));
    assert!(told.values().all(Result::is_ok), "{told:?}");
    assert_eq!(test.value("select job_id from queue").await, refused.to_string());
}

#[tokio::test]
async fn a_dead_job_ends_beside_others_and_keeps_its_row() {
    let test = TestDb::new().await;
    let (dead, epoch) = held(&test.db).await;
    let (job_id, other) = held(&test.db).await;
    let cause = Outcome::Dead { cause: "lost".to_owned() };
    let (first, second) = tokio::join!(end(&test.db, dead, epoch, cause), end(&test.db, job_id, other, succeeded()));
    first.and(second).unwrap();
    assert_eq!(test.value("select job_id || ' ' || state || ' ' || (owner is null) from queue").await, format!("{dead} dead true"));
    assert_eq!(test.value("select string_agg(seq::text, ' ' order by job_id) from events where kind = 'finalized'").await, "3 3");
}

/// A renewal moves the row: the statement has seen the old one, and must end the new one.
#[tokio::test]
async fn a_renewal_that_commits_while_a_job_ends_leaves_no_row_behind() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    let mut renewal = test.db.pool().begin().await.unwrap();
    sqlx::query("update queue set lease_until = lease_until + interval '10 seconds'").execute(&mut *renewal).await.unwrap();
    let ending = tokio::spawn({
        let db = test.db.clone();
        async move { end(&db, job_id, epoch, succeeded()).await }
    });
    until_blocked(&test).await;
    renewal.commit().await.unwrap();
    ending.await.unwrap().unwrap();
    assert_eq!(count(&test, "queue").await, 0);
    assert_eq!(count(&test, "jobs where outcome = 'succeeded'").await, 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nobody_with_it() {
    let test = TestDb::new().await;
    let ((first, its), (second, epoch)) = (held(&test.db).await, held(&test.db).await);
    let mut lock = test.db.pool().begin().await.unwrap();
    sqlx::query("select from queue for update").execute(&mut *lock).await.unwrap();
    let start = |job_id, epoch| {
        let db = test.db.clone();
        tokio::spawn(async move { end(&db, job_id, epoch, succeeded()).await })
    };
    let goes = start(first, its);
    until_blocked(&test).await;
    let stays = start(second, epoch);
    goes.abort();
    lock.commit().await.unwrap();
    stays.await.unwrap().unwrap();
    assert_eq!(count(&test, "queue").await, 0);
}

#[tokio::test]
async fn renewals_and_ends_of_many_jobs_never_wait_for_each_other_in_a_circle() {
    let test = TestDb::new().await;
    let jobs = hold(&test.db, 60).await;
    let renewals = async {
        for _ in 0..20 {
            queue::renew(&test.db, &jobs, queue::LEASE, None).await.unwrap();
        }
    };
    let (told, ()) = tokio::join!(end_all(&test.db, &jobs), renewals);
    assert!(told.values().all(Result::is_ok), "{told:?}");
}
