//! Pushing a branch.

use std::fs::File;
use std::time::Duration;

use git::{Checkout, CommitId, GitError, Identity};
use time::OffsetDateTime;

use crate::{World, plain_git, write, write_script};

async fn change(checkout: &Checkout, content: &str) -> CommitId {
    write(&checkout.workspace().join("new"), content);
    let tree = checkout.snapshot().await.unwrap().tree;
    let author = Identity { name: "Team".into(), email: "team@example.com".into() };
    checkout.commit(&tree, "change", &author, None, OffsetDateTime::UNIX_EPOCH).await.unwrap()
}

/// As if it had been left eleven seconds ago.
fn grow_old(lock: &File) {
    lock.set_modified(lock.metadata().unwrap().modified().unwrap() - Duration::from_secs(11)).unwrap();
}

/// A bare copy of the shop, as a forge has it.
async fn forge(world: &World) {
    plain_git(world.folder.path(), "clone -q --bare shop forge.git").await;
}

#[tokio::test]
async fn a_push_makes_a_branch_that_others_can_clone_and_may_be_repeated() {
    let world = World::new().await;
    forge(&world).await;
    let checkout = world.checkout("job").await;
    let (commit, remote) = (change(&checkout, "new\n").await, world.remote("forge.git"));
    assert_eq!(world.git.remote_branch(&remote, "codeteam/x").await.unwrap(), None);
    for _ in 0..2 {
        world.git.push(&checkout, &commit, &remote, "codeteam/x", &[]).await.unwrap();
        assert_eq!(world.git.remote_branch(&remote, "codeteam/x").await.unwrap(), Some(commit.clone()));
    }
    assert_eq!(world.git.remote_branch(&remote, "x").await.unwrap(), None, "the end of a name is not the name");
    plain_git(world.folder.path(), "clone -q -b codeteam/x forge.git copy").await;
    assert_eq!(std::fs::read_to_string(world.path("copy/new")).unwrap(), "new\n");
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_is_taken_away_when_it_is_old() {
    let world = World::new().await;
    forge(&world).await;
    let checkout = world.checkout("job").await;
    for (name, git_dir) in [("forge.git", "forge.git"), ("shop", "shop/.git")] {
        let (commit, remote) = (change(&checkout, "new\n").await, world.remote(name));
        let folder = world.path(git_dir).join("refs/heads/codeteam");
        std::fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("x.lock")).unwrap();
        let error = world.git.push(&checkout, &commit, &remote, "codeteam/x", &[]).await.unwrap_err();
        assert!(matches!(error, GitError::Rejected { .. }), "one that is young may be held: {error}");
        grow_old(&lock);
        File::create(folder.join("y.lock")).unwrap();
        world.git.push(&checkout, &commit, &remote, "codeteam/x", &[]).await.unwrap();
        assert_eq!(world.git.remote_branch(&remote, "codeteam/x").await.unwrap(), Some(commit));
        assert!(folder.join("y.lock").exists(), "no other lock is touched");
    }
}

#[tokio::test]
async fn a_branch_that_somebody_moved_is_never_overwritten() {
    let world = World::new().await;
    forge(&world).await;
    let checkout = world.checkout("job").await;
    let remote = world.remote("forge.git");
    let mine = change(&checkout, "mine\n").await;
    world.git.push(&checkout, &mine, &remote, "codeteam/x", &[]).await.unwrap();
    let theirs = plain_git(&world.path("forge.git"), &format!("commit-tree {mine}^{{tree}} -p {mine} -m theirs")).await;
    plain_git(&world.path("forge.git"), &format!("update-ref refs/heads/codeteam/x {theirs}")).await;
    for commit in [&mine, &change(&checkout, "again\n").await] {
        match world.git.push(&checkout, commit, &remote, "codeteam/x", &[]).await {
            Err(GitError::Conflict { branch, at, .. }) => assert_eq!((branch.as_str(), at.as_str()), ("codeteam/x", theirs.as_str())),
            other => panic!("{other:?}"),
        }
    }
    // Not even a fast-forward: the branch is not ours to go on with.
    let base = checkout.base().to_string();
    plain_git(&world.path("forge.git"), &format!("update-ref refs/heads/codeteam/y {base}")).await;
    let error = world.git.push(&checkout, &mine, &remote, "codeteam/y", &[]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("branch \"codeteam/y\" in {remote} is already at {base}"));
}

