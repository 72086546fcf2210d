//! What the repository does not let a job change is not handed in, whatever the checkpoint holds.

use domain::{Kind, NewJob};
use store::steps::Prepared;

use crate::{FIXED, World, asked, succeeded};

#[tokio::test]
async fn what_may_not_be_changed_is_left_out_of_the_commit_and_named_in_the_pull_request() {
    let world = World::with(&[("price.py", "def price():\n    return 1\n"), (".codeteam.toml", "allowed_paths = [\"*.py\"]\n")]).await;
    let (job_id, epoch) = world.job(asked()).await;
    world.step_with(job_id, epoch, 1, &[("price.py", FIXED), ("ci/deploy.yml", "run: evil\n"), (".codeteam.toml", "")]).await;
    let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
    let branch = links.branch.unwrap();
    assert_eq!(world.repository.git(&["diff", "--name-only", "main", &branch]).await, "price.py");
    let body = world.pulls()[0]["body"].as_str().unwrap().to_owned();
    let note =
        "- left out, since `.codeteam.toml` of this repository allows only `*.py` to be changed: `.codeteam.toml`, `ci/deploy.yml`\n";
    assert!(body.contains(note) && body.contains("1 file, +1 −1."), "{body}");
}

#[tokio::test]
async fn a_job_of_which_nothing_may_be_handed_in_tells_so_where_it_was_asked() {
    let world = World::with(&[("price.py", "def price():\n    return 1\n"), (".codeteam.toml", "allowed_paths = oops\n")]).await;
    let (job_id, epoch) = world.changed(asked()).await;
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    assert_eq!((world.branches().await, world.pulls().len()), (vec![], 0));
    let body = world.comments()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("allows only `nothing` to be changed: `price.py`"), "{body}");
}

#[tokio::test]
async fn what_was_noted_when_the_job_was_prepared_reaches_the_person() {
    let world = World::new().await;
    let (job_id, epoch) = world.job(NewJob { kind: Kind::Question, ..asked() }).await;
    let notes = [".codeteam.toml, line 2, column 1: unknown key \"x\"".to_owned()];
    store::steps::prepared(
        &world.test.db,
        job_id,
        epoch,
        Prepared { base_commit: "c0ffee", notes: &notes, took: std::time::Duration::ZERO, ..Prepared::default() },
    )
    .await
    .unwrap();
    world.finalize(job_id, epoch, succeeded()).await.unwrap();
    let body = world.comments()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains(&format!("\n### Notes\n\n- {}\n", notes[0])), "{body}");
}

#[tokio::test]
async fn what_reaches_further_than_the_code_is_left_out_and_named_unless_the_repository_permits_it() {
    for (rules, handed_in) in [("", "price.py"), ("sensitive_changes = [\"workflows\"]\n", ".github/workflows/ci.yml\nprice.py")] {
        let world = World::with(&[("price.py", "def price():\n    return 1\n"), (".codeteam.toml", rules)]).await;
        let (job_id, epoch) = world.job(asked()).await;
        let files = [("price.py", FIXED), (".github/workflows/ci.yml", "on: push\n"), ("CODEOWNERS", "* @mallory\n")];
        world.step_with(job_id, epoch, 1, &files).await;
        let links = world.finalize(job_id, epoch, succeeded()).await.unwrap().links;
        assert_eq!(world.repository.git(&["diff", "--name-only", "main", &links.branch.unwrap()]).await, handed_in);
        let body = world.pulls()[0]["body"].as_str().unwrap().to_owned();
        assert!(body.contains("does not permit a job to change codeowners (sensitive_changes): `CODEOWNERS`\n"), "{body}");
        assert_eq!(body.contains("to change workflows"), rules.is_empty(), "{body}");
    }
}
