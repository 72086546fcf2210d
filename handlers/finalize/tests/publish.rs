//! What becomes of a job's result.

use domain::{CapReached, JobInput, Kind, MicroUsd, NewJob, Outcome, Trigger};
use serde_json::json;
use store::{jobs, outbox, queue, steps};
use testkit::new_job;

use crate::{FIXED, World, asked, succeeded};

#[tokio::test]
async fn a_change_becomes_a_branch_and_a_draft_pull_request_and_the_job_ends() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    let branch = format!("codeteam/{}-fix-the-rounding", job_id.short());
    let commit = world.repository.git(&["rev-parse", &branch]).await;
    assert_eq!((finalized.links.branch.as_deref(), finalized.links.commit.as_deref()), (Some(branch.as_str()), Some(commit.as_str())));
    assert_eq!(world.branches().await, [branch.as_str()]);
    assert_eq!(world.repository.git(&["show", &format!("{branch}:price.py")]).await, FIXED.trim_end());
    let parent = world.repository.git(&["rev-parse", &format!("{branch}^")]).await;
    assert_eq!(parent, world.repository.git(&["rev-parse", "main"]).await);
    let message = world.repository.git(&["log", "-1", "--format=%B", &branch]).await;
    assert_eq!(message, format!("Round once\n\nTotals were rounded twice.\n\nJob: {job_id}\nRefs: #7"));

    let [pull] = &world.pulls()[..] else { panic!("one pull request") };
    assert_eq!(
        (&pull["head"], &pull["base"], &pull["draft"], &pull["title"]),
        (&json!(branch), &json!("main"), &json!(true), &json!("Round once"))
    );
    assert_eq!(finalized.links.pull_request.as_deref(), pull["url"].as_str());
    let body = pull["body"].as_str().unwrap();
    for words in [
        "Totals were rounded twice.",
        "- python3 -m unittest: OK",
        "Confidence: medium.",
        "Is half a cent up or down?",
        "1 file, +1 −1.",
        "1 steps, 120 tokens, $0.000150, 2.0 s with scripted.",
        "Refs #7",
        &format!("<!-- codeteam:job:{job_id} -->"),
    ] {
        assert!(body.contains(words), "{words:?} in {body}");
    }
    assert!(world.comments().is_empty());

    let finished = world.ended(job_id).await;
    assert_eq!((finished.outcome, finished.spent), (succeeded(), finalized.spent));
    assert_eq!(
        (finished.spent.steps, finished.spent.tokens, finished.spent.cost_microusd, finished.spent.active_ms),
        (1, 120, MicroUsd(150), 2_000)
    );
    assert_eq!(finished.links, serde_json::to_value(&finalized.links).unwrap());
    assert_eq!(world.effects().await, "branch confirmed, pull_request confirmed");
}

#[tokio::test]
async fn what_an_unfinished_job_did_is_kept_and_says_that_it_is_unfinished() {
    for (outcome, words) in [
        (Outcome::Capped { cap: CapReached::Tokens }, "stopped at its cap on tokens"),
        (Outcome::Failed { cause: "the model refused".to_owned() }, "failed: the model refused"),
    ] {
        let world = World::new().await;
        let (job_id, epoch) = world.changed(asked()).await;
        world.finalize(job_id, epoch, outcome.clone()).await.unwrap();
        let [pull] = &world.pulls()[..] else { panic!("one pull request") };
        assert_eq!(pull["title"], "Unfinished: Fix the rounding!");
        assert!(pull["body"].as_str().unwrap().contains(words), "{pull}");
        assert_eq!(world.ended(job_id).await.outcome, outcome);
    }
}

#[tokio::test]
async fn a_job_that_changed_nothing_tells_the_issue_that_asked_and_pushes_nothing() {
    let world = World::new().await;
    let (job_id, epoch) = world.job(asked()).await;
    world.step(job_id, epoch, 1, "def price():\n    return 1\n").await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    let [comment] = &world.comments()[..] else { panic!("one comment") };
    assert_eq!(links.comment.as_deref(), comment["url"].as_str());
    assert!(comment["body"].as_str().unwrap().starts_with("Totals were rounded twice."), "{comment}");
    assert_eq!((world.branches().await, world.pulls().len(), links.branch), (vec![], 0, None));
    assert_eq!(world.effects().await, "comment confirmed");
}

#[tokio::test]
async fn a_job_that_never_began_tells_the_issue_what_happened() {
    let world = World::new().await;
    let (job_id, epoch) = world.job(asked()).await;
    world.finalize(job_id, epoch, Outcome::Stopped).await.unwrap();
    let [comment] = &world.comments()[..] else { panic!("one comment") };
    let body = comment["body"].as_str().unwrap();
    let words = "The job was stopped on request. Nothing had been done yet, and nothing was pushed.";
    assert!(body.contains(words) && body.contains("0 steps, 0 tokens, $0.000000, 0.0 s with no model."), "{body}");
}

