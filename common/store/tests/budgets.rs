//! Budgets: never passed by a micro-dollar, and always what the ledger says.

use std::sync::Arc;

use domain::{Epoch, JobId, MicroUsd, Mode, NewJob, Scope};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use store::budgets::{self, BudgetUse};
use store::ledger::LateSettlement;
use store::steps::{self, Answered, Granted, Reserve};
use store::{Db, StoreError, finish, ledger, queue};
use testkit::{TestDb, new_job, usage};
use tokio::task::JoinSet;

use crate::{MODEL, RESERVED, answer, claim, count, expire, held, queued, ready, reserve, succeeded, write_job};

/// The next midnight, UTC.
const MIDNIGHT: &str = "(date_trunc('day', now() at time zone 'UTC') + interval '1 day') at time zone 'UTC'";

fn shop() -> Scope {
    Scope::Repository("acme/shop".to_owned())
}

async fn limit(db: &Db, scope: &Scope, microusd: i64) {
    budgets::set(db, scope, MicroUsd(microusd)).await.unwrap();
}

/// What each budget's day has used, `scope used` in the order of the scopes.
async fn used(test: &TestDb) -> String {
    let all = budgets::list(&test.db).await.unwrap();
    all.iter().map(|budget| format!("{} {}", budget.scope, budget.used_microusd().0)).collect::<Vec<_>>().join(", ")
}

