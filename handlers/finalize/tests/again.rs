//! Twice, and after a crash between any two effects: one branch, one pull request, one comment.

use domain::{NewJob, Outcome};
use store::{dlq, queue};
use testkit::new_job;

use crate::{World, asked, succeeded};

#[tokio::test]
async fn the_second_time_nothing_is_done() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    let (pulls, ended) = (world.pulls(), world.ended(job_id).await.at);
    assert_eq!(world.finalize(job_id, epoch, Outcome::Stopped).await.unwrap_err().error_type(), "LeaseLost");
    assert_eq!((world.pulls(), world.branches().await), (pulls, vec![links.branch.unwrap()]));
    let finished = world.ended(job_id).await;
    assert_eq!((finished.at, finished.outcome), (ended, succeeded()));
}

#[tokio::test]
async fn what_a_push_needs_for_a_while_lies_where_the_next_worker_clears_it_away() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    // A file in the place of the folder of all checkouts.
    std::fs::write(world.repository.path("checkouts"), "").unwrap();
    let error = world.finalize(job_id, epoch, succeeded()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("checkouts/{job_id}-{epoch}")), "{error}");
}

/// The database goes away for a write of `table` that fulfils `when`.
pub(crate) async fn break_write(world: &World, table: &str, when: &str) {
    let statement = format!(
        "create function go_away() returns trigger language plpgsql as $$ begin raise exception 'gone' using errcode = '57P01'; end $$;
         create trigger go_away before insert or update on {table} for each row when ({when}) execute function go_away()"
    );
    world.test.execute(&statement).await;
}

/// The worker dies at the write, another one finalizes, and everything is there once.
async fn survives(job: NewJob, changed: bool, table: &str, when: &str) {
    let world = World::new().await;
    let (job_id, epoch) = if changed { world.changed(job).await } else { world.job(job).await };
    break_write(&world, table, when).await;
    let error = world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
    assert_eq!(error.error_type(), "RetryAfter", "{when}: {error}");
    assert_eq!(world.test.value("select state from queue").await, "leased", "{when}");
    world.test.execute("drop function go_away cascade").await;
    let before = (world.branches().await, world.pulls(), world.comments());
    let epoch = world.take_over(job_id).await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    let (branches, pulls, comments) = (world.branches().await, world.pulls(), world.comments());
    assert_eq!((branches.len(), pulls.len(), comments.len()), if changed { (1, 1, 0) } else { (0, 0, 1) }, "{when}");
    // What the first one had made is what the second one found.
    assert!(before.0.is_empty() || before.0 == branches, "{when}");
    assert!(before.1.is_empty() || before.1 == pulls, "{when}");
    assert!(before.2.is_empty() || before.2 == comments, "{when}");
    let effects = if changed { "branch confirmed, pull_request confirmed" } else { "comment confirmed" };
    assert_eq!(world.effects().await, effects, "{when}");
    let finished = world.ended(job_id).await;
    assert_eq!((finished.outcome, finished.links), (succeeded(), serde_json::to_value(links).unwrap()), "{when}");
}

#[tokio::test]
async fn a_worker_that_dies_around_the_branch_leaves_one_branch() {
    survives(asked(), true, "effects", "new.name = 'branch' and new.state = 'intended'").await;
    survives(asked(), true, "effects", "new.name = 'branch' and new.state = 'confirmed'").await;
}

#[tokio::test]
async fn a_worker_that_dies_around_the_pull_request_leaves_one_pull_request() {
    survives(asked(), true, "effects", "new.name = 'pull_request' and new.state = 'intended'").await;
    survives(asked(), true, "effects", "new.name = 'pull_request' and new.state = 'confirmed'").await;
}

#[tokio::test]
async fn a_worker_that_dies_around_the_comment_leaves_one_comment() {
    survives(asked(), false, "effects", "new.name = 'comment' and new.state = 'intended'").await;
    survives(asked(), false, "effects", "new.name = 'comment' and new.state = 'confirmed'").await;
}

#[tokio::test]
async fn a_worker_that_dies_before_it_could_end_the_job_leaves_everything_once() {
    survives(asked(), true, "jobs", "new.outcome is not null").await;
    survives(asked(), false, "jobs", "new.outcome is not null").await;
}

#[tokio::test]
async fn a_worker_that_lost_its_job_pushes_nothing() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(new_job()).await;
    let theirs = world.take_over(job_id).await;
    assert_eq!(world.finalize(job_id, epoch, succeeded()).await.unwrap_err().error_type(), "LeaseLost");
    assert_eq!((world.branches().await.len(), world.pulls().len(), world.effects().await.as_str()), (0, 0, ""));
    world.finalize(job_id, theirs, succeeded()).await.unwrap();
    assert_eq!((world.branches().await.len(), world.pulls().len()), (1, 1));
}

