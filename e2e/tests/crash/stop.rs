//! A person stops a job that is in the middle of something.

use e2e::product::Running;

use super::half_steps::quiet;
use super::scene::{Scene, Wait, ends_well};

#[tokio::test]
async fn stop_ends_a_job_during_its_model_call() {
    let _quiet = quiet().await;
    let scene = Scene::new(Wait::Nowhere).await;
    let hold = scene.model.hold(2);
    let worker = scene.worker();
    hold.reached().await;
    stop(&scene, worker).await;
    assert_eq!(scene.model.calls(), [1, 1, 0, 0]);
}

#[tokio::test]
async fn stop_ends_a_job_during_a_tool_and_the_tool_with_it() {
    let _quiet = quiet().await;
    let scene = Scene::new(Wait::InTool).await;
    let worker = scene.worker();
    scene.waits().await;
    stop(&scene, worker).await;
    assert_eq!(scene.model.calls(), [1, 1, 1, 0]);
    // Nothing was pushed, and what the last whole step left is there for whoever wants it.
    assert_eq!(scene.db.value("select string_agg(name, ' ') from effects").await, "");
    let kept = scene.command(["show", &scene.job_id, "--diff"]).run().await;
    kept.expect(0, &["+++ b/greeting.txt", "+hello"]);
    let shown = scene.command(["show", &scene.job_id, "--diff", "--json"]).run().await.json(0);
    assert!(!shown["diff"].as_str().unwrap().contains("again"), "{shown}");
}

async fn stop(scene: &Scene, worker: Running) {
    let watch = tokio::spawn(scene.command(["watch", &scene.job_id]).run());
    scene.command(["stop", &scene.job_id]).run().await.expect(0, &["is asked to stop"]);
    assert_eq!(scene.outcome().await, "stopped", "{}", worker.said());
    watch.await.unwrap().expect(1, &["asked to stop", "stopped"]);
    scene.nothing_runs_beside(&[worker.id()]).await;
    let took =
        "select max(created_at) filter (where kind = 'finalized') - max(created_at) filter (where kind = 'stop_requested') from events";
    assert_eq!(scene.db.value(&format!("select ({took}) < interval '4 seconds'")).await, "true", "it took {}", scene.db.value(took).await);
    ends_well(worker).await;
    scene.command(["ledger", "verify"]).run().await.expect(0, &["every chain holds"]);
    scene.nothing_runs().await;
}
