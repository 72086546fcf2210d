//! Writing jobs: a delivery and a key each stand for one job.

use std::sync::Arc;

use domain::{JobId, NewJob};
use store::enqueue::{Delivery, Enqueued, enqueue, ignore};
use store::{Db, StoreError};
use testkit::{TestDb, new_job};
use tokio::task::JoinSet;

use crate::{count, dump, queued};

fn delivery(id: &str) -> Delivery<'_> {
    Delivery { delivery_id: id, event: "issues", body: b"{}" }
}

async fn deliver(db: &Db, id: &str, key: &str) -> Enqueued {
    enqueue(db, &new_job(), Some(key), Some(delivery(id)), None).await.unwrap()
}

fn id_of(enqueued: &Enqueued) -> JobId {
    match enqueued {
        Enqueued::New(job_id) | Enqueued::Known(job_id) => *job_id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_with_a_mode_is_ready_and_one_without_waits_for_triage() {
    let test = TestDb::new().await;
    let ready = crate::ready(&test.db).await;
    let waiting = crate::waiting(&test.db).await;
    let place = "concat_ws(' ', state, mode, waiting_for, lane, event_seq)";
    assert_eq!(queued(&test, ready, place).await, "ready mechanic acme/shop 1");
    assert_eq!(queued(&test, waiting, place).await, "waiting triage acme/shop 1");
    let events = test.value("select string_agg(seq || kind, ' ') from events").await;
    assert_eq!(events, "1enqueued 1enqueued");
}

#[tokio::test]
async fn a_delivery_that_comes_twice_is_one_job() {
    let test = TestDb::new().await;
    let first = deliver(&test.db, "d1", "key").await;
    let before = dump(&test).await;
    let second = deliver(&test.db, "d1", "key").await;
    assert_eq!(second, Enqueued::Known(id_of(&first)));
    assert_eq!(dump(&test).await, before);
}

#[tokio::test]
async fn a_delivery_that_comes_twenty_times_at_once_is_one_job() {
    let test = Arc::new(TestDb::new().await);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let test = test.clone();
        calls.spawn(async move { enqueue(&test.db, &new_job(), None, Some(delivery("d1")), None).await.unwrap() });
    }
    let all = calls.join_all().await;
    assert_eq!(all.iter().filter(|enqueued| matches!(enqueued, Enqueued::New(_))).count(), 1);
    assert!(all.iter().all(|enqueued| id_of(enqueued) == id_of(&all[0])));
    assert_eq!((count(&test, "jobs").await, count(&test, "queue").await, count(&test, "deliveries").await), (1, 1, 1));
}

#[tokio::test]
async fn two_deliveries_of_one_action_are_one_job_even_at_once() {
    let test = Arc::new(TestDb::new().await);
    let mut calls = JoinSet::new();
    for no in 0..20 {
        let test = test.clone();
        calls.spawn(async move { deliver(&test.db, &format!("d{no}"), "issue 7, labeled").await });
    }
    let all = calls.join_all().await;
    assert_eq!(all.iter().filter(|enqueued| matches!(enqueued, Enqueued::New(_))).count(), 1);
    assert_eq!((count(&test, "jobs").await, count(&test, "deliveries").await), (1, 20));
    assert_eq!(count(&test, &format!("deliveries where job_id = '{}'", id_of(&all[0]))).await, 20);
}

#[tokio::test]
async fn a_key_stands_for_its_job_until_it_expires_and_then_for_the_next() {
    let test = TestDb::new().await;
    let first = id_of(&deliver(&test.db, "d1", "key").await);
    assert_eq!(deliver(&test.db, "d2", "key").await, Enqueued::Known(first));
    let days = test.value("select round(extract(epoch from expires_at - now()) / 86400) from job_keys").await;
    assert_eq!(days, "30");
    test.execute("update job_keys set expires_at = now()").await;
    let Enqueued::New(second) = deliver(&test.db, "d3", "key").await else { panic!("the key has expired") };
    assert_ne!(first, second);
    assert_eq!(deliver(&test.db, "d4", "key").await, Enqueued::Known(second));
    assert_eq!(deliver(&test.db, "d1", "key").await, Enqueued::Known(first), "the first delivery keeps its job");
}

#[tokio::test]
async fn an_expired_key_is_taken_over_once_however_many_ask() {
    let test = Arc::new(TestDb::new().await);
    deliver(&test.db, "d0", "key").await;
    test.execute("update job_keys set expires_at = now()").await;
    let mut calls = JoinSet::new();
    for no in 1..=10 {
        let test = test.clone();
        calls.spawn(async move { deliver(&test.db, &format!("d{no}"), "key").await });
    }
    let all = calls.join_all().await;
    assert_eq!(all.iter().filter(|enqueued| matches!(enqueued, Enqueued::New(_))).count(), 1);
    assert_eq!(count(&test, "jobs").await, 2);
}

#[tokio::test]
async fn a_delivery_that_asks_for_nothing_is_kept_with_the_reason() {
    let test = TestDb::new().await;
    let ignored = Enqueued::Ignored("ping".to_owned());
    assert_eq!(ignore(&test.db, delivery("d1"), "ping").await.unwrap(), ignored);
    // Whatever a later release makes of it: this delivery is answered.
    assert_eq!(ignore(&test.db, delivery("d1"), "another reason").await.unwrap(), ignored);
    assert_eq!(deliver(&test.db, "d1", "key").await, ignored);
    assert_eq!(
        test.value("select concat_ws(' ', delivery_id, event, convert_from(body, 'UTF8'), ignored) from deliveries").await,
        "d1 issues {} ping"
    );
    assert_eq!((count(&test, "jobs").await, count(&test, "job_keys").await), (0, 0));
}

#[tokio::test]
async fn a_job_that_cannot_be_written_leaves_nothing_behind() {
    let test = TestDb::new().await;
    let before = dump(&test).await;
    // PostgreSQL has no NUL in text, and finds out after delivery and key are written.
    let job = NewJob { repository: "acme/\0".to_owned(), ..new_job() };
    let error = enqueue(&test.db, &job, Some("key"), Some(delivery("d1")), None).await.unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error}");
    assert_eq!(dump(&test).await, before);
    assert!(matches!(deliver(&test.db, "d1", "key").await, Enqueued::New(_)));
}