async fn refused(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32) -> BudgetUse {
    match steps::reserve(db, job_id, epoch, crate::call(step_no)).await {
        Err(StoreError::OverBudget(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

async fn settle(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32, number: i64, cost: i64) {
    steps::store_reply(db, job_id, epoch, &Answered { cost_microusd: MicroUsd(cost), ..answer(step_no, number) }).await.unwrap();
}

#[tokio::test]
async fn a_call_is_held_back_in_every_budget_of_its_job_and_in_no_other() {
    let test = TestDb::new().await;
    let other = Scope::Repository("acme/other".to_owned());
    for scope in [Scope::All, Scope::Mode(Mode::Mechanic), Scope::Mode(Mode::Genius), shop(), other] {
        limit(&test.db, &scope, 10_000).await;
    }
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    let untouched = "mode:genius 0";
    assert_eq!(used(&test).await, format!("all 1000, {untouched}, mode:mechanic 1000, repository:acme/other 0, repository:acme/shop 1000"));
    settle(&test.db, job_id, epoch, 1, number, 150).await;
    assert_eq!(used(&test).await, format!("all 150, {untouched}, mode:mechanic 150, repository:acme/other 0, repository:acme/shop 150"));
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    steps::release_reservation(&test.db, job_id, epoch, 1, MODEL, (number, RESERVED), crate::seconds(0)).await.unwrap();
    assert_eq!(used(&test).await, format!("all 150, {untouched}, mode:mechanic 150, repository:acme/other 0, repository:acme/shop 150"));
    assert_eq!(budgets::drifts(&test.db).await.unwrap(), []);
}

#[tokio::test]
async fn a_call_without_room_holds_nothing_back_and_its_job_waits_for_midnight_as_nobodys() {
    let test = TestDb::new().await;
    limit(&test.db, &Scope::All, 100_000).await;
    limit(&test.db, &shop(), 999).await;
    let (job_id, epoch) = held(&test.db).await;
    let expected =
        BudgetUse { scope: shop(), limit_microusd: MicroUsd(999), used_microusd: MicroUsd::ZERO, asked_microusd: Some(RESERVED) };
    assert_eq!(refused(&test.db, job_id, epoch, 1).await, expected);
    assert_eq!(used(&test).await, "all 0, repository:acme/shop 0");
    let row = "concat_ws(' ', state, waiting_for, attempt, cost_microusd, ledger_seq, owner is null, lease_until is null)";
    assert_eq!(queued(&test, job_id, row).await, "waiting budget 0 0 0 t t");
    assert_eq!(queued(&test, job_id, &format!("run_at = {MIDNIGHT}")).await, "true");
    let event = "select data - 'run_at' from events where kind = 'budget_refused'";
    let said: BudgetUse = serde_json::from_str(&test.value(event).await).unwrap();
    assert_eq!(said, expected);
    assert_eq!(count(&test, "events where kind = 'model_called'").await, 0);
    assert_eq!(count(&test, "ledger").await, 0);
    assert!(matches!(steps::reserve(&test.db, job_id, epoch, crate::call(1)).await, Err(StoreError::LeaseLost { .. })));
    assert!(queue::claim_one(&test.db, domain::OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_micro_dollar_may_be_used_and_the_next_may_not() {
    let test = TestDb::new().await;
    limit(&test.db, &shop(), 2 * RESERVED.0).await;
    let (first, epoch) = held(&test.db).await;
    reserve(&test.db, first, epoch, 1).await;
    let (second, epoch) = held(&test.db).await;
    let call = Reserve { cost_microusd: MicroUsd(RESERVED.0 + 1), ..crate::call(1) };
    assert!(matches!(steps::reserve(&test.db, second, epoch, call).await, Err(StoreError::OverBudget(_))));
    let (third, epoch) = held(&test.db).await;
    reserve(&test.db, third, epoch, 1).await;
    assert_eq!(used(&test).await, "repository:acme/shop 2000");
}

#[tokio::test]
async fn a_job_that_only_open_calls_keep_waiting_is_tried_again_soon() {
    let test = TestDb::new().await;
    limit(&test.db, &shop(), 1_500).await;
    let (first, epoch) = held(&test.db).await;
    reserve(&test.db, first, epoch, 1).await;
    let (second, epoch) = held(&test.db).await;
    refused(&test.db, second, epoch, 1).await;
    let soon = "run_at between now() + interval '25 seconds' and now() + interval '60 seconds'";
    assert_eq!(queued(&test, second, soon).await, "true");
}

#[tokio::test]
async fn a_job_that_is_to_stop_does_not_wait_for_a_budget() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    limit(&test.db, &shop(), 0).await;
    queue::stop(&test.db, job_id).await.unwrap();
    let refused = steps::reserve(&test.db, job_id, epoch, crate::call(1)).await;
    assert!(matches!(refused, Err(StoreError::Stopped(stopped)) if stopped == job_id), "{refused:?}");
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, epoch, waiting_for)").await, format!("leased {}", epoch.0));
}

#[tokio::test]
async fn eighty_percent_are_announced_once_a_day_by_each_scope() {
    let test = TestDb::new().await;
    limit(&test.db, &Scope::All, 5_000).await;
    limit(&test.db, &shop(), 5_000).await;
    let (job_id, epoch) = held(&test.db).await;
    for step_no in 1..=5 {
        let number = reserve(&test.db, job_id, epoch, step_no).await;
        settle(&test.db, job_id, epoch, step_no, number, 980).await;
        crate::act(&test.db, job_id, epoch, step_no).await;
    }
    let warned = "select string_agg(data::text, ' ' order by seq) from events where kind = 'budget_warning'";
    let warning = |scope| format!(r#"{{"scope": "{scope}", "used_microusd": 4920, "limit_microusd": 5000}}"#);
    // The call that crosses 80 % is the fifth: 4 * 980 = 3,920 paid before it.
    assert_eq!(test.value(warned).await, format!("{} {}", warning("all"), warning("repository:acme/shop")));
    // The numbers of events have no gap.
    assert_eq!(count(&test, "events").await.to_string(), queued(&test, job_id, "event_seq").await);
    let next = reserve_one_micro(&test.db).await;
    assert!(next.is_ok());
    assert_eq!(count(&test, "events where kind = 'budget_warning'").await, 2);
}

async fn reserve_one_micro(db: &Db) -> Result<Granted, StoreError> {
    let (job_id, epoch) = held(db).await;
    steps::reserve(db, job_id, epoch, Reserve { cost_microusd: MicroUsd(1), ..crate::call(1) }).await
}

#[tokio::test]
async fn a_scope_that_is_used_up_is_closed_until_midnight_and_opens_when_there_is_room() {
    let test = TestDb::new().await;
    let closed = format!("select coalesce(string_agg(scope || ' ' || (until = {MIDNIGHT}), ', '), '') from gates where reason = 'budget'");
    limit(&test.db, &shop(), 1_000).await;
    assert_eq!(test.value(&closed).await, "");
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    assert_eq!(test.value(&closed).await, "repository:acme/shop true");
    assert!(budgets::list(&test.db).await.unwrap()[0].closed_until.is_some());
    settle(&test.db, job_id, epoch, 1, number, 995).await;
    assert_eq!(test.value(&closed).await, "repository:acme/shop true", "less than 1 % is left");
    for raise in [true, false] {
        if raise {
            limit(&test.db, &shop(), 2_000).await;
        } else {
            limit(&test.db, &shop(), 500).await;
            assert_eq!(test.value(&closed).await, "repository:acme/shop true");
            assert!(budgets::remove(&test.db, &shop()).await.unwrap());
        }
        assert_eq!(test.value(&closed).await, "", "raised: {raise}");
    }
    // A pause is somebody else's.
    test.execute(r#"insert into gates (scope, reason, until, detail) values ('repository:acme/shop', 'paused', 'infinity', '{}')"#).await;
    limit(&test.db, &shop(), 0).await;
    assert!(budgets::remove(&test.db, &shop()).await.unwrap());
    assert!(!budgets::remove(&test.db, &shop()).await.unwrap());
    assert_eq!(test.value("select string_agg(reason, ' ') from gates").await, "paused");
}

#[tokio::test]
async fn a_call_that_is_settled_below_its_reservation_opens_its_scope_again() {
    let test = TestDb::new().await;
    limit(&test.db, &shop(), 1_000).await;
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    assert_eq!(count(&test, "gates").await, 1);
    settle(&test.db, job_id, epoch, 1, number, 150).await;
    assert_eq!(count(&test, "gates").await, 0);
}

#[tokio::test]
async fn jobs_that_wait_run_again_when_the_limit_is_raised_or_goes_away() {
    for raise in [true, false] {
        let test = TestDb::new().await;
        limit(&test.db, &shop(), 10).await;
        let (job_id, epoch) = held(&test.db).await;
        refused(&test.db, job_id, epoch, 1).await;
        let elsewhere = write_job(&test.db, &NewJob { repository: "acme/other".to_owned(), ..new_job() }).await;
        test.execute(&format!("update queue set state = 'waiting', waiting_for = 'budget' where job_id = '{elsewhere}'")).await;
        match raise {
            true => limit(&test.db, &shop(), 10_000).await,
            false => assert!(budgets::remove(&test.db, &shop()).await.unwrap()),
        }
        assert_eq!(queued(&test, job_id, "concat_ws(' ', state, waiting_for, run_at <= now())").await, "ready t");
        assert_eq!(queued(&test, elsewhere, "state").await, "waiting");
        let kinds = format!("select string_agg(kind, ' ' order by seq) from events where job_id = '{job_id}'");
        assert_eq!(test.value(&kinds).await, "enqueued claimed budget_refused woken");
        let epoch = claim(&test.db, job_id).await;
        reserve(&test.db, job_id, epoch, 1).await;
    }
}

#[tokio::test]
async fn what_the_day_has_spent_before_its_budget_was_set_counts() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    let (open, other_epoch) = held(&test.db).await;
    reserve(&test.db, open, other_epoch, 1).await;
    settle(&test.db, job_id, epoch, 1, number, 150).await;
    limit(&test.db, &shop(), 10_000).await;
    limit(&test.db, &Scope::Mode(Mode::Genius), 10_000).await;
    assert_eq!(used(&test).await, "mode:genius 0, repository:acme/shop 1150");
    settle(&test.db, open, other_epoch, 1, 1, 50).await;
    assert_eq!(used(&test).await, "mode:genius 0, repository:acme/shop 200");
}

#[tokio::test]
async fn a_settlement_corrects_the_day_of_its_reservation_also_when_it_comes_late() {
    let test = TestDb::new().await;
    limit(&test.db, &shop(), 10_000).await;
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    // It was made yesterday.
    test.execute(
        "begin; set local session_replication_role = replica;
         update ledger set at = at - interval '1 day';
         update budget_days set day = day - 1; commit",
    )
    .await;
    expire(&test, job_id).await;
    let late = LateSettlement { step_no: 1, model: MODEL, reservation_seq: number, usage: usage(100, 20), cost_microusd: MicroUsd(150) };
    assert!(ledger::settle_late(&test.db, job_id, late).await.unwrap());
    let days = "select string_agg(concat_ws(' ', day - (now() at time zone 'UTC')::date, reserved_microusd, settled_microusd), ', ') from budget_days";
    assert_eq!(test.value(days).await, "-1 0 150");
    assert_eq!(budgets::drifts(&test.db).await.unwrap(), []);
    // So it does after the job's end.
    let epoch = claim(&test.db, job_id).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    finish::finish(&test.db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
    let late = LateSettlement { reservation_seq: number, ..late };
    assert!(ledger::settle_late(&test.db, job_id, late).await.unwrap());
    assert_eq!(used(&test).await, "repository:acme/shop 150");
    assert_eq!(budgets::drifts(&test.db).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_at_once_never_pass_a_limit_by_a_micro_dollar() {
    const LIMIT: i64 = 20_500;
    let test = Arc::new(TestDb::new().await);
    limit(&test.db, &Scope::All, LIMIT).await;
    limit(&test.db, &shop(), LIMIT - 1_000).await;
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let test = test.clone();
        workers.spawn(async move {
            let mut granted = 0;
            for _ in 0..6 {
                let job_id = ready(&test.db).await;
                let epoch = match queue::claim_one(&test.db, domain::OwnerId::new(), job_id, queue::LEASE, None).await.unwrap() {
                    Some(claimed) => claimed.epoch,
                    None => continue,
                };
                match steps::reserve(&test.db, job_id, epoch, crate::call(1)).await {
                    Ok(_) => granted += RESERVED.0,
                    Err(StoreError::OverBudget(refused)) => {
                        assert!(refused.used_microusd + RESERVED > refused.limit_microusd, "{refused:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            granted
        });
    }
    let granted: i64 = workers.join_all().await.into_iter().sum();
    assert_eq!(granted, 19_000, "as much as fits, and no more");
    assert_eq!(used(&test).await, "all 19000, repository:acme/shop 19000");
    assert_eq!(test.value("select sum(cost_microusd) from ledger").await, "19000");
    assert_eq!(budgets::drifts(&test.db).await.unwrap(), []);
}

/// One job of the random test, with its open reservations.
struct Running {
    job_id: JobId,
    epoch: Epoch,
    step_no: i32,
    open: Vec<(i64, i64)>,
}

/// Takes `jobs` through random calls, settlements, releases and losses, with budgets that come and go.
async fn at_random(db: &Db, seed: u64, operations: u32) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut running: Vec<Running> = Vec::new();
    let scopes = [Scope::All, Scope::Mode(Mode::Mechanic), Scope::Mode(Mode::Genius), shop(), Scope::Repository("acme/tally".to_owned())];
    for _ in 0..operations {
        let scope = &scopes[random.random_range(0..scopes.len())];
        match random.random_range(0..20) {
            // Seldom: to set one adds up the ledger anew, and would heal what is wrong.
            0 if random.random_range(0..6) == 0 => budgets::set(db, scope, MicroUsd(random.random_range(0..300_000))).await.unwrap(),
            1 if random.random_range(0..12) == 0 => drop(budgets::remove(db, scope).await.unwrap()),
            2..=4 => {
                let repository = if random.random() { "acme/shop" } else { "acme/tally" }.to_owned();
                let mode = Some(if random.random() { Mode::Mechanic } else { Mode::Genius });
                let job_id = write_job(db, &NewJob { repository, mode, ..new_job() }).await;
                if let Some(claimed) = queue::claim_one(db, domain::OwnerId::new(), job_id, queue::LEASE, None).await.unwrap() {
                    running.push(Running { job_id, epoch: claimed.epoch, step_no: 1, open: Vec::new() });
                }
            }
            operation if !running.is_empty() => {
                let index = random.random_range(0..running.len());
                let Running { job_id, epoch, step_no, open } = &mut running[index];
                let (job_id, epoch) = (*job_id, *epoch);
                match (operation, open.pop()) {
                    (5..=9, last) => {
                        open.extend(last);
                        let amount = random.random_range(0..4_000);
                        let call = Reserve { cost_microusd: MicroUsd(amount), ..crate::call(*step_no) };
                        match steps::reserve(db, job_id, epoch, call).await {
                            Ok(granted) => open.push((granted.number, amount)),
                            Err(StoreError::OverBudget(_)) => drop(running.swap_remove(index)),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (10..=14, Some((number, amount))) => {
                        let cost = MicroUsd(random.random_range(0..=amount));
                        let answered =
                            Answered { cost_microusd: cost, reservation: (number, MicroUsd(amount)), ..answer(*step_no, number) };
                        steps::store_reply(db, job_id, epoch, &answered).await.unwrap();
                        crate::act(db, job_id, epoch, *step_no).await;
                        *step_no += 1;
                    }
                    (15..=16, Some((number, amount))) => {
                        let reservation = (number, MicroUsd(amount));
                        steps::release_reservation(db, job_id, epoch, *step_no, MODEL, reservation, crate::seconds(0)).await.unwrap();
                    }
                    (17..=18, Some((number, amount))) => {
                        let cost_microusd = MicroUsd(random.random_range(0..=amount));
                        let late =
                            LateSettlement { step_no: *step_no, model: MODEL, reservation_seq: number, usage: usage(1, 1), cost_microusd };
                        ledger::settle_late(db, job_id, late).await.unwrap();
                    }
                    (19, last) => {
                        open.extend(last);
                        finish::finish(db, job_id, epoch, &succeeded(), &json!({})).await.unwrap();
                        running.swap_remove(index);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_happens_the_budgets_say_what_the_ledger_says() {
    let test = Arc::new(TestDb::new().await);
    for scope in [Scope::All, Scope::Mode(Mode::Mechanic), shop()] {
        limit(&test.db, &scope, 250_000).await;
    }
    let mut workers = JoinSet::new();
    for seed in 0..4 {
        let test = test.clone();
        workers.spawn(async move { at_random(&test.db, seed, 250).await });
    }
    workers.join_all().await;
    assert_eq!(budgets::drifts(&test.db).await.unwrap(), []);
    assert_eq!(ledger::verify(&test.db, None).await.unwrap().faults, []);
    let done =
        (count(&test, "ledger").await, count(&test, "budget_days").await, count(&test, "events where kind = 'budget_refused'").await);
    assert!(done.0 > 100 && done.1 > 0 && done.2 > 0, "the test does something: {done:?}");
    // An open day that somebody changed is noticed.
    test.execute("update budget_days set settled_microusd = settled_microusd + 1").await;
    assert_eq!(budgets::drifts(&test.db).await.unwrap().len() as i64, count(&test, "budget_days").await);
}
