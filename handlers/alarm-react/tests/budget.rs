//! Money runs out.

use domain::{MicroUsd, Mode, NewJob, OwnerId, Scope};
use serde_json::{Value, json};
use store::queue::{self, LEASE};
use store::{budgets, gates};
use testkit::new_job;
use time::{Month, OffsetDateTime};

use crate::world::{World, event, now};

/// A sample of AWS Budgets as if it came today.
fn of_today(file: &str) -> Value {
    let today = now();
    let day = format!("AWS Budget Notification {} {:02}, {}", month(today), today.day(), today.year());
    let text = event(file).to_string().replace("AWS Budget Notification December 01, 2025", &day);
    serde_json::from_str(&text).unwrap()
}

fn month(moment: OffsetDateTime) -> Month {
    moment.month()
}

async fn claim(world: &World, mode: Mode) -> usize {
    queue::claim(&world.test.db, OwnerId::new(), mode, 5, LEASE, None).await.unwrap().len()
}

async fn two_jobs(world: &World) {
    world.write(new_job()).await;
    world.write(NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
}

#[tokio::test]
async fn at_eighty_percent_people_are_told_and_nothing_waits() {
    let world = World::new().await;
    two_jobs(&world).await;
    world.invoke(of_today("alarm-aws-budget-80.json")).await.unwrap();
    let [(subject, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert_eq!(subject, "ai-coding-team-prod: 82 % are used");
    assert!(text.contains("ACTUAL: $412.37 of $500.00 (82.5 % of the month's budget)") && text.contains("`codeteam cost`"), "{text}");
    assert_eq!([claim(&world, Mode::Mechanic).await, claim(&world, Mode::Genius).await], [1, 1]);
}

#[tokio::test]
async fn when_the_bill_reaches_the_budget_new_jobs_of_a_genius_wait_for_the_next_month() {
    let world = World::new().await;
    two_jobs(&world).await;
    assert_eq!(world.invoke(of_today("alarm-aws-budget-100.json")).await.unwrap(), json!({ "batchItemFailures": [] }));
    let gate = world.test.value("select concat_ws(' ', scope, reason, until = (date_trunc('month', now() at time zone 'UTC') + interval '1 month') at time zone 'UTC', detail) from gates").await;
    let why = "AWS budget ai-coding-team-prod: ACTUAL: $503.11 of $500.00 (100.6 % of the month's budget)";
    assert_eq!(gate, format!(r#"mode:genius budget t {{"why": "{why}", "alarm": 1}}"#));
    assert_eq!([claim(&world, Mode::Mechanic).await, claim(&world, Mode::Genius).await], [1, 0]);
    let text = &world.told()[0].1;
    assert!(text.contains("- new jobs of mode:genius wait until ") && text.contains("`codeteam budget set mode:genius DOLLARS`"), "{text}");
    // What the notice says opens it again.
    assert!(text.contains("after `codeteam resume mode:genius`"), "{text}");
    assert!(gates::resume(&world.test.db, &Scope::Mode(Mode::Genius)).await.unwrap());
    assert_eq!(claim(&world, Mode::Genius).await, 1);
}

#[tokio::test]
async fn a_forecast_closes_nothing() {
    let world = World::new().await;
    two_jobs(&world).await;
    world.invoke(of_today("alarm-aws-budget-forecast.json")).await.unwrap();
    assert_eq!((world.told().len(), claim(&world, Mode::Genius).await), (1, 1));
}

#[tokio::test]
async fn when_a_days_budget_is_used_up_jobs_of_a_genius_wait_until_midnight() {
    let world = World::new().await;
    two_jobs(&world).await;
    // A budget of nothing is used up, and would close everything by itself: only what the alarm adds is looked at.
    budgets::set(&world.test.db, &Scope::All, MicroUsd(0)).await.unwrap();
    let actions = world.goes_off("budget").await;
    assert_eq!((&actions[0]["action"], &actions[0]["scope"]), (&json!("closed_gate"), &json!("mode:genius")));
    let midnight = "until = (date_trunc('day', now() at time zone 'UTC') + interval '1 day') at time zone 'UTC'";
    assert_eq!(world.test.value(&format!("select {midnight} from gates where scope = 'mode:genius'")).await, "true");
    let (subject, text) = &world.told()[0];
    assert_eq!(subject, "ai-coding-team-prod-budget: 100 % are used");
    assert!(text.contains("- all: 100.0 %, $0.0000 of $0.0000, closed until midnight UTC"), "{text}");
    budgets::remove(&world.test.db, &Scope::All).await.unwrap();
    assert_eq!([claim(&world, Mode::Mechanic).await, claim(&world, Mode::Genius).await], [1, 0]);
}