#[tokio::test]
async fn nothing_is_pushed_of_a_job_that_was_stopped_and_the_person_is_told_what_is_kept() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    queue::stop(&world.test.db, job_id).await.unwrap();
    let links = world.finalize(job_id, epoch, Outcome::Stopped).await.unwrap().links;
    assert_eq!((world.branches().await, world.pulls().len(), links.branch, links.pull_request), (vec![], 0, None, None));
    let [comment] = &world.comments()[..] else { panic!("one comment") };
    let kept = format!("Nothing was pushed. What was done until then is kept: `codeteam show {job_id} --diff` shows the change.");
    assert!(comment["body"].as_str().unwrap().contains(&kept), "{comment}");
    assert_eq!(world.ended(job_id).await.outcome, Outcome::Stopped);
    assert_eq!(world.effects().await, "comment confirmed");
    let (tree, _) = steps::checkpoint(&world.test.db, job_id, 1).await.unwrap().expect("it is kept");
    assert!(!tree.is_empty());
}

#[tokio::test]
async fn a_stop_that_comes_before_the_push_undoes_the_end_that_was_decided() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(asked()).await;
    queue::decide(&world.test.db, job_id, epoch, &succeeded()).await.unwrap();
    queue::stop(&world.test.db, job_id).await.unwrap();
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!((&finalized.outcome, world.branches().await, world.pulls().len()), (&Outcome::Stopped, vec![], 0));
    assert_eq!(world.ended(job_id).await.outcome, Outcome::Stopped);
    assert_eq!(world.comments().len(), 1);
}

#[tokio::test]
async fn why_a_job_ended_without_a_result_is_said_once_where_people_are_told_how_it_goes() {
    let failed = Outcome::Failed { cause: "the model refused".to_owned() };
    for (outcome, comments) in [(Outcome::Stopped, 0), (failed, 0), (succeeded(), 1)] {
        let world = World::new().await;
        let trigger = Trigger::Label { label: "mechanic".to_owned() };
        let (job_id, epoch) = world.job(NewJob { trigger, ..asked() }).await;
        outbox::open(&world.test.db, &jobs::get(&world.test.db, job_id).await.unwrap().job).await.unwrap();
        world.finalize(job_id, epoch, outcome.clone()).await.unwrap();
        assert_eq!(world.comments().len(), comments, "{outcome:?}");
    }
}

#[tokio::test]
async fn an_analysis_is_told_where_it_was_asked_and_its_scribbles_are_not_pushed() {
    let world = World::new().await;
    let (job_id, epoch) = world.changed(NewJob { kind: Kind::Analysis, ..asked() }).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!((world.branches().await, world.pulls().len(), world.comments().len()), (vec![], 0, 1));
}

#[tokio::test]
async fn a_job_that_nobody_asked_for_in_an_issue_and_that_changed_nothing_just_ends() {
    let world = World::new().await;
    let (job_id, epoch) = world.job(new_job()).await;
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!(serde_json::to_value(&finalized.links).unwrap(), json!({}));
    assert_eq!(world.ended(job_id).await.links, json!({}));
    assert!(!world.repository.path("forge").exists());
}

#[tokio::test]
async fn a_pull_request_goes_to_the_branch_that_the_job_started_from() {
    let world = World::new().await;
    world.repository.git(&["branch", "release", "main"]).await;
    let input =
        JobInput { base: Some("release".to_owned()), title: "Ünïcødé & Co: \"fix\" it --now".to_owned(), ..JobInput::default() };
    let (job_id, epoch) = world.changed(NewJob { input, ..new_job() }).await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    assert_eq!(world.pulls()[0]["base"], "release");
    let branch = links.branch.unwrap();
    assert!(branch.starts_with(&format!("codeteam/{}-", job_id.short())) && branch.is_ascii() && !branch.contains("--"), "{branch}");
}

#[tokio::test]
async fn a_change_that_leaves_nothing_to_decide_closes_its_issue_and_an_unfinished_one_does_not() {
    for (settled, words) in [(true, "\nFixes #7\n"), (false, "\nRefs #7\n")] {
        let world = World::new().await;
        let Outcome::Succeeded { finish } = succeeded() else { unreachable!("it is a success") };
        let outcome = match settled {
            true => Outcome::Succeeded { finish: domain::Finish { needs_human: None, ..finish } },
            false => Outcome::Capped { cap: CapReached::Time },
        };
        let (job_id, epoch) = world.changed(asked()).await;
        world.finalize(job_id, epoch, outcome).await.unwrap();
        let body = world.pulls()[0]["body"].as_str().unwrap().to_owned();
        assert!(body.contains(words), "{body}");
    }
}
