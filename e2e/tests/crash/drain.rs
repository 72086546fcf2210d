//! A worker is told to stop, as a deployment does it: what is paid for is kept, what runs is ended, and the job
//! goes back at once.

use e2e::product::Running;
use e2e::wait::until;
use process::{Exit, Signal};

use super::half_steps::quiet;
use super::scene::{STEPS, Scene, Wait, ends_well};

#[tokio::test]
async fn sigterm_during_a_model_call_waits_for_the_reply_and_the_next_worker_goes_on_at_once() {
    let _quiet = quiet().await;
    let scene = Scene::new(Wait::Nowhere).await;
    let hold = scene.model.hold(2);
    let worker = scene.worker();
    hold.reached().await;
    worker.signal(Signal::TERM);
    worker.says("stopping").await;
    let next = scene.worker();
    next.says("working on jobs").await;
    hold.release();
    assert_eq!(scene.outcome().await, "succeeded", "{}", next.said());
    has_ended_well(worker).await;
    ends_well(next).await;
    assert_eq!(scene.model.calls(), [1; STEPS], "the reply that was waited for is not bought again");
    assert_eq!(scene.events("released").await, 1);
    let pause = "select claimed.created_at - released.created_at < interval '2 seconds' from events claimed, events released
                 where released.kind = 'released' and claimed.kind = 'claimed' and claimed.seq = released.seq + 1";
    assert_eq!(scene.db.value(pause).await, "true", "the next worker comes within two seconds");
    scene.is_published_once().await;
}

#[tokio::test]
async fn sigterm_during_a_tool_ends_it_and_gives_the_job_back_without_counting_the_attempt() {
    let scene = Scene::new(Wait::InTool).await;
    let worker = scene.worker();
    scene.waits().await;
    let taken = scene.taken().await;
    worker.signal(Signal::TERM);
    until("the job is given back", async || (scene.events("released").await == 1).then_some(())).await;
    assert_eq!(scene.db.value("select state || ' ' || attempt || ' ' || (run_at <= now()) from queue").await, "ready 0 true");
    has_ended_well(worker).await;
    scene.nothing_runs().await;
    scene.take_over().await;
    scene.is_whole(&taken).await;
}

/// Waits for a worker that was told to stop; the signal means nothing to it.
async fn has_ended_well(worker: Running) {
    let (exit, said) = worker.end(Signal::CONT).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
}
