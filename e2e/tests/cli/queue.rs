//! What people do to the queue: hold it back, limit it, put a job back, and look after what was given up.

use serde_json::json;

use crate::crash::scene::{Scene, Wait};

/// A worker that takes what there is and ends.
async fn work(scene: &Scene) {
    scene.command(["work", "--until-idle"]).run().await.expect(0, &[]);
}

/// Its workers were lost, one after the other, until nobody tries it any more.
async fn is_given_up(scene: &Scene) {
    scene.is_held().await;
    scene.db.execute("update queue set attempt = 99").await;
    scene.expire_lease().await;
    work(scene).await;
    assert_eq!(scene.db.value("select state from queue").await, "dead");
}

#[tokio::test]
async fn a_dead_job_is_listed_shown_redriven_and_then_brought_to_its_end() {
    let scene = Scene::new(Wait::Nowhere).await;
    scene.command(["dlq", "list"]).run().await.expect(0, &["no dead job matches"]);
    is_given_up(&scene).await;
    scene.command(["dlq", "list"]).run().await.expect(0, &["acme/shop", "Greet", "was lost 99 times without progress"]);
    let listed = scene.command(["dlq", "list", "--cause", "LOST 99", "--json"]).run().await.json_lines();
    assert_eq!((listed.len(), &listed[0]["job_id"]), (1, &json!(scene.job_id)));
    scene.command(["dlq", "list", "--repository", "acme/other"]).run().await.expect(0, &["no dead job matches"]);
    scene.command(["dlq", "show", &scene.job_id]).run().await.expect(0, &["was lost 99 times without progress"]);
    scene.command(["lanes"]).run().await.expect(0, &["DEAD", "acme/shop"]);
    scene.command(["dlq", "redrive", &scene.job_id]).run().await.expect(0, &["1 dead jobs are ready to be tried again"]);
    work(&scene).await;
    assert_eq!(scene.outcome().await, "succeeded");
    scene.is_published_once().await;
    scene.command(["dlq", "redrive", &scene.job_id]).run().await.expect(2, &[&scene.job_id]);
}

#[tokio::test]
async fn all_dead_jobs_that_match_are_put_away_and_never_all_by_mistake() {
    let scene = Scene::new(Wait::Nowhere).await;
    is_given_up(&scene).await;
    scene.command(["dlq", "discard"]).run().await.expect(2, &["--all"]);
    scene.command(["dlq", "discard", "--all"]).run().await.expect(2, &["add a filter, or --yes"]);
    scene.command(["dlq", "discard", &scene.job_id, "--mode", "genius"]).run().await.expect(2, &["filters go with --all"]);
    scene.command(["dlq", "discard", "--all", "--older-than-hours", "1"]).run().await.expect(0, &["0 dead jobs"]);
    assert_eq!(scene.db.value("select count(*) from queue").await, "1");
    scene.command(["dlq", "discard", "--all", "--cause", "lost"]).run().await.expect(0, &["1 dead jobs are put away"]);
    assert_eq!(scene.db.value("select count(*) from queue").await, "0");
    scene.command(["show", &scene.job_id]).run().await.expect(0, &["was lost 99 times without progress"]);
}

#[tokio::test]
async fn a_paused_repository_waits_and_everybody_is_told_why() {
    let scene = Scene::new(Wait::Nowhere).await;
    let scope = "repository:acme/shop";
    scene.command(["pause", scope, "--reason", "a release"]).run().await.expect(0, &["codeteam resume repository:acme/shop"]);
    work(&scene).await;
    assert_eq!(scene.db.value("select state || ' ' || attempt from queue").await, "ready 0");
    let why = "repository:acme/shop is closed (paused) until somebody resumes it: a release";
    scene.command(["lanes"]).run().await.expect(0, &[why]);
    scene.command(["show", &scene.job_id]).run().await.expect(0, &[why]);
    scene.command(["resume", scope]).run().await.expect(0, &["run again"]);
    scene.command(["resume", scope]).run().await.expect(0, &["was not paused"]);
    work(&scene).await;
    assert_eq!(scene.outcome().await, "succeeded");
    scene.command(["pause", "everything"]).run().await.expect(2, &["everything", "repository:owner/name"]);
}

#[tokio::test]
async fn a_limit_is_set_shown_and_taken_away() {
    let scene = Scene::new(Wait::Nowhere).await;
    scene.command(["lanes", "set", "acme/shop", "--max-running", "1"]).run().await.expect(0, &["at most 1 jobs of acme/shop"]);
    scene.is_held().await;
    let lanes = scene.command(["lanes", "--json"]).run().await.json(0);
    let lane = &lanes["lanes"][0];
    assert_eq!((&lane["repository"], &lane["max_running"], &lane["running"]), (&json!("acme/shop"), &json!(1), &json!(1)), "{lanes}");
    scene.command(["lanes", "set", "acme/shop", "--no-limit"]).run().await.expect(0, &["as many jobs as there are workers"]);
    scene.command(["lanes", "set", "shop", "--max-running", "1"]).run().await.expect(2, &["expected owner/name"]);
    scene.command(["lanes", "set", "acme/shop", "--max-running", "0"]).run().await.expect(2, &["max-running"]);
    scene.command(["lanes", "set", "acme/shop"]).run().await.expect(2, &["--no-limit"]);
}

#[tokio::test]
async fn a_job_that_is_put_back_is_taken_from_whoever_held_it() {
    let scene = Scene::new(Wait::Nowhere).await;
    scene.is_held().await;
    scene.command(["requeue", &scene.job_id]).run().await.expect(0, &[]);
    let step = json!({ "job_id": scene.job_id, "epoch": 1 });
    let late = scene.command(["invoke", "step", "-"]).stdin(step.to_string()).run().await;
    assert!(late.said().contains("LeaseLost"), "{}", late.said());
    work(&scene).await;
    assert_eq!(scene.outcome().await, "succeeded");
    scene.is_published_once().await;
    scene.command(["requeue", &scene.job_id]).run().await.expect(2, &["finished"]);
}
