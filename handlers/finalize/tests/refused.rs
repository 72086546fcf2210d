//! Results that cannot be published.

use dispatch::{Ctx, Registry};
use domain::Outcome;
use serde_json::Value;
use testkit::new_job;

use crate::{World, asked, succeeded};

#[tokio::test]
async fn a_branch_that_somebody_else_moved_is_named_and_left_alone() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    let branch = format!("codeteam/{}-fix-the-rounding", job_id.short());
    world.repository.git(&["update-ref", &format!("refs/heads/{branch}"), "main"]).await;
    let theirs = world.repository.git(&["rev-parse", "main"]).await;
    let error = world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
    assert_eq!(error.error_type(), "Invalid");
    let said = format!("branch \"{branch}\" in {} is already at {theirs}", world.repository.remote());
    assert_eq!(error.to_string(), said);
    assert_eq!(world.repository.git(&["rev-parse", &branch]).await, theirs);
    assert_eq!((world.pulls().len(), world.effects().await.as_str()), (0, "branch intended"));
    assert_eq!(world.test.value("select state from queue").await, "leased", "the job has not ended");
}

#[tokio::test]
async fn a_repository_that_is_gone_keeps_the_job_open_until_its_attempts_are_used_up() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    std::fs::rename(world.repository.path("origin.git"), world.repository.path("moved.git")).unwrap();
    for attempt in 1..=5 {
        world.test.execute(&format!("update queue set attempt = {attempt}")).await;
        let error = world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
        assert!(error.to_string().contains("origin.git"), "{error}");
    }
    world.test.execute("update queue set attempt = 6").await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    assert!(links.unpublished.as_deref().is_some_and(|why| why.contains("origin.git")), "{links:?}");
    let finished = world.ended(job_id).await;
    assert_eq!((finished.outcome, finished.links), (succeeded(), serde_json::to_value(links).unwrap()));
}

#[tokio::test]
async fn a_dead_job_that_can_be_published_is() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(new_job()).await;
    let links = world.finalize(job_id, epoch, Outcome::Dead { cause: "lost".to_owned() }).await.unwrap().links;
    assert_eq!((world.branches().await.len(), world.pulls().len(), links.unpublished), (1, 1, None));
}

#[tokio::test]
async fn the_sample_event_holds_no_lease_here() {
    let world = World::new().await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/finalize.json");
    let event: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let registry = Registry::new().with(world.finalize.clone());
    let error = registry.invoke("finalize", Ctx::with_timeout(std::time::Duration::from_secs(5)), event).await.unwrap_err();
    assert!(error.to_string().starts_with("lease lost: job 0198cb5e-7a40-7c21-9f3e-5b6d8a2c4e10"), "{error}");
}
