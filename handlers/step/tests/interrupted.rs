//! Stops, shutdowns and lost leases in the middle of a step.

use std::path::Path;
use std::time::Duration;

use domain::Outcome;
use serde_json::{Value, json};
use step::StepResponse;
use store::queue;
use testkit::new_job;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{World, finish, shell};

/// A person waits no longer than this for a stop.
const SOON: Duration = Duration::from_secs(2);

fn slow(mut reply: Value, delay_ms: u64) -> Value {
    reply["delay_ms"] = json!(delay_ms);
    reply
}

#[tokio::test]
async fn a_stop_ends_a_model_call() {
    let world = World::new().await;
    let worker = world.worker("a", json!([slow(finish(), 600_000)]));
    let (job_id, epoch) = world.job(new_job()).await;
    let cancel = CancellationToken::new();
    let stop = async {
        worker.model_is_asked().await;
        queue::stop(&world.test.db, job_id).await.unwrap();
        cancel.cancel();
        Instant::now()
    };
    let (response, stopped_at) = tokio::join!(worker.step_until(job_id, epoch, &cancel), stop);
    assert_eq!(response.unwrap(), StepResponse::Done { outcome: Outcome::Stopped });
    assert!(stopped_at.elapsed() < SOON, "{:?}", stopped_at.elapsed());
    assert_eq!((world.ledger().await.as_str(), world.halves().await.as_str()), ("reserved 1", ""));
}

#[tokio::test]
async fn a_stop_ends_a_tool_and_all_that_it_started() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("sleep 600 & echo $! > child; echo $$ > pid; wait")]));
    let (job_id, epoch) = world.job(new_job()).await;
    let cancel = CancellationToken::new();
    let workspace = worker.workspace(job_id, epoch);
    let stop = async {
        while std::fs::read_to_string(workspace.join("pid")).unwrap_or_default().is_empty() {
            tokio::task::yield_now().await;
        }
        queue::stop(&world.test.db, job_id).await.unwrap();
        cancel.cancel();
        Instant::now()
    };
    let (response, stopped_at) = tokio::join!(worker.step_until(job_id, epoch, &cancel), stop);
    assert_eq!(response.unwrap(), StepResponse::Done { outcome: Outcome::Stopped });
    assert!(stopped_at.elapsed() < SOON, "{:?}", stopped_at.elapsed());
    assert_eq!(world.halves().await, "1 reply", "it is paid, and nothing came of it");
    for file in ["pid", "child"] {
        let pid = std::fs::read_to_string(workspace.join(file)).unwrap();
        let gone = async {
            while is_alive(pid.trim()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, gone).await.unwrap_or_else(|_| panic!("{file} {pid} still runs"));
    }
}

#[tokio::test]
async fn no_tool_begins_after_a_stop_that_the_worker_has_not_heard_of() {
    let world = World::new().await;
    let first = "touch ran; while [ ! -e go ]; do sleep 0.02; done";
    let tools: Vec<Value> = [first, "touch forbidden"].iter().map(|command| shell(command)["tool_calls"][0].clone()).collect();
    let worker = world.worker("a", json!([{ "tool_calls": tools }]));
    let (job_id, epoch) = world.job(new_job()).await;
    let workspace = worker.workspace(job_id, epoch);
    let stop = async {
        while !workspace.join("ran").exists() {
            tokio::task::yield_now().await;
        }
        queue::stop(&world.test.db, job_id).await.unwrap();
        std::fs::write(workspace.join("go"), "").unwrap();
    };
    let (response, ()) = tokio::join!(worker.step(job_id, epoch), stop);
    assert_eq!(response.unwrap(), StepResponse::Done { outcome: Outcome::Stopped });
    assert!(!workspace.join("forbidden").exists());
    assert_eq!(world.halves().await, "1 reply");
}

/// Whether a process runs; one that is dead and not yet buried does not.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_shutdown_waits_for_the_reply_that_is_paid_and_stores_it() {
    let world = World::new().await;
    let worker = world.worker("a", json!([slow(shell("sleep 600"), 500)]));
    let (job_id, epoch) = world.job(new_job()).await;
    let cancel = CancellationToken::new();
    let shutdown = async {
        worker.model_is_asked().await;
        cancel.cancel();
    };
    let (response, ()) = tokio::join!(worker.step_until(job_id, epoch, &cancel), shutdown);
    assert_eq!(response.unwrap_err().error_type(), "RetryAfter");
    assert_eq!((world.ledger().await.as_str(), world.halves().await.as_str()), ("reserved 1, settled 1", "1 reply"));
    assert_eq!(worker.calls(), [(1, 1)]);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_while_the_model_thought_only_settles_what_it_cost() {
    let world = World::new().await;
    let worker = world.worker("a", json!([slow(shell("touch forbidden"), 800)]));
    let (job_id, epoch) = world.job(new_job()).await;
    let lose = async {
        worker.model_is_asked().await;
        world.take_over(job_id).await
    };
    let (response, theirs) = tokio::join!(worker.step(job_id, epoch), lose);
    assert_eq!(response.unwrap_err().error_type(), "LeaseLost");
    assert_eq!((world.ledger().await.as_str(), world.halves().await.as_str()), ("reserved 1, settled_late 1", ""));
    assert!(!worker.workspace(job_id, epoch).join("forbidden").exists());
    // The next one buys the reply that nobody has.
    let next = world.worker("b", json!([finish()]));
    assert!(matches!(next.step(job_id, theirs).await.unwrap(), StepResponse::Done { outcome: Outcome::Succeeded { .. } }));
    assert_eq!(world.ledger().await, "reserved 1, settled_late 1, reserved 1, settled 1");
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_while_its_tools_ran_stores_nothing_of_them() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("touch started; while [ ! -e go ]; do sleep 0.02; done; touch done")]));
    let (job_id, epoch) = world.job(new_job()).await;
    let workspace = worker.workspace(job_id, epoch);
    let lose = async {
        while !workspace.join("started").exists() {
            tokio::task::yield_now().await;
        }
        world.take_over(job_id).await;
        let before = world.test.value("select queue from queue").await;
        std::fs::write(workspace.join("go"), "").unwrap();
        before
    };
    let (response, before) = tokio::join!(worker.step(job_id, epoch), lose);
    assert_eq!(response.unwrap_err().error_type(), "LeaseLost");
    assert!(workspace.join("done").exists(), "the tool ran to its end");
    assert_eq!(world.halves().await, "1 reply");
    assert_eq!(world.test.value("select queue from queue").await, before);
}

#[tokio::test]
async fn whoever_never_held_the_job_does_nothing() {
    let world = World::new().await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    let other = domain::Epoch(epoch.0 + 1);
    for (job_id, epoch) in [(job_id, other), (domain::JobId::new(), epoch)] {
        assert_eq!(worker.step(job_id, epoch).await.unwrap_err().error_type(), "LeaseLost");
    }
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![], ""));
    assert!(!worker.checkouts.exists());
}
