//! Checkpoints, diffs and commits.

use std::fs;
use std::os::unix::fs::symlink;

use git::{Checkout, Checkpoint, DiffStat, Git, GitError, GitOptions, Identity};
use time::macros::datetime;
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, plain_git, write, write_script};

fn team() -> Identity {
    Identity { name: "AI Code Team".into(), email: "team@example.com".into() }
}

#[tokio::test]
async fn a_checkpoint_restores_the_identical_tree_on_another_machine() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    fs::remove_file(workspace.join("README.md")).unwrap();
    write(&workspace.join("src/price.py"), "def price():\n    return 2\n");
    write_script(&workspace.join("bin/run"), "#!/bin/sh\n");
    symlink("src/price.py", workspace.join("link")).unwrap();
    let Checkpoint { tree, pack, left_out } = checkout.checkpoint().await.unwrap();
    assert_eq!(left_out, Vec::<String>::new());

    let elsewhere = Git::new(GitOptions::new(PATH, world.path("other-mirrors")));
    let mirror = elsewhere.mirror(&world.remote("shop"), &CancellationToken::new()).await.unwrap();
    let other = Checkout::create(&mirror, checkout.base(), &world.path("other-job"), &CancellationToken::new()).await.unwrap();
    write(&other.workspace().join("build/ignored"), "gone after restore\n");
    write(&other.workspace().join("untracked"), "gone after restore\n");
    other.restore(&tree, &pack).await.unwrap();
    assert_eq!(other.checkpoint().await.unwrap().tree, tree);
    assert!(!other.workspace().join("build").exists() && !other.workspace().join("untracked").exists());
    assert_eq!(fs::read_link(other.workspace().join("link")).unwrap().to_str(), Some("src/price.py"));
    let status = plain_git(other.workspace(), "status --porcelain").await;
    assert_eq!(status, " D README.md\n M src/price.py\n?? bin/\n?? link");
}

#[tokio::test]
async fn a_pack_holds_the_difference_and_nothing_when_there_is_none() {
    let world = World::new().await;
    let lines: String = (0..50_000_u64).map(|line| format!("{:x}\n", line.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    write(&world.path("shop/big.txt"), &lines);
    commit_all(&world.path("shop"), "big").await;
    let checkout = world.checkout("job").await;
    assert_eq!(checkout.checkpoint().await.unwrap(), Checkpoint { tree: checkout.base_tree().clone(), pack: vec![], left_out: vec![] });
    write(&checkout.workspace().join("big.txt"), &format!("{lines}one more\n"));
    let pack = checkout.checkpoint().await.unwrap().pack;
    assert!((1..2000).contains(&pack.len()), "{} bytes for one line", pack.len());
}

#[tokio::test]
async fn restoring_the_base_needs_no_pack() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("README.md"), "changed\n");
    checkout.restore(checkout.base_tree(), &[]).await.unwrap();
    assert_eq!(fs::read_to_string(checkout.workspace().join("README.md")).unwrap(), "# Shop\n");
}

#[tokio::test]
async fn a_damaged_or_missing_pack_is_an_error() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("new"), "new\n");
    let Checkpoint { tree, mut pack, .. } = checkout.checkpoint().await.unwrap();
    let other = world.checkout("other").await;
    let middle = pack.len() / 2;
    pack[middle] ^= 0xff;
    assert!(matches!(other.restore(&tree, &pack).await, Err(GitError::Failed { .. })));
    assert!(matches!(other.restore(&tree, &[]).await, Err(GitError::Failed { .. })));
}

#[tokio::test]
async fn a_diff_is_counted_and_can_be_applied() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("src/price.py"), "def price():\n    return 2\n    # done\n");
    fs::rename(checkout.workspace().join("README.md"), checkout.workspace().join("READ ME.md")).unwrap();
    fs::write(checkout.workspace().join("binary"), [0, 159, 146, 150]).unwrap();
    let tree = checkout.snapshot().await.unwrap().tree;
    assert_eq!(checkout.stat(&tree).await.unwrap(), DiffStat { files: 3, added: 2, removed: 1 });
    let diff = checkout.diff(&tree).await.unwrap();
    assert!(diff.contains("-    return 1\n+    return 2\n+    # done\n") && diff.contains("rename to READ ME.md"), "{diff}");
    assert_eq!(checkout.diff(checkout.base_tree()).await.unwrap(), "");
    assert_eq!(checkout.stat(checkout.base_tree()).await.unwrap(), DiffStat::default());
    fs::remove_file(checkout.workspace().join("binary")).unwrap();
    let text_only = checkout.snapshot().await.unwrap().tree;
    write(&world.path("a.diff"), &checkout.diff(&text_only).await.unwrap());
    plain_git(&world.path("shop"), &format!("apply --check {}", world.path("a.diff").display())).await;
}

#[tokio::test]
async fn the_same_commit_is_made_twice() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("new"), "new\n");
    let tree = checkout.snapshot().await.unwrap().tree;
    let ana = Identity { name: "Ana".into(), email: "ana@example.com".into() };
    let commit =
        async || checkout.commit(&tree, "Fix it\n\nBecause.", &team(), Some(&ana), datetime!(2026-01-02 03:04:05 UTC)).await.unwrap();
    let first = commit().await;
    assert_eq!(commit().await, first);
    let shown = plain_git(&world.path("job/trusted.git"), &format!("show -s --format=%an|%ae|%at|%cn|%ct|%P|%B {first}")).await;
    let base = checkout.base();
    let expected = format!(
        "AI Code Team|team@example.com|1767323045|AI Code Team|1767323045|{base}|Fix it\n\nBecause.\n\nCo-authored-by: Ana <ana@example.com>"
    );
    assert_eq!(shown.trim_end(), expected);
    let forged = Identity { name: "A\nB".into(), ..team() };
    assert!(matches!(checkout.commit(&tree, "x", &forged, None, datetime!(2026-01-01 0:00 UTC)).await, Err(GitError::Invalid { .. })));
}
