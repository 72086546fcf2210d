//! A job goes from a mechanic to a genius once, with everything that it spent told and booked.

use domain::{JobId, MicroUsd, Mode, Scope, Spent};
use serde_json::json;
use store::hand_over::{HandedOver, Refusal, hand_over, refusal};
use store::steps;
use store::{StoreError, budgets, jobs, queue};
use testkit::TestDb;

use crate::{claim, count, held, queued, reserve, take_step, waiting};

/// A job that triage gave to a mechanic, held by the test.
async fn triaged(test: &TestDb) -> (JobId, domain::Epoch) {
    let job_id = waiting(&test.db).await;
    let (_, epoch) = queue::claim_triage(&test.db, domain::OwnerId::new(), Some(job_id), queue::LEASE, None).await.unwrap().unwrap();
    queue::triaged(&test.db, job_id, epoch, (domain::Kind::Change, Mode::Mechanic), None, "asked for").await.unwrap();
    (job_id, claim(&test.db, job_id).await)
}

#[tokio::test]
async fn a_job_goes_on_with_a_genius_and_what_it_spent_before_does_not_count() {
    let test = TestDb::new().await;
    let db = &test.db;
    let (job_id, epoch) = triaged(&test).await;
    take_step(db, job_id, epoch, 1).await;
    take_step(db, job_id, epoch, 2).await;
    assert_eq!(refusal(db, job_id, epoch).await.unwrap(), None);
    hand_over(db, job_id, epoch, "nothing new", "- shell: make test").await.unwrap();
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, mode, attempt, owner)").await, "ready genius 0");
    assert_eq!(jobs::get(db, job_id).await.unwrap().job.mode, Some(Mode::Genius));
    assert_eq!(count(&test, "lane_queues where mode = 'genius' and active").await, 1, "somebody looks for it there");
    let epoch = claim(db, job_id).await;
    take_step(db, job_id, epoch, 3).await;
    let work = steps::load(db, job_id, epoch).await.unwrap();
    let before = Spent { steps: 2, tokens: 240, cost_microusd: MicroUsd(300), active_ms: 300 };
    let told = HandedOver { reason: "nothing new".to_owned(), account: "- shell: make test".to_owned(), spent: before };
    assert_eq!(work.handed_over, Some(told));
    assert_eq!(work.spent_in_mode(), Spent { steps: 1, tokens: 120, cost_microusd: MicroUsd(150), active_ms: 150 });
    assert_eq!((work.spent.steps, work.spent.cost_microusd), (3, MicroUsd(450)), "the totals are of the whole job");
    assert_eq!(store::ledger::verify(db, None).await.unwrap().faults, []);
    // Once.
    assert_eq!(refusal(db, job_id, epoch).await.unwrap(), Some(Refusal::NoLargerMode));
    assert!(matches!(hand_over(db, job_id, epoch, "again", "").await, Err(StoreError::LeaseLost { .. })));
}

#[tokio::test]
async fn who_named_the_mode_gets_what_was_asked_for_and_a_stop_comes_first() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    assert_eq!(refusal(&test.db, job_id, epoch).await.unwrap(), Some(Refusal::ModeWasNamed));
    let (job_id, epoch) = triaged(&test).await;
    queue::stop(&test.db, job_id).await.unwrap();
    assert!(matches!(hand_over(&test.db, job_id, epoch, "nothing new", "").await, Err(StoreError::LeaseLost { .. })));
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, mode)").await, "leased mechanic");
}

#[tokio::test]
async fn only_who_holds_the_job_hands_it_over() {
    let test = TestDb::new().await;
    let (job_id, old) = triaged(&test).await;
    crate::expire(&test, job_id).await;
    let before = crate::dump(&test).await;
    assert!(matches!(hand_over(&test.db, job_id, old, "nothing new", "").await, Err(StoreError::LeaseLost { .. })));
    assert!(matches!(refusal(&test.db, job_id, old).await, Err(StoreError::LeaseLost { .. })));
    assert_eq!(crate::dump(&test).await, before);
}

#[tokio::test]
async fn the_budgets_of_both_modes_follow_the_job_and_one_without_room_refuses_it() {
    let test = TestDb::new().await;
    let db = &test.db;
    for mode in [Mode::Mechanic, Mode::Genius] {
        budgets::set(db, &Scope::Mode(mode), MicroUsd(2_000)).await.unwrap();
    }
    let (job_id, epoch) = triaged(&test).await;
    take_step(db, job_id, epoch, 1).await;
    // A call that was lost stays open, and is settled after the hand-over.
    let open = reserve(db, job_id, epoch, 2).await;
    hand_over(db, job_id, epoch, "nothing new", "").await.unwrap();
    let used = "select string_agg(scope || ' ' || reserved_microusd || ' ' || settled_microusd, ', ' order by scope) from budget_days";
    assert_eq!(test.value(used).await, "mode:genius 1000 150, mode:mechanic 0 0");
    assert_eq!(budgets::drifts(db).await.unwrap(), []);
    let late = store::ledger::LateSettlement {
        step_no: 2,
        model: crate::MODEL,
        reservation_seq: open,
        usage: testkit::usage(1, 1),
        cost_microusd: MicroUsd(7),
    };
    assert!(store::ledger::settle_late(db, job_id, late).await.unwrap());
    assert_eq!(test.value(used).await, "mode:genius 0 157, mode:mechanic 0 0");
    assert_eq!(budgets::drifts(db).await.unwrap(), []);
    budgets::set(db, &Scope::Mode(Mode::Genius), MicroUsd(158)).await.unwrap();
    let (job_id, epoch) = triaged(&test).await;
    assert_eq!(refusal(db, job_id, epoch).await.unwrap(), Some(Refusal::Budget("mode:genius".to_owned())));
}

#[tokio::test]
async fn what_triage_paid_counts_for_the_mode_that_it_chose() {
    let test = TestDb::new().await;
    let db = &test.db;
    for scope in [Scope::All, Scope::Mode(Mode::Genius)] {
        budgets::set(db, &scope, MicroUsd(5_000)).await.unwrap();
    }
    let job_id = waiting(db).await;
    let (_, epoch) = queue::claim_triage(db, domain::OwnerId::new(), None, queue::LEASE, None).await.unwrap().unwrap();
    let number = reserve(db, job_id, epoch, 0).await;
    steps::settle_call(db, job_id, epoch, crate::MODEL, (number, crate::RESERVED), &testkit::usage(100, 20), MicroUsd(40)).await.unwrap();
    queue::triaged(db, job_id, epoch, (domain::Kind::Question, Mode::Genius), None, "a model said so").await.unwrap();
    let used = "select string_agg(scope || ' ' || reserved_microusd || ' ' || settled_microusd, ', ' order by scope) from budget_days";
    assert_eq!(test.value(used).await, "all 0 40, mode:genius 0 40");
    assert_eq!(budgets::drifts(db).await.unwrap(), []);
    assert_eq!(store::ledger::verify(db, None).await.unwrap().faults, []);
    let data = test.value("select data from events where kind = 'triaged'").await;
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data, json!({ "kind": "question", "mode": "genius", "reason": "a model said so" }));
    let epoch = claim(db, job_id).await;
    take_step(db, job_id, epoch, 1).await;
    let work = steps::load(db, job_id, epoch).await.unwrap();
    assert_eq!((work.job.kind, work.spent.tokens, work.spent.steps), (domain::Kind::Question, 240, 1));
}
