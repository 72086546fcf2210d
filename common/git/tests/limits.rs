//! Repositories that are too large: each limit says its name and what to do, and nothing half-made is left.

use std::fs;

use git::{Checkout, Git, GitError, GitOptions, RepositoryLimits};
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, listing, write};

fn git(world: &World, limits: RepositoryLimits) -> Git {
    Git::new(GitOptions { limits, ..GitOptions::new(PATH, world.path("mirrors")) })
}

async fn create(world: &World, limits: RepositoryLimits) -> Result<Checkout, GitError> {
    let cancel = CancellationToken::new();
    let mirror = git(world, limits).mirror(&world.remote("shop"), &cancel).await?;
    let base = mirror.resolve(None).await?;
    Checkout::create(&mirror, &base, &world.path("job"), &cancel).await
}

fn noise() -> String {
    (0..20_000_u64).map(|number| format!("{:016x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

#[tokio::test]
async fn a_mirror_that_grows_too_large_is_not_kept() {
    let world = World::new().await;
    // Many small files: no single one is over the limit, all of them together are.
    for number in 0..40 {
        write(&world.path("shop").join(format!("{number}.txt")), &noise()[number * 4_000..(number + 1) * 4_000]);
    }
    commit_all(&world.path("shop"), "many").await;
    let limits = RepositoryLimits { mirror_bytes: 30_000, ..RepositoryLimits::default() };
    let error = create(&world, limits).await.unwrap_err().to_string();
    let shop = world.path("shop");
    let expected = format!(
        "the mirror of {} has more than 30000 bytes, the limit MIRROR_MAX_BYTES: raise it on workers that have the room",
        shop.display()
    );
    assert_eq!(error, expected);
    let left: Vec<_> = fs::read_dir(world.path("mirrors")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".lock")), "{left:?}");
    create(&world, RepositoryLimits::default()).await.unwrap();
}

#[tokio::test]
async fn a_fetch_ends_when_it_would_fill_the_disk_and_a_mirror_that_was_there_stays() {
    let world = World::new().await;
    let limits = RepositoryLimits { mirror_bytes: 100_000, ..RepositoryLimits::default() };
    create(&world, limits).await.unwrap();
    write(&world.path("shop/noise.txt"), &noise());
    commit_all(&world.path("shop"), "large").await;
    let error = create(&world, limits).await.unwrap_err();
    assert!(matches!(&error, GitError::OverLimit { limit, .. } if limit.setting == "MIRROR_MAX_BYTES"), "{error}");
    create(&world, RepositoryLimits::default()).await.unwrap();
}

#[tokio::test]
async fn a_commit_with_too_many_files_or_one_that_is_too_large_is_not_checked_out() {
    let world = World::new().await;
    let error = create(&world, RepositoryLimits { files: 2, ..RepositoryLimits::default() }).await.unwrap_err().to_string();
    assert!(error.ends_with(" has more than 2 files, the limit CHECKOUT_MAX_FILES: raise it on workers that have the room"), "{error}");
    let error = create(&world, RepositoryLimits { file_bytes: 20, ..RepositoryLimits::default() }).await.unwrap_err().to_string();
    let expected = "src/price.py has more than 20 bytes, the limit FILE_MAX_BYTES: take the file out of the repository (Git LFS keeps such \
                    files elsewhere), or raise it";
    assert_eq!(error, expected);
    assert!(!world.path("job/workspace").exists());
}

#[tokio::test]
async fn files_that_became_too_large_are_left_out_and_named() {
    let world = World::new().await;
    let checkout = create(&world, RepositoryLimits { file_bytes: 1_000, ..RepositoryLimits::default() }).await.unwrap();
    write(&checkout.workspace().join("new.bin"), &"x".repeat(1_001));
    write(&checkout.workspace().join("README.md"), &"x".repeat(2_000));
    write(&checkout.workspace().join("src/price.py"), &"x".repeat(1_000));
    let snapshot = checkout.snapshot().await.unwrap();
    assert_eq!(snapshot.left_out, ["README.md (larger than 1000 bytes)", "new.bin (larger than 1000 bytes)"]);
    assert_eq!(listing(&world.path("job"), &snapshot.tree).await, ["100644|.gitignore", "100644|README.md", "100644|src/price.py"]);
    let stat = checkout.stat(&snapshot.tree).await.unwrap();
    assert_eq!(stat.files, 1, "of README.md the base's version is kept");
}

#[tokio::test]
async fn a_workspace_with_too_many_files_and_a_checkpoint_that_is_too_large_are_errors() {
    let world = World::new().await;
    let checkout = create(&world, RepositoryLimits { files: 5, ..RepositoryLimits::default() }).await.unwrap();
    for number in 0..4 {
        write(&checkout.workspace().join(number.to_string()), "x");
    }
    let error = checkout.snapshot().await.unwrap_err().to_string();
    assert!(error.starts_with("the workspace has more than 5 files, the limit CHECKOUT_MAX_FILES"), "{error}");

    let checkout = create(&world, RepositoryLimits { pack_bytes: 10_000, ..RepositoryLimits::default() }).await.unwrap();
    write(&checkout.workspace().join("noise.txt"), &noise());
    let error = checkout.checkpoint().await.unwrap_err().to_string();
    let expected = "the checkpoint has more than 10000 bytes, the limit CHECKPOINT_MAX_BYTES: let .gitignore name what is built or \
                    downloaded, or raise it";
    assert_eq!(error, expected);
}
