//! A worker is lost while something that it started runs: a model call, a tool, a push.

use process::Signal;

use super::half_steps::take_late_settlement;
use super::scene::{STEPS, Scene, Wait, ends_well, freeze};

#[tokio::test]
async fn a_worker_killed_during_a_model_call_loses_that_call_and_no_other() {
    let scene = Scene::new(Wait::Nowhere).await;
    let hold = scene.model.hold(2);
    let worker = scene.worker();
    hold.reached().await;
    worker.end(Signal::KILL).await;
    let taken = scene.taken().await;
    scene.take_over().await;
    scene.is_whole(&taken).await;
    assert_eq!(scene.model.calls(), [1, 2, 1, 1]);
}

#[tokio::test]
async fn a_worker_killed_during_a_tool_leaves_no_process_and_its_work_is_done_afresh() {
    let scene = Scene::new(Wait::InTool).await;
    let worker = scene.worker();
    scene.waits().await;
    worker.end(Signal::KILL).await;
    scene.nothing_runs().await;
    let taken = scene.taken().await;
    scene.take_over().await;
    scene.is_whole(&taken).await;
    assert_eq!(scene.model.calls(), [1; STEPS]);
}

#[tokio::test]
async fn a_worker_killed_during_a_push_that_ends_before_the_takeover_leaves_one_branch() {
    killed_during_a_push(Wait::BeforePush, async |scene| {
        scene.go_on();
        scene.nothing_runs().await;
        scene.take_over().await;
    })
    .await;
}

#[tokio::test]
async fn a_worker_killed_during_a_push_that_ends_after_the_takeover_leaves_one_branch() {
    killed_during_a_push(Wait::BeforePush, async |scene| {
        scene.take_over().await;
        scene.go_on();
    })
    .await;
}

#[tokio::test]
async fn a_worker_killed_after_its_push_and_before_it_knew_leaves_one_branch() {
    killed_during_a_push(Wait::AfterPush, async |scene| {
        scene.take_over().await;
        scene.go_on();
    })
    .await;
}

async fn killed_during_a_push(wait: Wait, then: impl AsyncFnOnce(&Scene)) {
    let scene = Scene::new(wait).await;
    let worker = scene.worker();
    scene.waits().await;
    worker.end(Signal::KILL).await;
    let taken = scene.taken().await;
    then(&scene).await;
    scene.is_whole(&taken).await;
    assert_eq!(scene.model.calls(), [1; STEPS]);
}

#[tokio::test]
async fn a_worker_frozen_during_a_model_call_wakes_to_settle_that_call_and_nothing_else() {
    let scene = Scene::new(Wait::Nowhere).await;
    let hold = scene.model.hold(2);
    let frozen = scene.worker();
    hold.reached().await;
    freeze(&frozen).await;
    scene.take_over().await;
    let before = scene.tables().await;
    hold.release();
    frozen.signal(Signal::CONT);
    frozen.says("lost the lease").await;
    ends_well(frozen).await;
    let mut after = scene.tables().await;
    assert!(take_late_settlement(&mut after, &before), "{after:#?}");
    assert_eq!(after, before);
    assert_eq!(scene.model.calls(), [1, 2, 1, 1]);
    scene.is_published_once().await;
}

#[tokio::test]
async fn a_worker_frozen_during_a_tool_wakes_to_kill_it_and_to_write_nothing() {
    wakes_to_write_nothing(Wait::InTool, async |_| {}).await;
}

#[tokio::test]
async fn a_worker_frozen_during_a_push_wakes_to_write_nothing() {
    wakes_to_write_nothing(Wait::BeforePush, async |scene| scene.go_on()).await;
}

async fn wakes_to_write_nothing(wait: Wait, on_waking: impl AsyncFnOnce(&Scene)) {
    let scene = Scene::new(wait).await;
    let frozen = scene.worker();
    scene.waits().await;
    freeze(&frozen).await;
    scene.take_over().await;
    let before = scene.tables().await;
    on_waking(&scene).await;
    frozen.signal(Signal::CONT);
    frozen.says("lost the lease").await;
    scene.nothing_runs_beside(&[frozen.id()]).await;
    ends_well(frozen).await;
    assert_eq!(scene.tables().await, before);
    assert_eq!(scene.model.calls(), [1; STEPS]);
    scene.is_published_once().await;
}
