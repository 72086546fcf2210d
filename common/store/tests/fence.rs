//! The fence: whoever lost a job writes nothing more to it, whatever the write.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use domain::{Epoch, Event, EventKind, JobId, Kind, Mode, OwnerId, Spent, WaitingFor};
use serde_json::json;
use store::effects::{self, EffectName};
use store::steps::{self, Acted, Prepared, Work};
use store::{Db, StoreError, events, finish, hand_over, jobs, questions, queue};
use testkit::TestDb;

use crate::{MODEL, RESERVED, answer, call, claim, dump, expire, held, reserve, seconds, succeeded};

/// Every function of the store that names an epoch. [`the_table_names_every_function_that_takes_an_epoch`]
/// keeps it whole.
const FENCED: &[&str] = &[
    "append",
    "ask",
    "confirm",
    "decide",
    "decide_stopped",
    "fail_attempt",
    "finish",
    "hand_over",
    "intend",
    "load",
    "load_since",
    "prepared",
    "refusal",
    "release",
    "release_reservation",
    "renew",
    "reserve",
    "settle_call",
    "spent_time",
    "store_reply",
    "store_results",
    "triaged",
    "wait_for",
    "wait_out",
];

/// Calls one of them for a job with reservation 1 open.
async fn attempt(db: &Db, write: &str, job_id: JobId, epoch: Epoch) -> Result<(), StoreError> {
    let detail = json!({ "branch": "codeteam/x" });
    match write {
        "append" => events::append(db, job_id, epoch, &Event::new(EventKind::Hint, json!({ "text": "look", "before_step": 1 }))).await,
        "ask" => questions::ask(db, job_id, epoch, 1, "which?", seconds(60)).await,
        "confirm" => effects::confirm(db, job_id, epoch, EffectName::Branch, &detail).await,
        "decide" => queue::decide(db, job_id, epoch, &succeeded()).await.map(|_| ()),
        "decide_stopped" => {
            // It is for a job that is to stop.
            if !queue::still_held(db, &[(job_id, epoch)]).await?.is_empty() {
                queue::stop(db, job_id).await?;
            }
            match queue::decide_stopped(db, job_id, epoch).await? {
                true => Ok(()),
                false => Err(StoreError::LeaseLost { job_id, epoch }),
            }
        }
        "fail_attempt" => queue::fail_attempt(db, job_id, epoch, "the disk is full").await.map(|_| ()),
        "finish" => finish::finish(db, job_id, epoch, &succeeded(), &json!({})).await.map(|_| ()),
        "hand_over" => hand_over::hand_over(db, job_id, epoch, "nothing new", "").await,
        "intend" => effects::intend(db, job_id, epoch, EffectName::Branch, &detail).await,
        "load" => steps::load(db, job_id, epoch).await.map(|_| ()),
        "load_since" => {
            let job = jobs::get(db, job_id).await?.job;
            let known = Work {
                job,
                spent: Spent::default(),
                attempt: 1,
                cancel_requested: false,
                outcome_pending: None,
                handed_over: None,
                steps: Vec::new(),
                hints: Vec::new(),
                heard: 0,
            };
            steps::load_since(db, job_id, epoch, known).await.map(|_| ())
        }
        "prepared" => {
            steps::prepared(db, job_id, epoch, Prepared { base_commit: "c0ffee", notes: &[], took: Duration::ZERO, ..Prepared::default() })
                .await
        }
        "refusal" => hand_over::refusal(db, job_id, epoch).await.map(|_| ()),
        "release" => queue::release(db, job_id, epoch, "the worker shuts down").await,
        "release_reservation" => steps::release_reservation(db, job_id, epoch, 1, MODEL, (1, RESERVED), seconds(1)).await,
        "renew" => match queue::renew(db, &[(job_id, epoch)], seconds(30), None).await?.lost[..] {
            [] => Ok(()),
            _ => Err(StoreError::LeaseLost { job_id, epoch }),
        },
        "settle_call" => steps::settle_call(db, job_id, epoch, MODEL, (1, RESERVED), &testkit::usage(1, 1), RESERVED).await,
        "spent_time" => steps::spent_time(db, job_id, epoch, seconds(1)).await,
        "reserve" => steps::reserve(db, job_id, epoch, call(1)).await.map(|_| ()),
        "store_reply" => steps::store_reply(db, job_id, epoch, &answer(1, 1)).await.map(|_| ()),
        "store_results" => {
            let acted = Acted { step_no: 1, results: &json!({}), checkpoint: Some(("tree", b"pack")), left_out: &[], took: Duration::ZERO };
            steps::store_results(db, job_id, epoch, &acted).await.map(|_| ())
        }
        "triaged" => queue::triaged(db, job_id, epoch, (Kind::Change, Mode::Genius), None, "asked for").await,
        "wait_for" => queue::wait_for(db, job_id, epoch, WaitingFor::Answer, crate::now() + seconds(60)).await,
        "wait_out" => queue::wait_out(db, job_id, epoch, "the forge is away", seconds(1), seconds(60)).await,
        other => panic!("{other} is in FENCED and not here"),
    }
}

