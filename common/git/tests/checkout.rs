//! Checkouts and snapshots.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use git::{Checkout, Git, GitError, GitOptions, Snapshot};
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, listing, plain_git, write, write_script};

#[tokio::test]
async fn an_untouched_workspace_is_the_base_tree_and_can_be_opened_again() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    assert_eq!(fs::read_to_string(checkout.workspace().join("README.md")).unwrap(), "# Shop\n");
    let expected = Snapshot { tree: checkout.base_tree().clone(), left_out: vec![] };
    assert_eq!(checkout.snapshot().await.unwrap(), expected);
    let again = Checkout::open(&world.git, &world.path("job")).await.unwrap().unwrap();
    assert_eq!((again.base(), again.base_tree(), again.workspace()), (checkout.base(), checkout.base_tree(), checkout.workspace()));
    assert_eq!(again.snapshot().await.unwrap(), expected);
    assert!(Checkout::open(&world.git, &world.path("other")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_half_made_checkout_is_none_and_is_replaced() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("left over"), "x");
    fs::remove_file(world.path("job/trusted.git/base")).unwrap();
    assert!(Checkout::open(&world.git, &world.path("job")).await.unwrap().is_none());
    let checkout = world.checkout("job").await;
    assert_eq!(checkout.snapshot().await.unwrap().tree, *checkout.base_tree());
}

#[tokio::test]
async fn a_snapshot_has_what_a_person_would_commit() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    fs::remove_file(workspace.join("README.md")).unwrap();
    fs::remove_dir_all(workspace.join("src")).unwrap();
    write(&workspace.join("src"), "a file where a folder was\n");
    write(&workspace.join("debug.log"), "ignored\n");
    write(&workspace.join("build/output"), "ignored\n");
    write(&workspace.join("new/ä file\nwith \"all\".txt"), "new\n");
    write_script(&workspace.join("run.sh"), "#!/bin/sh\n");
    symlink("nowhere/at/all", workspace.join("link")).unwrap();
    let Snapshot { tree, left_out } = checkout.snapshot().await.unwrap();
    assert_eq!(left_out, Vec::<String>::new());
    let expected =
        ["100644|.gitignore", "120000|link", "100644|\"new/\\303\\244 file\\nwith \\\"all\\\".txt\"", "100755|run.sh", "100644|src"];
    assert_eq!(listing(&world.path("job"), &tree).await, expected);
}

#[tokio::test]
async fn an_edit_of_the_same_size_in_the_same_second_is_seen() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let file = checkout.workspace().join("src/price.py");
    let mut trees = std::collections::HashSet::new();
    for digit in 2..8 {
        write(&file, &format!("def price():\n    return {digit}\n"));
        trees.insert(checkout.snapshot().await.unwrap().tree);
    }
    assert_eq!(trees.len(), 6);
}

#[tokio::test]
async fn repositories_within_the_repository_are_left_out_and_named() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    for name in ["with-commit", "without-commit"] {
        let nested = checkout.workspace().join("deep").join(name);
        write(&nested.join("file"), "x\n");
        plain_git(&nested, "init -q").await;
        if name == "with-commit" {
            commit_all(&nested, "nested").await;
        }
    }
    write(&checkout.workspace().join("deep/beside"), "kept\n");
    for _ in 0..2 {
        let Snapshot { tree, mut left_out } = checkout.snapshot().await.unwrap();
        left_out.sort();
        assert_eq!(left_out, ["deep/with-commit", "deep/without-commit"]);
        let expected = ["100644|.gitignore", "100644|README.md", "100644|deep/beside", "100644|src/price.py"];
        assert_eq!(listing(&world.path("job"), &tree).await, expected);
    }
}

#[tokio::test]
async fn submodules_of_the_base_stay_as_they_are_whatever_is_put_there() {
    let world = World::new().await;
    let shop = world.path("shop");
    let id = plain_git(&shop, "rev-parse HEAD").await;
    plain_git(&shop, &format!("update-index --add --cacheinfo 160000,{id},vendor/lib")).await;
    plain_git(&shop, "commit -q -m submodule").await;
    let checkout = world.checkout("job").await;
    assert_eq!(checkout.snapshot().await.unwrap().tree, *checkout.base_tree());
    let nested = checkout.workspace().join("vendor/lib");
    write(&nested.join("file"), "x\n");
    plain_git(&nested, "init -q").await;
    commit_all(&nested, "elsewhere").await;
    let expected = Snapshot { tree: checkout.base_tree().clone(), left_out: vec!["vendor/lib".into()] };
    assert_eq!(checkout.snapshot().await.unwrap(), expected);
    fs::remove_dir_all(&nested).unwrap();
    assert_eq!(checkout.snapshot().await.unwrap().tree, *checkout.base_tree());
    assert_eq!(plain_git(checkout.workspace(), "status --porcelain").await, " D vendor/lib");
}

#[tokio::test]
async fn the_agents_own_git_shows_its_changes_and_the_history() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    assert_eq!(plain_git(checkout.workspace(), "status --porcelain").await, "");
    assert_eq!(plain_git(checkout.workspace(), "log --format=%s").await, "first");
    write(&checkout.workspace().join("README.md"), "# Store\n");
    assert!(plain_git(checkout.workspace(), "diff").await.contains("+# Store"));
    plain_git(checkout.workspace(), "commit -q -a -m mine").await;
    assert_ne!(checkout.snapshot().await.unwrap().tree, *checkout.base_tree());
    fs::remove_dir_all(checkout.workspace().join(".git")).unwrap();
    assert_ne!(checkout.snapshot().await.unwrap().tree, *checkout.base_tree(), "its loss does not matter");
}

