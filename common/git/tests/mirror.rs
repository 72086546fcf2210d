//! Fetching a remote into its mirror.

use std::fs;

use git::{Git, GitError, GitOptions, Remote};
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, plain_git, write, write_script};

#[tokio::test]
async fn a_mirror_knows_the_default_branch_and_follows_the_remote() {
    let world = World::new().await;
    let shop = world.path("shop");
    let mirror = world.mirror().await;
    assert_eq!(mirror.default_branch(), Some("main"));
    let first = mirror.resolve(None).await.unwrap();
    assert_eq!(first.as_str(), plain_git(&shop, "rev-parse HEAD").await);
    assert_eq!(mirror.resolve(Some("main")).await.unwrap(), first);

    plain_git(&shop, "checkout -q -b feature/x").await;
    write(&shop.join("new"), "new\n");
    let second = commit_all(&shop, "second").await;
    let mirror = world.mirror().await;
    assert_eq!(mirror.resolve(Some("feature/x")).await.unwrap().as_str(), second);
    assert_eq!(mirror.default_branch(), Some("feature/x"));

    plain_git(&shop, "checkout -q main").await;
    plain_git(&shop, "branch -q -D feature/x").await;
    plain_git(&shop, "branch -q feature").await;
    let mirror = world.mirror().await;
    assert_eq!(mirror.resolve(Some("feature")).await.unwrap(), first);
    let error = mirror.resolve(Some("feature/x")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no branch \"feature/x\" in {}", shop.display()));
}

#[tokio::test]
async fn a_detached_head_is_the_default_though_no_branch_has_it() {
    let world = World::new().await;
    let shop = world.path("shop");
    plain_git(&shop, "checkout -q --detach").await;
    write(&shop.join("new"), "new\n");
    let commit = commit_all(&shop, "detached").await;
    let mirror = world.mirror().await;
    assert_eq!(mirror.default_branch(), None);
    assert_eq!(mirror.resolve(None).await.unwrap().as_str(), commit);
}

#[tokio::test]
async fn a_head_without_commits_beside_real_branches_asks_for_a_branch() {
    let world = World::new().await;
    plain_git(&world.path("shop"), "symbolic-ref HEAD refs/heads/gone").await;
    let mirror = world.mirror().await;
    assert_eq!(mirror.default_branch(), None);
    let error = mirror.resolve(None).await.unwrap_err();
    assert!(error.to_string().starts_with("no commit on the default branch; name another branch in "), "{error}");
    mirror.resolve(Some("main")).await.unwrap();
}

#[tokio::test]
async fn a_repository_without_commits_and_one_that_is_not_there_are_told_apart() {
    let world = World::empty();
    fs::create_dir(world.path("new")).unwrap();
    plain_git(&world.path("new"), "init -q").await;
    let cancel = CancellationToken::new();
    let error = world.git.mirror(&world.remote("new"), &cancel).await.unwrap_err();
    assert!(matches!(error, GitError::Empty { .. }), "{error}");
    let error = world.git.mirror(&world.remote("missing"), &cancel).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no repository in {}", world.path("missing").display()));
    let closed: Remote = "http://127.0.0.1:1/x.git".parse().unwrap();
    let error = world.git.mirror(&closed, &cancel).await.unwrap_err();
    assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn many_may_fetch_at_once() {
    let world = World::new().await;
    let (one, two, three, four) = tokio::join!(world.mirror(), world.mirror(), world.mirror(), world.mirror());
    for mirror in [one, two, three, four] {
        mirror.resolve(None).await.unwrap();
    }
    assert_eq!(fs::read_dir(world.path("mirrors")).unwrap().count(), 2, "one mirror and its lock");
}

#[tokio::test]
async fn locks_of_a_killed_git_are_removed_when_they_are_old() {
    let world = World::new().await;
    world.mirror().await;
    let mirrors = fs::read_dir(world.path("mirrors")).unwrap().map(|entry| entry.unwrap().path());
    let mirror = mirrors.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "git")).unwrap();
    let lock = fs::File::create(mirror.join("refs/heads/main.lock")).unwrap();
    write(&world.path("shop/new"), "new\n");
    let commit = commit_all(&world.path("shop"), "second").await;
    let error = world.git.mirror(&world.remote("shop"), &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("main.lock"), "{error}");
    assert!(matches!(error, GitError::Io { .. }), "a young lock passes by itself, and uses up no attempt of a job: {error:?}");
    lock.set_modified(lock.metadata().unwrap().modified().unwrap() - std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(world.mirror().await.resolve(None).await.unwrap().as_str(), commit);
}

#[tokio::test]
async fn a_cancelled_fetch_says_so() {
    let world = World::new().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = world.git.mirror(&world.remote("shop"), &cancel).await.unwrap_err();
    assert!(matches!(error, GitError::Cancelled), "{error}");
}

#[tokio::test]
async fn a_machine_without_git_is_told_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::new(GitOptions::new(folder.path(), folder.path()));
    let error = git.version().await.unwrap_err();
    assert!(matches!(error, GitError::Missing(_)), "{error}");
    assert!(error.to_string().contains("apt-get install git"), "{error}");
    assert!(World::empty().git.version().await.unwrap().starts_with("2."));
}

#[tokio::test]
async fn a_password_reaches_git_by_a_descriptor_and_nowhere_else() {
    let world = World::empty();
    let script = "#!/bin/sh\n{ echo \"$@\"; env; } > SEEN\nfor arg; do case $arg in *--file=*) file=${arg#*--file=}; cp \"${file%% *}\" SECRET;; esac; done\nexit 1\n";
    let script =
        script.replace("SEEN", &world.path("seen").display().to_string()).replace("SECRET", &world.path("secret").display().to_string());
    write_script(&world.path("spy"), &script);
    let options = GitOptions { program: world.path("spy"), ..GitOptions::new(PATH, world.path("the mirrors")) };
    let remote: Remote = "https://bot:hunter2@example.com/acme/shop.git".parse().unwrap();
    let error = Git::new(options).mirror(&remote, &CancellationToken::new()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let seen = fs::read_to_string(world.path("seen")).unwrap();
    assert!(seen.contains("https://example.com/acme/shop.git") && !seen.contains("hunter2"), "{seen}");
    assert_eq!(fs::read_to_string(world.path("secret")).unwrap(), "https://bot:hunter2@example.com\n");
    assert_eq!(fs::read_dir(world.path("the mirrors")).map_or(0, Iterator::count), 0, "nothing was written");
}
