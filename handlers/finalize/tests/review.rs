//! What becomes of a review.

use domain::job::Confidence;
use domain::review::{Severity, Side};
use domain::{CapReached, Epoch, Finish, JobId, JobInput, Kind, NewJob, Outcome, ReviewComment};
use serde_json::{Value, json};
use store::steps::{self, Prepared};

use crate::again::break_write;
use crate::{FIXED, World, asked, records};

/// A review of pull request 7, whose branch changes `price.py`, prepared as `step` does it.
async fn reviewed(world: &World) -> (JobId, Epoch) {
    world.repository.branch("feature", &[("price.py", FIXED)]).await;
    let input = JobInput { head: Some("feature".into()), ..asked().input };
    let (job_id, epoch) = world.job(NewJob { kind: Kind::Review, input, ..asked() }).await;
    let (head, against) = (world.repository.git(&["rev-parse", "feature"]).await, world.repository.git(&["rev-parse", "main"]).await);
    let prepared = Prepared { base_commit: &head, against: Some(&against), ..Prepared::default() };
    steps::prepared(&world.test.db, job_id, epoch, prepared).await.unwrap();
    (job_id, epoch)
}

fn comment(path: &str, line: u32, side: Side) -> ReviewComment {
    ReviewComment { path: path.into(), line, side, severity: Severity::High, body: "Why?\nSay so.".into() }
}

fn findings(comments: Vec<ReviewComment>) -> Outcome {
    let finish = Finish {
        title: "Not yet".into(),
        summary: "The price is wrong.".into(),
        tests_run: vec![],
        confidence: Confidence::High,
        needs_human: Some("Is 2 meant?".into()),
        comments,
    };
    Outcome::Succeeded { finish }
}

fn reviews(world: &World) -> Vec<Value> {
    records(&world.repository.path("forge/acme/shop/pulls/7/reviews"))
}

#[tokio::test]
async fn a_review_has_its_comments_at_their_lines_and_the_rest_in_its_body() {
    let world = World::new().await;
    let (job_id, epoch) = reviewed(&world).await;
    let comments = vec![comment("price.py", 2, Side::Right), comment("price.py", 90, Side::Right), comment("price.py", 2, Side::Left)];
    let finalized = world.finalize(job_id, epoch, findings(comments)).await.unwrap();
    let [review] = &reviews(&world)[..] else { panic!("one review") };
    assert_eq!(finalized.links.review.as_deref(), review["url"].as_str());
    assert_eq!(review["commit"].as_str().unwrap(), world.repository.git(&["rev-parse", "feature"]).await);
    let at = |side: &str| json!({ "path": "price.py", "line": 2, "side": side, "body": "**high**: Why?\nSay so." });
    assert_eq!(review["comments"], json!([at("right"), at("left")]));
    let body = review["body"].as_str().unwrap();
    for words in [
        "**Not yet**\n\nThe price is wrong.\n",
        "### At lines that the change does not show\n\n- `price.py`, line 90: **high**: Why?\n  Say so.\n",
        "**A person has to decide:** Is 2 meant?",
        &format!("<!-- codeteam:job:{job_id} -->"),
    ] {
        assert!(body.contains(words), "{words:?} in {body}");
    }
    assert_eq!((world.effects().await.as_str(), world.comments().len(), world.pulls().len()), ("review confirmed", 0, 0));
    assert_eq!(world.ended(job_id).await.links, json!({ "review": review["url"] }));
    assert_eq!(world.branches().await, ["feature"]);
}

#[tokio::test]
async fn a_worker_that_dies_around_the_review_leaves_one_review() {
    for state in ["intended", "confirmed"] {
        let world = World::new().await;
        let (job_id, epoch) = reviewed(&world).await;
        let outcome = findings(vec![comment("price.py", 2, Side::Right)]);
        break_write(&world, "effects", &format!("new.name = 'review' and new.state = '{state}'")).await;
        assert_eq!(world.finalize(job_id, epoch, outcome.clone()).await.unwrap_err().error_type(), "RetryAfter", "{state}");
        let before = reviews(&world);
        assert_eq!(before.len(), usize::from(state == "confirmed"));
        world.test.execute("drop function go_away cascade").await;
        let epoch = world.take_over(job_id).await;
        world.finalize(job_id, epoch, outcome).await.unwrap();
        let after = reviews(&world);
        assert!(after.len() == 1 && (before.is_empty() || before == after), "{state}: {after:?}");
        assert_eq!(world.effects().await, "review confirmed", "{state}");
        world.ended(job_id).await;
    }
}

#[tokio::test]
async fn a_change_that_is_gone_leaves_every_comment_in_the_body() {
    let world = World::new().await;
    let (job_id, epoch) = reviewed(&world).await;
    let gone = "1".repeat(40);
    world.test.execute(&format!("update jobs set base_commit = '{gone}'")).await;
    world.finalize(job_id, epoch, findings(vec![comment("price.py", 2, Side::Right)])).await.unwrap();
    let [review] = &reviews(&world)[..] else { panic!("one review") };
    assert_eq!(review["comments"], json!([]));
    assert!(review["body"].as_str().unwrap().contains("- `price.py`, line 2: **high**"), "{review}");
}

#[tokio::test]
async fn a_review_that_did_not_end_well_tells_so_in_a_comment() {
    let world = World::new().await;
    let (job_id, epoch) = reviewed(&world).await;
    world.finalize(job_id, epoch, Outcome::Capped { cap: CapReached::Steps }).await.unwrap();
    assert_eq!((reviews(&world).len(), world.comments().len()), (0, 1));
}
