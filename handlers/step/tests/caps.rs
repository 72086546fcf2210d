//! Caps end a job by their name, and before the call that would pass them.

use domain::{CapReached, Caps, MicroUsd, NewJob, Scope};
use serde_json::{Value, json};
use step::StepResponse;
use store::budgets;
use testkit::new_job;

use crate::{World, finish, shell};

/// A step that uses this much.
fn uses(uncached_input: u64, output: u64) -> Value {
    let mut reply = shell("true");
    reply["usage"] = json!({ "uncached_input": uncached_input, "cache_read": 0, "cache_write": 0, "output": output });
    reply
}

/// The second step is not begun, because of `cap`.
async fn ends_before_the_second_call(caps: Caps, first: Value, cap: CapReached) {
    let world = World::new().await;
    let worker = world.worker("a", json!([first, shell("true")])).with_caps(caps);
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 1 });
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::CapReached { cap });
    assert_eq!(world.ledger().await, "reserved 1, settled 1", "{cap}");
    assert_eq!(worker.calls(), [(1, 1)], "{cap}");
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::CapReached { cap }, "asked again");
    let late = format!("select active_ms - {} from queue", caps.active_ms);
    assert!(world.test.value(&late).await.parse::<i64>().unwrap() <= 2_000, "2 s past the time is the most");
}

#[tokio::test]
async fn the_last_step_is_the_last() {
    ends_before_the_second_call(Caps { steps: 1, ..Caps::MECHANIC }, shell("true"), CapReached::Steps).await;
}

#[tokio::test]
async fn tokens_that_are_used_up_end_the_job() {
    let caps = Caps { tokens: 20_000, ..Caps::MECHANIC };
    ends_before_the_second_call(caps, uses(19_000, 1_000), CapReached::Tokens).await;
    ends_before_the_second_call(caps, uses(19_000, 900), CapReached::Tokens).await;
}

#[tokio::test]
async fn money_that_is_used_up_ends_the_job() {
    // Output costs two micro-dollars a token.
    let caps = Caps { cost_microusd: MicroUsd(20_000), ..Caps::MECHANIC };
    ends_before_the_second_call(caps, uses(0, 10_000), CapReached::Money).await;
    ends_before_the_second_call(caps, uses(0, 9_900), CapReached::Money).await;
}

#[tokio::test]
async fn time_that_a_tool_used_up_ends_the_tool_and_the_job() {
    let caps = Caps { active_ms: 700, ..Caps::MECHANIC };
    ends_before_the_second_call(caps, shell("sleep 60"), CapReached::Time).await;
}

#[tokio::test]
async fn a_model_that_thinks_longer_than_the_job_may_is_not_waited_for() {
    let world = World::new().await;
    let mut slow = shell("true");
    slow["delay_ms"] = json!(60_000);
    let worker = world.worker("a", json!([slow])).with_caps(Caps { active_ms: 200, ..Caps::MECHANIC });
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::CapReached { cap: CapReached::Time });
    assert_eq!((world.ledger().await.as_str(), world.halves().await.as_str()), ("reserved 1, released 1", ""));
    assert_eq!(
        world.test.value("select active_ms between 200 and 2200 from queue").await,
        "true",
        "its time counts, and it is not waited for"
    );
}

#[tokio::test]
async fn what_is_reserved_never_passes_the_money_and_output_is_cut_to_what_is_left() {
    let world = World::new().await;
    let caps = Caps { cost_microusd: MicroUsd(6_000), ..Caps::MECHANIC };
    let worker = world.worker("a", json!([uses(10, 10)])).with_caps(caps);
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    let called = "from events where kind = 'model_called'";
    let reserved: i64 = world.test.value(&format!("select data ->> 'reserved_microusd' {called}")).await.parse().unwrap();
    let max_output: i64 = world.test.value(&format!("select data ->> 'max_output' {called}")).await.parse().unwrap();
    assert!((5_000..=6_000).contains(&reserved) && max_output < 3_000, "{reserved} {max_output}");
    let sent: Value =
        serde_json::from_str(&world.test.value("select request_of(job_id, step_no) from steps where half = 'reply'").await).unwrap();
    assert_eq!(sent["max_output"], max_output);
}

#[tokio::test]
async fn a_job_may_lower_its_caps_and_never_raise_them() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("true"), shell("ls"), shell("pwd")])).with_caps(Caps { steps: 2, ..Caps::MECHANIC });
    let capped = StepResponse::CapReached { cap: CapReached::Steps };
    for (asked, steps) in [(1, 1), (9, 2)] {
        let caps = Some(Caps { steps: asked, ..Caps::GENIUS });
        let (job_id, epoch) = world.job(NewJob { caps, ..new_job() }).await;
        assert_eq!(worker.drive(job_id, epoch).await.unwrap(), capped);
        let done = format!("select step_no from queue where job_id = '{job_id}'");
        assert_eq!(world.test.value(&done).await, steps.to_string());
    }
}

#[tokio::test]
async fn an_open_reservation_counts_in_full_until_somebody_settles_it() {
    let world = World::new().await;
    let caps = Caps { cost_microusd: MicroUsd(20_000), ..Caps::MECHANIC };
    let worker = world.worker("a", json!([shell("true")])).with_caps(caps);
    let (job_id, epoch) = world.job(new_job()).await;
    let call = store::steps::Reserve { step_no: 1, model: "scripted", cost_microusd: MicroUsd(20_000), max_output: 1, heard: None };
    store::steps::reserve(&world.test.db, job_id, epoch, call).await.unwrap();
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::CapReached { cap: CapReached::Money });
    assert_eq!(worker.calls(), []);
}

#[tokio::test]
async fn a_call_that_the_days_budget_has_no_room_for_is_not_made_until_there_is() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("true"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 1 });
    let scope = Scope::Repository("acme/shop".to_owned());
    budgets::set(&world.test.db, &scope, MicroUsd(1)).await.unwrap();
    let StepResponse::Waits { reason } = worker.step(job_id, epoch).await.unwrap() else { panic!("the budget has room") };
    assert!(reason.contains("the day's budget of repository:acme/shop has no room"), "{reason}");
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![(1, 1)], "reserved 1, settled 1"));
    assert_eq!(worker.step(job_id, epoch).await.unwrap_err().error_type(), "LeaseLost", "it is nobody's");
    budgets::set(&world.test.db, &scope, MicroUsd(10_000_000)).await.unwrap();
    let epoch = world.claim(job_id).await;
    assert!(matches!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::Done { .. }));
    assert_eq!(worker.calls(), [(1, 1), (2, 1)]);
}