#[tokio::test]
async fn how_a_job_ended_is_decided_before_anything_is_shown_and_holds() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    break_write(&world, "effects", "new.name = 'pull_request'").await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
    world.test.execute("drop function go_away cascade").await;
    let epoch = world.take_over(job_id).await;
    let finalized = world.finalize(job_id, epoch, Outcome::Stopped).await.unwrap();
    assert_eq!((finalized.outcome, world.ended(job_id).await.outcome), (succeeded(), succeeded()));
    assert_eq!((world.branches().await.len(), world.pulls()[0]["title"].as_str()), (1, Some("Round once")));
}

#[tokio::test]
async fn what_was_pushed_before_a_stop_is_told_by_whoever_finishes_it() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    // The worker dies after the push, before it could say so.
    break_write(&world, "effects", "new.name = 'branch' and new.state = 'confirmed'").await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
    world.test.execute("drop function go_away cascade").await;
    queue::stop(&world.test.db, job_id).await.unwrap();
    let epoch = world.take_over(job_id).await;
    let finalized = world.finalize(job_id, epoch, Outcome::Stopped).await.unwrap();
    assert_eq!((finalized.outcome, world.branches().await.len(), world.pulls().len()), (succeeded(), 1, 1));
    assert_eq!(world.effects().await, "branch confirmed, pull_request confirmed");
}

#[tokio::test]
async fn what_was_meant_to_be_pushed_before_a_stop_and_was_not_is_not_pushed_after_it() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    break_write(&world, "effects", "new.name = 'branch' and new.state = 'confirmed'").await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
    world.test.execute("drop function go_away cascade").await;
    // As if the worker had died between its intent and the push.
    world.repository.git(&["branch", "-D", &world.branches().await[0]]).await;
    queue::stop(&world.test.db, job_id).await.unwrap();
    let epoch = world.take_over(job_id).await;
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!((finalized.outcome, world.branches().await.len(), world.pulls().len()), (Outcome::Stopped, 0, 0));
}

fn dead() -> Outcome {
    Outcome::Dead { cause: "the tests never ended".into() }
}

#[tokio::test]
async fn a_redriven_job_tells_its_new_result_where_it_told_the_old_one() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    let links = world.finalize(job_id, epoch, dead()).await.unwrap().links;
    let pulls = world.pulls();
    assert_eq!(pulls[0]["title"], "Unfinished: Fix the rounding!");
    for (step_no, content) in [(2, "def price():\n    return 3\n"), (3, "def price():\n    return 4\n")] {
        dlq::redrive(&world.test.db, job_id).await.unwrap();
        let epoch = world.claim(job_id).await;
        world.step(job_id, epoch, step_no, content).await;
        // The worker dies after the push, before it could say so.
        break_write(&world, "effects", "new.name = 'branch' and new.state = 'confirmed'").await;
        let outcome = if step_no == 2 { dead() } else { succeeded() };
        world.finalize(job_id, epoch, outcome).await.unwrap_err();
        world.test.execute("drop function go_away cascade").await;
        let epoch = world.take_over(job_id).await;
        let again = world.finalize(job_id, epoch, Outcome::Stopped).await.unwrap().links;
        assert_eq!((&again.branch, &again.pull_request), (&links.branch, &links.pull_request));
        assert_eq!(world.repository.git(&["show", &format!("{}:price.py", again.branch.unwrap())]).await, content.trim_end());
    }
    let retold = world.pulls();
    assert_eq!((retold.len(), &retold[0]["number"], &retold[0]["title"]), (1, &pulls[0]["number"], &"Round once".into()));
    assert_eq!(world.ended(job_id).await.outcome, succeeded());
}

#[tokio::test]
async fn a_redriven_job_corrects_the_comment_that_gave_it_up() {
    let world = World::new().await;
    let (job_id, epoch) = world.job(asked()).await;
    world.finalize(job_id, epoch, dead()).await.unwrap();
    assert!(world.comments()[0]["body"].as_str().unwrap().contains("not finished"), "{:?}", world.comments());
    dlq::redrive(&world.test.db, job_id).await.unwrap();
    let epoch = world.claim(job_id).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    let comments = world.comments();
    assert_eq!(comments.len(), 1);
    assert!(!comments[0]["body"].as_str().unwrap().contains("not finished"), "{comments:?}");
}

#[tokio::test]
async fn what_a_person_pushed_onto_the_branch_is_not_overwritten_by_a_redriven_job() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    let branch = world.finalize(job_id, epoch, dead()).await.unwrap().links.branch.unwrap();
    world.repository.git(&["branch", "--force", &branch, "main"]).await;
    let theirs = world.repository.git(&["rev-parse", "main"]).await;
    dlq::redrive(&world.test.db, job_id).await.unwrap();
    let epoch = world.claim(job_id).await;
    world.step(job_id, epoch, 2, "def price():\n    return 3\n").await;
    let error = world.finalize(job_id, epoch, succeeded()).await.unwrap_err().to_string();
    assert!(error.contains("is already at"), "{error}");
    assert_eq!(world.repository.git(&["rev-parse", &branch]).await, theirs);
}
