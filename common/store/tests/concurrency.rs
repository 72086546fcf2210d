//! Many at once: nothing twice, nothing lost, no gaps.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{Event, EventKind, Mode, OwnerId};
use serde_json::json;
use store::queue::{self, LEASE};
use store::{events, ledger, steps};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::{count, held, ready, take_step};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_claims_never_get_one_job() {
    let test = Arc::new(TestDb::new().await);
    for _ in 0..200 {
        ready(&test.db).await;
    }
    let mut claimers = JoinSet::new();
    for _ in 0..16 {
        let test = test.clone();
        claimers.spawn(async move {
            let (owner, mut mine) = (OwnerId::new(), Vec::new());
            loop {
                let claimed = queue::claim(&test.db, owner, Mode::Mechanic, 3, LEASE, None).await.unwrap();
                assert!(claimed.len() <= 3);
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|job| job.job_id));
            }
        });
    }
    let all: Vec<_> = claimers.join_all().await.into_iter().flatten().collect();
    // A claim may find every job that is left locked by others, so all of them together must find all.
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (200, 200));
    assert_eq!(count(&test, "events where kind = 'claimed'").await, 200);
    assert_eq!(count(&test, "queue where epoch = 1 and attempt = 1 and state = 'leased'").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_waiting_job_goes_to_one_triage() {
    let test = Arc::new(TestDb::new().await);
    crate::waiting(&test.db).await;
    let mut claimers = JoinSet::new();
    for _ in 0..16 {
        let test = test.clone();
        claimers.spawn(async move { queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().is_some() });
    }
    assert_eq!(claimers.join_all().await.into_iter().filter(|got| *got).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sweeps_at_once_take_each_lease_back_once() {
    let test = Arc::new(TestDb::new().await);
    for _ in 0..40 {
        held(&test.db).await;
    }
    test.execute("update queue set lease_until = now() - interval '1 second'").await;
    let mut sweepers = JoinSet::new();
    for _ in 0..8 {
        let test = test.clone();
        sweepers.spawn(async move { queue::sweep(&test.db, None).await.unwrap().len() });
    }
    assert_eq!(sweepers.join_all().await.into_iter().sum::<usize>(), 40);
    assert_eq!(count(&test, "queue where epoch = 2 and state = 'ready'").await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_numbers_of_events_have_no_gaps_however_many_write() {
    let test = Arc::new(TestDb::new().await);
    let (job_id, epoch) = held(&test.db).await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let test = test.clone();
        writers.spawn(async move {
            for no in 0..25 {
                let event = Event::new(EventKind::Hint, json!({ "text": format!("{writer}.{no}"), "before_step": 1 }));
                events::append(&test.db, job_id, epoch, &event).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let all = events::list(&test.db, job_id, 0, 1_000).await.unwrap();
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=202).collect::<Vec<_>>());
    let page = events::list(&test.db, job_id, 200, 1).await.unwrap();
    assert_eq!(page.iter().map(|event| (event.seq, event.kind.as_str())).collect::<Vec<_>>(), [(201, "hint")]);
    assert_eq!(steps::hints(&test.db, job_id).await.unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn jobs_that_run_do_not_look_broken_to_a_verification() {
    let test = Arc::new(TestDb::new().await);
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let (job_id, epoch) = held(&test.db).await;
        let test = test.clone();
        workers.spawn(async move {
            for step_no in 1..=20 {
                take_step(&test.db, job_id, epoch, step_no).await;
            }
        });
    }
    let mut seen = HashSet::new();
    while !workers.is_empty() {
        let verified = ledger::verify(&test.db, None).await.unwrap();
        assert_eq!(verified.faults, []);
        seen.insert(verified.rows);
        while workers.try_join_next().is_some_and(|ended| ended.is_ok()) {}
    }
    assert!(seen.len() > 2, "it looked while they ran: {seen:?}");
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().rows, 160);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn renewals_and_sweeps_of_the_same_jobs_never_wait_for_each_other_in_a_circle() {
    let test = Arc::new(TestDb::new().await);
    let mut leases = Vec::new();
    for _ in 0..12 {
        leases.push(held(&test.db).await);
    }
    let mut tasks = JoinSet::new();
    for turn in 0..6 {
        let (test, mut leases) = (test.clone(), leases.clone());
        leases.rotate_left(turn * 2);
        if turn % 2 == 0 {
            leases.reverse();
        }
        tasks.spawn(async move {
            for _ in 0..10 {
                queue::renew(&test.db, &leases, LEASE, None).await.unwrap();
                queue::sweep(&test.db, None).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(queue::still_held(&test.db, &leases).await.unwrap().len(), 12);
    let (job_id, epoch) = leases[0];
    take_step(&test.db, job_id, epoch, 1).await;
}
