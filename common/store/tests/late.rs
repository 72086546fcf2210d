//! The one write without the fence: a worker that lost its job settles what its call has cost.

use std::sync::Arc;
use std::time::Duration;

use domain::ledger::EntryKind;
use domain::{Epoch, JobId, MicroUsd, Outcome};
use serde_json::json;
use store::ledger::{self, LateSettlement};
use store::{StoreError, finish, queue, steps};
use testkit::{TestDb, usage};
use tokio::task::JoinSet;

use crate::{COST, MODEL, RESERVED, answer, claim, count, dump, expire, held, queued, reserve, succeeded};

/// The settlement of reservation 1 of step 1.
fn late() -> LateSettlement<'static> {
    LateSettlement { step_no: 1, model: MODEL, reservation_seq: 1, usage: usage(100, 20), cost_microusd: COST }
}

/// A job whose call is in flight while its lease runs out.
async fn in_flight(test: &TestDb) -> (JobId, Epoch) {
    let (job_id, epoch) = held(&test.db).await;
    reserve(&test.db, job_id, epoch, 1).await;
    expire(test, job_id).await;
    (job_id, epoch)
}

/// It is settled exactly once; the ledger is whole and says the same as the totals in `table`.
async fn settles_once(test: &TestDb, job_id: JobId, table: &str) {
    let rows = count(test, "ledger").await;
    assert!(ledger::settle_late(&test.db, job_id, late()).await.unwrap());
    assert_eq!(count(test, "ledger").await, rows + 1);
    let last = ledger::entries(&test.db, job_id).await.unwrap().pop().unwrap();
    assert_eq!((last.kind, last.reservation_seq, last.usage, last.cost_microusd), (EntryKind::SettledLate, Some(1), usage(100, 20), COST));
    let totals = format!("select concat_ws(' ', cost_microusd, tokens, ledger_seq) from {table} where job_id = '{job_id}'");
    assert_eq!(test.value(&totals).await, format!("150 120 {}", last.seq));
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
    let before = dump(test).await;
    assert!(!ledger::settle_late(&test.db, job_id, late()).await.unwrap());
    assert_eq!(dump(test).await, before);
}

#[tokio::test]
async fn it_is_settled_while_the_job_waits_for_its_next_worker() {
    let test = TestDb::new().await;
    let (job_id, _) = in_flight(&test).await;
    settles_once(&test, job_id, "queue").await;
}

#[tokio::test]
async fn a_call_that_cost_nothing_is_given_back_under_the_lease_and_without_it_late() {
    for is_lost in [false, true] {
        let test = TestDb::new().await;
        let (job_id, epoch) = held(&test.db).await;
        let number = reserve(&test.db, job_id, epoch, 1).await;
        if is_lost {
            expire(&test, job_id).await;
        }
        let given_back = steps::give_back(&test.db, job_id, epoch, (1, MODEL), (number, RESERVED), Duration::from_secs(1)).await;
        assert_eq!(matches!(given_back, Err(StoreError::LeaseLost { .. })), is_lost, "{given_back:?}");
        let last = ledger::entries(&test.db, job_id).await.unwrap().pop().unwrap();
        let kind = if is_lost { EntryKind::SettledLate } else { EntryKind::Released };
        assert_eq!((last.kind, last.reservation_seq, last.cost_microusd), (kind, Some(number), MicroUsd::ZERO));
        assert_eq!(queued(&test, job_id, "cost_microusd").await, "0");
        assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
    }
}

#[tokio::test]
async fn it_is_settled_while_another_worker_holds_the_job_and_goes_on() {
    let test = TestDb::new().await;
    let (job_id, old) = in_flight(&test).await;
    let epoch = claim(&test.db, job_id).await;
    assert!(steps::store_reply(&test.db, job_id, old, &answer(1, 1)).await.is_err());
    settles_once(&test, job_id, "queue").await;
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, epoch)").await, format!("leased {epoch}"));
    let reservation = reserve(&test.db, job_id, epoch, 1).await;
    assert_eq!(reservation, 3);
    steps::store_reply(&test.db, job_id, epoch, &answer(1, reservation)).await.unwrap();
    assert_eq!(queued(&test, job_id, "cost_microusd").await, "300", "both calls are paid");
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
}

#[tokio::test]
async fn it_is_settled_after_the_job_ended_and_the_final_totals_follow() {
    let test = TestDb::new().await;
    let (job_id, _) = in_flight(&test).await;
    let epoch = claim(&test.db, job_id).await;
    let spent = finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
    assert_eq!(spent.cost_microusd, RESERVED, "an open reservation counts in full");
    settles_once(&test, job_id, "jobs").await;
}

#[tokio::test]
async fn it_is_settled_for_a_dead_job_in_both_of_its_rows() {
    let test = TestDb::new().await;
    let (job_id, _) = in_flight(&test).await;
    let epoch = claim(&test.db, job_id).await;
    finish::finish(&test.db, job_id, epoch, &Outcome::Dead { cause: "lost".to_owned() }, &json!({})).await.unwrap();
    settles_once(&test, job_id, "jobs").await;
    let row = "select concat_ws(' ', cost_microusd, tokens, ledger_seq, encode(ledger_head, 'hex'))";
    let rows = (test.value(&format!("{row} from jobs")).await, test.value(&format!("{row} from queue")).await);
    assert_eq!(rows.0, rows.1);
}