/// A job with an open reservation, and the epoch of the test's claim.
async fn mine(test: &TestDb) -> (JobId, Epoch) {
    let (job_id, epoch) = held(&test.db).await;
    assert_eq!(reserve(&test.db, job_id, epoch, 1).await, 1);
    (job_id, epoch)
}

/// None of the writes gets through, and none leaves a trace.
async fn is_locked_out(test: &TestDb, job_id: JobId, epoch: Epoch) {
    let before = dump(test).await;
    for write in FENCED {
        match attempt(&test.db, write, job_id, epoch).await {
            Err(StoreError::LeaseLost { job_id: lost, epoch: under }) => assert_eq!((lost, under), (job_id, epoch), "{write}"),
            other => panic!("{write}: {other:?}"),
        }
        assert_eq!(dump(test).await, before, "{write}");
    }
}

#[tokio::test]
async fn the_holder_of_a_lease_may_make_every_write() {
    let test = TestDb::new().await;
    for write in FENCED {
        let (job_id, epoch) = mine(&test).await;
        let before = dump(&test).await;
        attempt(&test.db, write, job_id, epoch).await.unwrap_or_else(|error| panic!("{write}: {error}"));
        assert_eq!(dump(&test).await == before, ["load", "load_since", "refusal"].contains(write), "{write}");
    }
}

#[tokio::test]
async fn nobody_writes_after_the_lease_ran_out_and_was_swept() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    expire(&test, job_id).await;
    is_locked_out(&test, job_id, epoch).await;
}

#[tokio::test]
async fn nobody_writes_after_another_worker_took_over() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    expire(&test, job_id).await;
    let theirs = claim(&test.db, job_id).await;
    assert!(theirs > epoch);
    is_locked_out(&test, job_id, epoch).await;
    steps::store_reply(&test.db, job_id, theirs, &answer(1, 1)).await.unwrap();
}

#[tokio::test]
async fn nobody_writes_after_giving_the_job_back() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    queue::release(&test.db, job_id, epoch, "the worker shuts down").await.unwrap();
    is_locked_out(&test, job_id, epoch).await;
}

#[tokio::test]
async fn nobody_writes_after_the_attempt_was_given_up() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    queue::fail_attempt(&test.db, job_id, epoch, "the disk is full").await.unwrap();
    is_locked_out(&test, job_id, epoch).await;
}

#[tokio::test]
async fn nobody_writes_after_the_job_was_put_to_wait_or_woken() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    queue::wait_for(&test.db, job_id, epoch, WaitingFor::Answer, crate::now() + seconds(60)).await.unwrap();
    is_locked_out(&test, job_id, epoch).await;
    queue::wake(&test.db, job_id).await.unwrap();
    is_locked_out(&test, job_id, epoch).await;
}

#[tokio::test]
async fn nobody_writes_after_an_operator_requeued_the_job() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    queue::requeue(&test.db, job_id).await.unwrap();
    is_locked_out(&test, job_id, epoch).await;
    assert!(claim(&test.db, job_id).await > epoch);
    is_locked_out(&test, job_id, epoch).await;
}

#[tokio::test]
async fn nobody_writes_after_the_job_ended() {
    let test = TestDb::new().await;
    let (job_id, epoch) = mine(&test).await;
    finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
    is_locked_out(&test, job_id, epoch).await;
    let (dead, epoch) = mine(&test).await;
    let outcome = domain::Outcome::Dead { cause: "lost".to_owned() };
    finish::finish(&test.db, dead, epoch, &outcome, &json!({})).await.unwrap();
    is_locked_out(&test, dead, epoch).await;
    store::dlq::redrive(&test.db, dead).await.unwrap();
    is_locked_out(&test, dead, epoch).await;
    claim(&test.db, dead).await;
    is_locked_out(&test, dead, epoch).await;
}

#[tokio::test]
async fn an_epoch_that_is_yet_to_come_opens_nothing() {
    let test = TestDb::new().await;
    let (job_id, Epoch(epoch)) = mine(&test).await;
    is_locked_out(&test, job_id, Epoch(epoch + 1)).await;
}

#[tokio::test]
async fn a_lease_of_triage_locks_out_like_any_other() {
    let test = TestDb::new().await;
    let waiting = crate::waiting(&test.db).await;
    let (job_id, epoch) = queue::claim_triage(&test.db, OwnerId::new(), None, queue::LEASE, None).await.unwrap().unwrap();
    assert_eq!(job_id, waiting);
    expire(&test, job_id).await;
    is_locked_out(&test, job_id, epoch).await;
}

#[test]
fn the_table_names_every_function_that_takes_an_epoch() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    let mut left = vec![sources];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for function in source.split("pub async fn ").skip(1) {
            let (name, rest) = function.split_once('(').unwrap();
            let parameters = rest.split("->").next().unwrap();
            if parameters.contains("Epoch") {
                found.insert(name.to_owned());
            }
        }
    }
    // It asks about leases and writes nothing.
    assert!(found.remove("still_held"));
    // What it may not close under its lease it closes late, as `late` tries.
    assert!(found.remove("give_back"));
    assert_eq!(found, FENCED.iter().map(|name| String::from(*name)).collect());
}
