//! A mechanic that goes in circles hands its job over to a genius: once, with an account, with fresh caps.

use std::sync::Arc;

use domain::{Caps, Epoch, JobId, Kind, MicroUsd, Mode, NewJob, Outcome, OwnerId, Scope};
use serde_json::{Value, json};
use step::StepResponse;
use store::{budgets, queue};
use testkit::new_job;

use crate::{Worker, World, cause, finish, shell};

/// Three commands over and over: eight steps without news, of eleven.
const CIRCLE: usize = 11;

fn replies(last: &[Value]) -> Value {
    let circle = [shell("echo half done > half.txt"), shell("ls"), shell("cat README.md")];
    let circle = circle.iter().cycle().take(CIRCLE).cloned();
    json!(circle.chain(last.iter().cloned()).collect::<Vec<_>>())
}

/// A worker whose mechanics may take just the circle, and whose geniuses two steps.
fn worker(world: &World, name: &str, last: &[Value]) -> Worker {
    let mut worker = world.worker(name, replies(last));
    worker.step.caps = Arc::new(|mode| match mode {
        Mode::Mechanic => Caps { steps: CIRCLE as u32 + 1, ..Caps::MECHANIC },
        Mode::Genius => Caps { steps: 2, ..Caps::GENIUS },
    });
    worker
}

/// A job that triage gave to a mechanic.
async fn triaged(world: &World) -> (JobId, Epoch) {
    let job = NewJob { mode: None, remote: Some(world.repository.remote()), ..new_job() };
    let store::enqueue::Enqueued::New(job_id) = store::enqueue::enqueue(&world.test.db, &job, None, None, None).await.unwrap() else {
        panic!("it is new")
    };
    let (_, epoch) =
        queue::claim_triage(&world.test.db, OwnerId::new(), Some(job_id), queue::LEASE, None).await.unwrap().expect("it waits");
    queue::triaged(&world.test.db, job_id, epoch, (Kind::Change, Mode::Mechanic), None, "its label").await.unwrap();
    (job_id, world.claim(job_id).await)
}

#[tokio::test]
async fn a_genius_goes_on_where_the_mechanic_went_in_circles() {
    let world = World::new().await;
    let last = [shell("cat half.txt"), finish()];
    let (mechanic, genius) = (worker(&world, "mechanic", &last), worker(&world, "genius", &last));
    let (job_id, epoch) = triaged(&world).await;
    let reason = "the last 8 steps brought nothing new".to_owned();
    assert_eq!(mechanic.drive(job_id, epoch).await.unwrap(), StepResponse::Escalate { reason });
    assert_eq!(world.test.value("select concat_ws(' ', state, mode, owner) from queue").await, "ready genius");
    assert_eq!(mechanic.step(job_id, epoch).await.unwrap_err().error_type(), "LeaseLost", "it is nobody's");
    assert_eq!(world.test.value("select data -> 'spent' ->> 'steps' from events where kind = 'handed_over'").await, CIRCLE.to_string());

    let epoch = world.claim(job_id).await;
    assert_eq!(genius.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 12 });
    let request = world.test.value("select request_of(job_id, step_no) from steps where step_no = 12 and half = 'reply'").await;
    assert!(request.contains("The team's mechanic worked on this before you") && request.contains("- shell {"), "{request}");
    assert_eq!(request.matches(r#""role":"assistant""#).count(), 0, "its own conversation begins here");
    let said = world.test.value("select results from steps where step_no = 12 and half = 'results'").await;
    assert!(said.contains("half done"), "what was changed is kept: {said}");
    // A worker that takes over from the genius knows the same.
    let epoch = world.take_over(job_id).await;
    let other = worker(&world, "other", &last);
    assert!(matches!(other.drive(job_id, epoch).await.unwrap(), StepResponse::Done { outcome: Outcome::Succeeded { .. } }));
    assert_eq!((genius.calls(), other.calls()), (vec![(12, 1)], vec![(13, 1)]));
    assert_eq!(world.ledger().await.matches("settled").count(), CIRCLE + 2, "what the mechanic paid stays in the ledger");
}

#[tokio::test]
async fn a_genius_has_its_own_caps_and_nobody_after_it() {
    let world = World::new().await;
    let last = [shell("true"), shell("pwd"), finish()];
    let worker = worker(&world, "a", &last);
    let (job_id, epoch) = triaged(&world).await;
    worker.drive(job_id, epoch).await.unwrap();
    let epoch = world.claim(job_id).await;
    let capped = StepResponse::CapReached { cap: domain::CapReached::Steps };
    assert_eq!(worker.drive(job_id, epoch).await.unwrap(), capped);
    assert_eq!(worker.calls().len(), CIRCLE + 2);

    let mut endless = world.worker("b", replies(&[]));
    endless.step.caps = Arc::new(|_| Caps::GENIUS);
    let (job_id, epoch) = world.job(NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
    assert_eq!(cause(endless.drive(job_id, epoch).await.unwrap()), "the last 8 steps brought nothing new");
}

#[tokio::test]
async fn a_job_that_named_its_mode_or_has_no_budget_ends_with_the_reason() {
    let world = World::new().await;
    let worker = worker(&world, "a", &[]);
    let (job_id, epoch) = world.job(new_job()).await;
    let said = cause(worker.drive(job_id, epoch).await.unwrap());
    assert!(said.starts_with("the last 8 steps brought nothing new; the job asked for a mechanic, so it was not handed over"), "{said}");
    assert!(said.contains(&format!("`codeteam retry {job_id} --mode genius`")), "{said}");

    budgets::set(&world.test.db, &Scope::Mode(Mode::Genius), MicroUsd::ZERO).await.unwrap();
    let (job_id, epoch) = triaged(&world).await;
    let said = cause(worker.drive(job_id, epoch).await.unwrap());
    assert!(said.contains("the day's budget of mode:genius has no room for a genius"), "{said}");
    assert_eq!(world.test.value("select count(*) from events where kind = 'handed_over'").await, "0");
}