#[tokio::test]
async fn a_reservation_that_is_closed_stays_closed() {
    let test = TestDb::new().await;
    let (settled, epoch) = held(&test.db).await;
    reserve(&test.db, settled, epoch, 1).await;
    steps::store_reply(&test.db, settled, epoch, &answer(1, 1)).await.unwrap();
    let (released, epoch) = held(&test.db).await;
    reserve(&test.db, released, epoch, 1).await;
    steps::release_reservation(&test.db, released, epoch, 1, MODEL, (1, RESERVED), crate::seconds(0)).await.unwrap();
    let before = dump(&test).await;
    for job_id in [settled, released] {
        assert!(!ledger::settle_late(&test.db, job_id, late()).await.unwrap());
    }
    assert_eq!(dump(&test).await, before);
}

#[tokio::test]
async fn only_the_callers_own_reservation_is_closed() {
    let test = TestDb::new().await;
    let (job_id, _) = in_flight(&test).await;
    let (other, _) = held(&test.db).await;
    let before = dump(&test).await;
    for (job_id, settlement) in [
        (job_id, LateSettlement { step_no: 2, ..late() }),
        (job_id, LateSettlement { model: "claude-haiku-4-5", ..late() }),
        (job_id, LateSettlement { reservation_seq: 2, ..late() }),
        (other, late()),
        (JobId::new(), late()),
    ] {
        assert!(!ledger::settle_late(&test.db, job_id, settlement).await.unwrap(), "{settlement:?}");
    }
    assert_eq!(dump(&test).await, before);
}

#[tokio::test]
async fn many_settlements_at_once_are_one() {
    let test = Arc::new(TestDb::new().await);
    let (job_id, _) = in_flight(&test).await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let test = test.clone();
        calls.spawn(async move { ledger::settle_late(&test.db, job_id, late()).await.unwrap() });
    }
    assert_eq!(calls.join_all().await.into_iter().filter(|settled| *settled).count(), 1);
    assert_eq!(count(&test, "ledger").await, 2);
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
}

#[tokio::test]
async fn a_settlement_that_meets_the_end_of_the_job_is_not_lost() {
    let test = Arc::new(TestDb::new().await);
    let mut calls = JoinSet::new();
    for no in 0..24 {
        let (job_id, _) = in_flight(&test).await;
        let epoch = claim(&test.db, job_id).await;
        let outcome = if no % 2 == 0 { succeeded() } else { Outcome::Dead { cause: "lost".to_owned() } };
        let (ending, settling) = (test.clone(), test.clone());
        calls.spawn(async move { finish::finish(&ending.db, job_id, epoch, &outcome, &json!({})).await.is_ok() });
        calls.spawn(async move { ledger::settle_late(&settling.db, job_id, late()).await.unwrap() });
    }
    assert!(calls.join_all().await.into_iter().all(|done| done));
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
    let wrong = count(&test, &format!("jobs where cost_microusd <> {}", COST.0)).await;
    assert_eq!(wrong, 0, "jobs whose total misses the settlement");
}

#[tokio::test]
async fn a_job_that_dies_while_its_settlement_waits_for_the_row_has_the_right_totals() {
    let test = TestDb::new().await;
    let (job_id, _) = in_flight(&test).await;
    let epoch = claim(&test.db, job_id).await;
    // The end holds the queue row while the settlement, which has taken its snapshot before, waits for it.
    test.execute(
        "create function hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return new; end $$;
         create trigger hold before update on jobs for each row when (new.finished_at is not null and old.finished_at is null) execute function hold()",
    )
    .await;
    let mut gate = test.db.pool().acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(7)").execute(&mut *gate).await.unwrap();
    let dead = Outcome::Dead { cause: "lost".to_owned() };
    let ending = {
        let db = test.db.clone();
        tokio::spawn(async move { finish::finish(&db, job_id, epoch, &dead, &json!({})).await })
    };
    waits_for_locks(&test, 1).await;
    let settling = {
        let db = test.db.clone();
        tokio::spawn(async move { ledger::settle_late(&db, job_id, late()).await })
    };
    waits_for_locks(&test, 2).await;
    sqlx::query("select pg_advisory_unlock(7)").execute(&mut *gate).await.unwrap();
    ending.await.unwrap().unwrap();
    assert!(settling.await.unwrap().unwrap());
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
    let row = "select concat_ws(' ', cost_microusd, tokens, ledger_seq)";
    let rows = (test.value(&format!("{row} from jobs")).await, test.value(&format!("{row} from queue")).await);
    assert_eq!(rows.0, rows.1);
    assert_eq!(MicroUsd(150).0.to_string(), rows.0.split(' ').next().unwrap());
}

/// Until `sessions` of this database wait for a lock.
async fn waits_for_locks(test: &TestDb, sessions: i64) {
    let waiting = "pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while count(test, waiting).await < sessions {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stopped_job_keeps_its_stop_when_a_call_is_settled_late() {
    let test = TestDb::new().await;
    let (job_id, _) = in_flight(&test).await;
    queue::stop(&test.db, job_id).await.unwrap();
    settles_once(&test, job_id, "queue").await;
    assert_eq!(queued(&test, job_id, "outcome_pending ->> 'outcome'").await, "stopped");
}