#[tokio::test]
async fn files_are_read_from_the_base_and_not_from_the_workspace() {
    let world = World::new().await;
    let shop = world.path("shop");
    write(&shop.join("AGENTS.md"), "be kind\n");
    symlink("AGENTS.md", shop.join("CLAUDE.md")).unwrap();
    symlink("/etc/passwd", shop.join("outside")).unwrap();
    commit_all(&shop, "agents").await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("AGENTS.md"), "obey the planted text\n");
    let read = async |path: &str| checkout.read_base_file(path, 8).await;
    assert_eq!(read("AGENTS.md").await.unwrap(), Some(b"be kind\n".to_vec()));
    assert_eq!(read("CLAUDE.md").await.unwrap(), Some(b"be kind\n".to_vec()));
    for path in ["missing", "src", "outside", "../shop/README.md", "/etc/passwd", "a\nb", ""] {
        assert_eq!(read(path).await.unwrap(), None, "{path:?}");
    }
    let error = checkout.read_base_file("AGENTS.md", 7).await.unwrap_err();
    assert_eq!(error.to_string(), "AGENTS.md has more than 7 bytes");
}

#[tokio::test]
async fn a_base_that_the_mirror_does_not_have_is_an_error() {
    let world = World::new().await;
    let (mirror, base) = (world.mirror().await, "0123456789012345678901234567890123456789".parse().unwrap());
    let error = Checkout::create(&mirror, &base, &world.path("job"), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, GitError::Failed { .. }), "{error}");
}

#[tokio::test]
async fn sha256_and_shallow_repositories_work_like_others() {
    let world = World::new().await;
    write(&world.path("shop/second"), "2\n");
    commit_all(&world.path("shop"), "second").await;
    plain_git(world.folder.path(), &format!("clone -q --depth 1 file://{} shallow", world.path("shop").display())).await;
    fs::create_dir(world.path("long")).unwrap();
    plain_git(&world.path("long"), "init -q -b main --object-format=sha256").await;
    write(&world.path("long/file"), "x\n");
    commit_all(&world.path("long"), "first").await;
    for name in ["shallow", "long"] {
        let cancel = CancellationToken::new();
        let mirror = world.git.mirror(&world.remote(name), &cancel).await.unwrap();
        let base = mirror.resolve(None).await.unwrap();
        let checkout = Checkout::create(&mirror, &base, &world.path(&format!("{name}-job")), &cancel).await.unwrap();
        write(&checkout.workspace().join("new"), "new\n");
        let checkpoint = checkout.checkpoint().await.unwrap();
        let author = git::Identity { name: "Team".into(), email: "team@example.com".into() };
        let commit = checkout.commit(&checkpoint.tree, "change", &author, None, time::OffsetDateTime::UNIX_EPOCH).await.unwrap();
        world.git.push(&checkout, &commit, &world.remote(name), "codeteam/x", &[]).await.unwrap();
        assert_eq!(plain_git(&world.path(name), "show codeteam/x:new").await, "new", "{name}");
        plain_git(checkout.workspace(), "status").await;
    }
}

#[tokio::test]
async fn the_number_of_processes_is_what_the_documentation_says() {
    let world = World::new().await;
    let count = world.path("count");
    write_script(&world.path("git"), &format!("#!/bin/sh\necho >> {}\nexec git \"$@\"\n", count.display()));
    let git = Git::new(GitOptions { program: world.path("git"), ..GitOptions::new(PATH, world.path("mirrors")) });
    let spent = || {
        let lines = fs::read_to_string(&count).unwrap_or_default().len();
        fs::write(&count, "").unwrap();
        lines
    };
    let cancel = CancellationToken::new();
    let mirror = git.mirror(&world.remote("shop"), &cancel).await.unwrap();
    assert_eq!(spent(), 2, "mirror");
    let base = mirror.resolve(None).await.unwrap();
    assert_eq!(spent(), 1, "resolve");
    let checkout = Checkout::create(&mirror, &base, &world.path("job"), &cancel).await.unwrap();
    assert_eq!(spent(), 3, "create");
    checkout.checkpoint().await.unwrap();
    assert_eq!(spent(), 2, "checkpoint of nothing");
    write(&checkout.workspace().join("new"), "new\n");
    checkout.snapshot().await.unwrap();
    assert_eq!(spent(), 2, "snapshot");
    let checkpoint = checkout.checkpoint().await.unwrap();
    assert_eq!(spent(), 4, "checkpoint");
    checkout.restore(&checkpoint.tree, &checkpoint.pack).await.unwrap();
    assert_eq!(spent(), 2, "restore");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_left_out_and_named() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let secret = checkout.workspace().join("secret");
    write(&secret, "x\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = fs::read(&secret).is_ok(); // Root reads everything.
    let Snapshot { tree, left_out } = checkout.snapshot().await.unwrap();
    assert_eq!(listing(&world.path("job"), &tree).await.contains(&"100644|secret".to_owned()), readable);
    assert_eq!(left_out == ["secret"], !readable);
}
