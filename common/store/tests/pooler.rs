//! Behind the real PgBouncer in transaction mode, with two sessions for all clients. Where it is not installed, these
//! say so and test nothing.

use std::time::Duration;

use domain::{Mode, Secret};
use serde_json::json;
use store::wake::{Listener, Signal};
use store::{Db, Route, StoreError, finish, jobs, ledger, queue};
use testkit::{Pooler, TestDb};
use tokio::task::JoinSet;

use crate::{claim, count, ready, succeeded, take_step};

const PATIENCE: Duration = Duration::from_secs(20);

async fn through(pooler: &Pooler, url: &Secret) -> Db {
    Db::connect_by(Route::Transaction, &pooler.url(url), 4, PATIENCE).await.unwrap()
}

/// A job from its enqueueing to its end.
async fn whole_job(db: &Db) {
    let job_id = ready(db).await;
    let epoch = claim(db, job_id).await;
    for step_no in 1..=3 {
        take_step(db, job_id, epoch, step_no).await;
    }
    assert!(queue::renew(db, &[(job_id, epoch)], queue::LEASE, None).await.unwrap().lost.is_empty());
    finish::finish(db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
    assert!(jobs::get(db, job_id).await.unwrap().queue.is_none());
}

#[tokio::test]
async fn whole_jobs_of_several_processes_go_through_two_sessions() {
    let test = TestDb::new().await;
    let Some(pooler) = Pooler::start(&test).await else { return };
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let process = through(&pooler, &test.url).await;
        for _ in 0..3 {
            let db = process.clone();
            tasks.spawn(async move {
                for _ in 0..4 {
                    whole_job(&db).await;
                }
            });
        }
    }
    tasks.join_all().await;
    assert_eq!(count(&test, "jobs where outcome = 'succeeded'").await, 48);
    let verified = ledger::verify(&through(&pooler, &test.url).await, None).await.unwrap();
    assert_eq!((verified.jobs, verified.faults), (48, vec![]));
    let left = "(select from pg_stat_activity where state like 'idle in transaction%' and datname = current_database()) as idle";
    // A transaction that only read is rolled back when its session goes back to the pool, a moment later.
    let ended = async {
        while count(&test, left).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("no session stays in a transaction");
}

#[tokio::test]
async fn processes_that_start_at_once_migrate_through_it_once() {
    let test = TestDb::new().await;
    let Some(pooler) = Pooler::start(&test).await else { return };
    let name = format!("{}_empty", test.value("current_database()").await);
    test.execute(&format!("create database {name}")).await;
    let url = Secret::new(test.url.expose().replace(&test.value("current_database()").await, &name));
    let (first, second) = (through(&pooler, &url).await, through(&pooler, &url).await);
    let (one, two) = tokio::join!(first.migrate(), second.migrate());
    one.and(two).unwrap();
    first.check_schema().await.unwrap();
    whole_job(&second).await;
}

#[tokio::test]
async fn a_process_that_does_not_know_of_the_pooler_is_told_what_to_set() {
    let test = TestDb::new().await;
    let Some(pooler) = Pooler::start(&test).await else { return };
    match Db::connect(&pooler.url(&test.url), 1, PATIENCE).await {
        Err(StoreError::Refused(why)) => assert!(why.contains("DATABASE_POOLER=transaction"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn notifications_sent_through_it_are_heard_around_it() {
    let test = TestDb::new().await;
    let Some(pooler) = Pooler::start(&test).await else { return };
    let listener = Listener::new(&test.url).unwrap();
    let mut ear = listener.subscribe([Signal::Mechanic]);
    let mut tasks = JoinSet::new();
    let running = listener.clone();
    tasks.spawn(async move { running.run().await });
    listener.connected().wait_for(|connected| *connected).await.unwrap();
    // The first is the listener's own, for what may have been missed.
    ear.woken().await;
    store::wake::notify(&through(&pooler, &test.url).await, Mode::Mechanic).await;
    tokio::time::timeout(PATIENCE, ear.woken()).await.expect("the notification is heard");
}
