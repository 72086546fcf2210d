//! Alarms: one row a change, and gates that outlast what settles beside them. What alarms do is tested with their handler.

use std::time::Duration;

use domain::{AlarmAction, AlarmChange, AlarmState, MicroUsd, Mode, Scope};
use store::alarms::{self, Held, Intent};
use store::steps::{self, Answered};
use store::{StoreError, budgets};
use testkit::TestDb;
use time::OffsetDateTime;

use crate::{answer, held, now, reserve, seconds};

const MECHANICS: Scope = Scope::Mode(Mode::Mechanic);

fn change(name: &str, state: AlarmState, changed_at: OffsetDateTime) -> AlarmChange {
    AlarmChange { reason: "Threshold Crossed".to_owned(), value: Some(83.5), ..AlarmChange::new(name, state, changed_at) }
}

async fn intend(test: &TestDb, change: &AlarmChange, held: Duration) -> Intent {
    alarms::intend(&test.db, change, "budget", "tell people", held).await.unwrap()
}

async fn ours(test: &TestDb, change: &AlarmChange) -> Held {
    match intend(test, change, seconds(60)).await {
        Intent::Ours(held) => held,
        other => panic!("{other:?}"),
    }
}

/// Who closed the gate of the mechanics, and whether it opens in more than a day.
async fn gate(test: &TestDb) -> String {
    test.value("select string_agg((detail ? 'alarm')::text || ' ' || (until > now() + interval '1 day')::text, ', ') from gates").await
}

#[tokio::test]
async fn a_change_is_held_by_one_at_a_time_and_done_once() {
    let test = TestDb::new().await;
    let change = change("team-budget", AlarmState::Alarm, now());
    let first = ours(&test, &change).await;
    assert_eq!(intend(&test, &change, seconds(60)).await, Intent::Busy { alarm_id: first.alarm_id });
    let told = AlarmAction::Told { subject: "s".to_owned(), text: "t".to_owned() };
    assert!(alarms::did(&test.db, &first, std::slice::from_ref(&told)).await.unwrap());
    alarms::failed(&test.db, &first, "SNS is away").await.unwrap();
    assert_eq!(alarms::get(&test.db, first.alarm_id).await.unwrap().problem.as_deref(), Some("SNS is away"));
    let second = ours(&test, &change).await;
    assert_eq!((second.alarm_id, second.epoch > first.epoch, &second.actions[..]), (first.alarm_id, true, &[told.clone()][..]));
    assert!(!alarms::did(&test.db, &first, &[told]).await.unwrap(), "who was too late writes nothing");
    assert!(alarms::complete(&test.db, &second).await.unwrap());
    assert_eq!(intend(&test, &change, seconds(60)).await, Intent::Done { alarm_id: first.alarm_id });
    let alarm = alarms::get(&test.db, first.alarm_id).await.unwrap();
    assert_eq!((alarm.deliveries, alarm.actions.len(), alarm.problem.clone(), alarm.completed_at.is_some()), (4, 1, None, true));
    assert_eq!(alarm.change, change);
    assert_eq!(alarms::list(&test.db, None, 10).await.unwrap(), [alarm]);
    assert_eq!(alarms::list(&test.db, Some(first.alarm_id), 10).await.unwrap(), []);
    let missing = alarms::get(&test.db, 99).await.unwrap_err();
    assert!(matches!(&missing, StoreError::NotFound(text) if text.contains("codeteam alarms")), "{missing}");
}

#[tokio::test]
async fn whether_people_were_told_is_that_of_the_last_time_it_went_off() {
    let test = TestDb::new().await;
    let at = now();
    let told = [AlarmAction::Told { subject: "s".to_owned(), text: "t".to_owned() }];
    assert!(!alarms::was_told(&test.db, "a", at).await.unwrap());
    let first = ours(&test, &change("a", AlarmState::Alarm, at - seconds(60))).await;
    alarms::did(&test.db, &first, &told).await.unwrap();
    ours(&test, &change("b", AlarmState::Alarm, at - seconds(60))).await;
    assert!(alarms::was_told(&test.db, "a", at).await.unwrap());
    assert!(!alarms::was_told(&test.db, "b", at).await.unwrap());
    ours(&test, &change("a", AlarmState::Alarm, at - seconds(30))).await;
    assert!(!alarms::was_told(&test.db, "a", at).await.unwrap());
}

#[tokio::test]
async fn a_gate_that_an_alarm_closed_stays_when_a_call_is_settled_and_opens_when_a_budget_is_set() {
    let test = TestDb::new().await;
    budgets::set(&test.db, &Scope::All, MicroUsd(1_000_000)).await.unwrap();
    let (job_id, epoch) = held(&test.db).await;
    let number = reserve(&test.db, job_id, epoch, 1).await;
    let alarm = ours(&test, &change("team", AlarmState::Alarm, now())).await;
    let until = now() + seconds(10 * 24 * 3_600);
    let closed = alarms::close_gate(&test.db, &alarm, &MECHANICS, until, "AWS budget team").await.unwrap();
    assert_eq!(closed, Some(AlarmAction::ClosedGate { scope: MECHANICS, until }));
    steps::store_reply(&test.db, job_id, epoch, &Answered { cost_microusd: MicroUsd(10), ..answer(1, number) }).await.unwrap();
    assert_eq!(gate(&test).await, "true true");
    budgets::set(&test.db, &MECHANICS, MicroUsd(5_000_000)).await.unwrap();
    assert_eq!(gate(&test).await, "");
}

#[tokio::test]
async fn the_longer_of_two_reasons_to_wait_holds() {
    let test = TestDb::new().await;
    let alarm = ours(&test, &change("team", AlarmState::Alarm, now())).await;
    let until = now() + seconds(10 * 24 * 3_600);
    alarms::close_gate(&test.db, &alarm, &MECHANICS, until, "AWS budget team").await.unwrap();
    // A day's budget of the same scope that is used up closes it until midnight, which is earlier.
    budgets::set(&test.db, &Scope::All, MicroUsd(1_000_000)).await.unwrap();
    test.execute("insert into budgets (scope, day_limit_microusd) values ('mode:mechanic', 0)").await;
    test.execute("insert into budget_days (scope, day) values ('mode:mechanic', (now() at time zone 'UTC')::date)").await;
    test.execute("select close_gates(array['mode:mechanic'])").await;
    assert_eq!(gate(&test).await, "true true");
    // And the other way round.
    test.execute("update gates set until = now() + interval '1 hour', detail = '{}'").await;
    alarms::close_gate(&test.db, &alarm, &MECHANICS, until, "AWS budget team").await.unwrap();
    assert_eq!(gate(&test).await, "true true");
    alarms::close_gate(&test.db, &alarm, &MECHANICS, now(), "an older one").await.unwrap();
    assert_eq!(gate(&test).await, "true true");
}
