//! A change that goes on with the branch of a pull request.

use domain::{Epoch, JobId, JobInput, NewJob, Outcome};
use git::{Checkout, Remote};
use github::NewPullRequest;
use serde_json::json;
use store::steps::{self, Prepared};
use tokio_util::sync::CancellationToken;

use crate::{World, asked, records, succeeded};

const THIRD: &str = "def price():\n    return 3\n";

/// Pull request 1 goes from `feature` to `main`; a job began to change it, and left `price.py` like this.
async fn going_on(world: &World, files: &[(&str, &str)]) -> (JobId, Epoch) {
    world.repository.branch("feature", files).await;
    let new = NewPullRequest { head: "feature".into(), base: "main".into(), title: "t".into(), body: "b".into(), draft: false };
    world.finalize.forge.put_pull_request("acme/shop", &new).await.unwrap();
    let input =
        JobInput { number: Some(1), is_pull_request: true, head: Some("feature".into()), base: Some("main".into()), ..asked().input };
    let (job_id, epoch) = world.job(NewJob { input, ..asked() }).await;
    let cancel = CancellationToken::new();
    let remote: Remote = world.repository.remote().parse().unwrap();
    let mirror = world.finalize.git.mirror(&remote, &cancel).await.unwrap();
    let head = mirror.resolve(Some("feature")).await.unwrap();
    let against = mirror.merge_base(&head, &mirror.resolve(Some("main")).await.unwrap()).await.unwrap().unwrap();
    let checkout = Checkout::create(&mirror, &head, &world.repository.path("going-on"), &cancel).await.unwrap();
    std::fs::write(checkout.workspace().join("price.py"), THIRD).unwrap();
    std::fs::write(checkout.workspace().join("more.py"), "more = 1\n").unwrap();
    let checkpoint = checkout.checkpoint().await.unwrap();
    let prepared = Prepared { base_commit: head.as_str(), against: Some(against.as_str()), ..Prepared::default() };
    steps::prepared(&world.test.db, job_id, epoch, prepared).await.unwrap();
    world.stored((job_id, epoch), 1, &checkpoint, &json!({})).await;
    (job_id, epoch)
}

fn comments(world: &World) -> Vec<serde_json::Value> {
    records(&world.repository.path("forge/acme/shop/issues/1/comments"))
}

#[tokio::test]
async fn a_follow_up_is_one_commit_on_the_branch_of_the_pull_request_which_is_told() {
    let world = World::new().await;
    let (job_id, epoch) = going_on(&world, &[("price.py", "def price():\n    return 2\n")]).await;
    let before = world.repository.git(&["rev-parse", "feature"]).await;
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    let commit = world.repository.git(&["rev-parse", "feature"]).await;
    assert_eq!(world.repository.git(&["rev-parse", "feature^"]).await, before);
    assert_eq!(world.repository.git(&["show", "feature:price.py"]).await, THIRD.trim_end());
    assert_eq!((world.branches().await, world.pulls().len()), (vec!["feature".to_owned()], 1));
    assert_eq!((finalized.links.branch.as_deref(), finalized.links.commit.as_deref()), (Some("feature"), Some(commit.as_str())));
    assert_eq!(finalized.links.pull_request.as_deref(), world.pulls()[0]["url"].as_str());
    assert_eq!((&world.pulls()[0]["title"], &world.pulls()[0]["body"]), (&json!("t"), &json!("b")), "its words are its author's");
    let [comment] = &comments(&world)[..] else { panic!("one comment") };
    let body = comment["body"].as_str().unwrap();
    for words in [&*format!("Pushed {commit} to `feature`."), "Totals were rounded twice.", "2 files, +2 −1.", "- python3 -m unittest: OK"]
    {
        assert!(body.contains(words), "{words:?} in {body}");
    }
    assert!(!body.contains("Fixes #"), "{body}");
    assert_eq!(world.ended(job_id).await.outcome, succeeded());
}

#[tokio::test]
async fn a_follow_up_that_is_finalized_twice_is_pushed_and_told_once() {
    let world = World::new().await;
    let (job_id, epoch) = going_on(&world, &[("price.py", "def price():\n    return 2\n")]).await;
    crate::again::break_write(&world, "effects", "new.name = 'comment' and new.state = 'confirmed'").await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap_err();
    let commit = world.repository.git(&["rev-parse", "feature"]).await;
    world.test.execute("drop function go_away cascade").await;
    let epoch = world.take_over(job_id).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!(world.repository.git(&["rev-parse", "feature"]).await, commit);
    assert_eq!((world.branches().await, comments(&world).len(), world.pulls().len()), (vec!["feature".to_owned()], 1, 1));
}

#[tokio::test]
async fn what_somebody_pushed_meanwhile_is_not_overwritten_and_the_change_is_kept_beside_it() {
    let world = World::new().await;
    let (job_id, epoch) = going_on(&world, &[("price.py", "def price():\n    return 2\n")]).await;
    world.repository.branch("feature", &[("theirs.py", "theirs = 1\n")]).await;
    let theirs = world.repository.git(&["rev-parse", "feature"]).await;
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!(world.repository.git(&["rev-parse", "feature"]).await, theirs);
    let own = finalized.links.branch.unwrap();
    assert!(own.starts_with("codeteam/"), "{own}");
    assert_eq!(world.repository.git(&["show", &format!("{own}:price.py")]).await, THIRD.trim_end());
    let Outcome::Failed { cause } = &finalized.outcome else { panic!("{:?}", finalized.outcome) };
    assert!(cause.starts_with(&format!("feature has moved to {theirs} since this was begun, and nothing was overwritten")), "{cause}");
    assert!(comments(&world)[0]["body"].as_str().unwrap().contains("nothing was overwritten"));
    assert_eq!(world.pulls().len(), 1);
}

#[tokio::test]
async fn a_branch_that_is_gone_is_not_made_again() {
    let world = World::new().await;
    let (job_id, epoch) = going_on(&world, &[("price.py", "def price():\n    return 2\n")]).await;
    // The commit that it started from is still there, as after a merge.
    world.repository.git(&["update-ref", "refs/heads/main", "feature"]).await;
    world.repository.git(&["branch", "-D", "feature"]).await;
    let finalized = world.finalize(job_id, epoch, succeeded()).await.unwrap();
    let Outcome::Failed { cause } = &finalized.outcome else { panic!("{:?}", finalized.outcome) };
    assert!(cause.starts_with("feature is gone: the change is on the branch codeteam/"), "{cause}");
    assert_eq!(world.branches().await, [finalized.links.branch.unwrap()]);
}

#[tokio::test]
async fn what_may_be_changed_says_the_branch_that_it_is_merged_into_and_not_the_pull_request_itself() {
    let world = World::with(&[("price.py", "def price():\n    return 1\n"), (".codeteam.toml", "allowed_paths = [\"price.py\"]\n")]).await;
    let files = [("price.py", "def price():\n    return 2\n"), (".codeteam.toml", "allowed_paths = [\"**\"]\n")];
    let (job_id, epoch) = going_on(&world, &files).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!(world.repository.git(&["show", "feature:price.py"]).await, THIRD.trim_end());
    assert_eq!(world.repository.git(&["ls-tree", "--name-only", "feature"]).await, ".codeteam.toml\nprice.py");
    assert!(comments(&world)[0]["body"].as_str().unwrap().contains("`more.py`"));
}