#[tokio::test]
async fn what_a_job_pushed_before_makes_room_for_what_it_pushes_now() {
    let world = World::new().await;
    forge(&world).await;
    let checkout = world.checkout("job").await;
    let remote = world.remote("forge.git");
    let (first, second, third) = (change(&checkout, "1\n").await, change(&checkout, "2\n").await, change(&checkout, "3\n").await);
    world.git.push(&checkout, &first, &remote, "codeteam/x", &[]).await.unwrap();
    let ours = [first.clone(), second.clone()];
    for _ in 0..2 {
        world.git.push(&checkout, &second, &remote, "codeteam/x", &ours).await.unwrap();
        assert_eq!(world.git.remote_branch(&remote, "codeteam/x").await.unwrap(), Some(second.clone()));
    }
    // The one that pushes now is killed while the branch is locked.
    let lock = File::create(world.path("forge.git/refs/heads/codeteam/x.lock")).unwrap();
    grow_old(&lock);
    let ours = [first.clone(), second.clone(), third.clone()];
    world.git.push(&checkout, &third, &remote, "codeteam/x", &ours).await.unwrap();
    // A worker of the time before, which knows of the first only.
    let error = world.git.push(&checkout, &second, &remote, "codeteam/x", &[first]).await.unwrap_err();
    assert!(matches!(&error, GitError::Conflict { at, .. } if *at == third), "{error}");
}

#[tokio::test]
async fn what_the_remotes_own_rules_forbid_is_told_in_its_words() {
    let world = World::new().await;
    forge(&world).await;
    plain_git(&world.path("forge.git"), "branch codeteam main").await;
    let checkout = world.checkout("job").await;
    let commit = change(&checkout, "new\n").await;
    let error = world.git.push(&checkout, &commit, &world.remote("forge.git"), "codeteam/x", &[]).await.unwrap_err();
    assert!(matches!(&error, GitError::Rejected { said, .. } if said.contains("refs/heads/codeteam")), "{error}");
    let error = world.git.push(&checkout, &commit, &world.remote("nowhere.git"), "codeteam/x", &[]).await.unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
    let error = world.git.push(&checkout, &commit, &world.remote("forge.git"), "--mirror", &[]).await.unwrap_err();
    assert!(matches!(error, GitError::Invalid { what: "branch", .. }), "{error}");
}

#[tokio::test]
async fn a_persons_own_repository_gets_a_branch_and_nothing_else_and_its_hooks_do_not_run() {
    let world = World::new().await;
    let shop = world.path("shop");
    for hook in ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"] {
        write_script(&shop.join(".git/hooks").join(hook), &format!("#!/bin/sh\necho {hook} >> {}\nexit 1\n", world.path("ran").display()));
    }
    write(&shop.join("README.md"), "being edited\n");
    let before = (plain_git(&shop, "status --porcelain").await, plain_git(&shop, "rev-parse HEAD").await);
    let checkout = world.checkout("job").await;
    let commit = change(&checkout, "new\n").await;
    world.git.push(&checkout, &commit, &world.remote("shop"), "codeteam/x", &[]).await.unwrap();
    assert!(!world.path("ran").exists());
    assert_eq!((plain_git(&shop, "status --porcelain").await, plain_git(&shop, "rev-parse HEAD").await), before);
    assert_eq!(plain_git(&shop, "rev-parse codeteam/x").await, commit.as_str());
}
