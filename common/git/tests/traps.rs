//! Traps planted in a workspace: nothing of them runs, nothing outside is read or written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use git::Identity;
use process::{Command, run};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, listing, plain_git, write, write_script};

const HOOKS: &[&str] = &[
    "applypatch-msg",
    "pre-commit",
    "commit-msg",
    "post-commit",
    "pre-push",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "post-rewrite",
    "pre-auto-gc",
    "post-index-change",
    "reference-transaction",
    "fsmonitor-watchman",
    "prepare-commit-msg",
    "pre-merge-commit",
];

/// Fills a repository's `.git` with everything known to make git run something.
fn plant(git_dir: &Path, trap: &Path, outside: &Path) {
    let trap = trap.display();
    for hook in HOOKS {
        write_script(&git_dir.join("hooks").join(hook), &format!("#!/bin/sh\nexec {trap} hook-{hook}\n"));
    }
    let config = format!(
        "[core]\n\tfsmonitor = {trap} fsmonitor\n\tsshCommand = {trap} ssh\n\tpager = {trap} pager\n\teditor = {trap} editor\n\
         \talternateRefsCommand = {trap} alternates\n\tgitProxy = {trap} proxy\n\
         [filter \"evil\"]\n\tclean = {trap} clean\n\tsmudge = {trap} smudge\n\tprocess = {trap} process\n\trequired = true\n\
         [diff \"evil\"]\n\tcommand = {trap} diff\n\ttextconv = {trap} textconv\n[diff]\n\texternal = {trap} external\n\
         [merge \"evil\"]\n\tdriver = {trap} merge\n[gpg]\n\tprogram = {trap} gpg\n[commit]\n\tgpgSign = true\n\
         [credential]\n\thelper = !{trap} credential\n[uploadpack]\n\tpackObjectsHook = {trap} pack\n\
         [include]\n\tpath = {}/included\n",
        outside.display()
    );
    let existing = fs::read_to_string(git_dir.join("config")).unwrap();
    fs::write(git_dir.join("config"), existing + &config).unwrap();
}

#[tokio::test]
async fn nothing_that_is_planted_in_a_workspace_runs() {
    let world = World::new().await;
    let shop = world.path("shop");
    let id = plain_git(&shop, "rev-parse HEAD").await;
    plain_git(&shop, &format!("update-index --add --cacheinfo 160000,{id},vendor/lib")).await;
    plain_git(&shop, "commit -q -m submodule").await;

    let (outside, canary, trap) = (world.path("outside"), world.path("canary"), world.path("trap"));
    write(&outside.join("secret"), "the secret\n");
    write(&outside.join(".gitignore"), "README.md\n");
    write_script(&trap, &format!("#!/bin/sh\necho \"$1\" >> {}\ncat\n", canary.display()));
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    for nested in ["vendor/lib", "nested"] {
        let nested = workspace.join(nested);
        write(&nested.join(".gitattributes"), "* filter=evil diff=evil\n");
        write(&nested.join("file"), "x\n");
        plain_git(&nested, "init -q").await;
        commit_all(&nested, "nested").await;
        plant(&nested.join(".git"), &trap, &outside);
        write(&nested.join("file"), "changed\n");
    }
    plant(&workspace.join(".git"), &trap, &outside);
    write(&workspace.join(".gitattributes"), "* filter=evil diff=evil merge=evil\n");
    write(
        &workspace.join(".gitmodules"),
        &format!("[submodule \"x\"]\n\tpath = vendor/lib\n\turl = ext::{} sub\n\tupdate = !{} sub\n", trap.display(), trap.display()),
    );
    write(&workspace.join("src/price.py"), "changed\n");

    for _ in 0..2 {
        let checkpoint = checkout.checkpoint().await.unwrap();
        checkout.diff(&checkpoint.tree).await.unwrap();
        checkout.stat(&checkpoint.tree).await.unwrap();
        checkout.read_base_file("README.md", 100).await.unwrap();
        let author = Identity { name: "Team".into(), email: "team@example.com".into() };
        let commit = checkout.commit(&checkpoint.tree, "change", &author, None, OffsetDateTime::UNIX_EPOCH).await.unwrap();
        world.git.push(&checkout, &commit, &world.remote("shop"), "codeteam/x", &[]).await.unwrap();
    }
    let checkpoint = checkout.checkpoint().await.unwrap();
    assert!(!canary.exists(), "ran: {}", fs::read_to_string(&canary).unwrap());

    // The traps are real: a plain git walks into them.
    let command = Command::new("git").args(["add", "-A"]).cwd(workspace).path(PATH);
    run(command, &CancellationToken::new()).await.unwrap();
    let ran = fs::read_to_string(&canary).unwrap();
    assert!(ran.contains("fsmonitor") && ran.contains("process"), "{ran}");
    fs::remove_file(&canary).unwrap();

    checkout.restore(&checkpoint.tree, &checkpoint.pack).await.unwrap();
    assert!(!canary.exists(), "ran: {}", fs::read_to_string(&canary).unwrap());
    assert!(!workspace.join("nested").exists());
}

#[tokio::test]
async fn links_and_redirections_lead_nowhere() {
    let world = World::new().await;
    let outside = world.path("outside");
    write(&outside.join("secret"), "the secret\n");
    write(&outside.join("patterns"), "README.md\n");
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    symlink(&outside, workspace.join("link")).unwrap();
    fs::remove_dir_all(workspace.join("src")).unwrap();
    symlink(&outside, workspace.join("src")).unwrap();
    write(&outside.join("price.py"), "not in the repository\n");
    fs::remove_file(workspace.join(".gitignore")).unwrap();
    symlink(outside.join("patterns"), workspace.join(".gitignore")).unwrap();
    let config = workspace.join(".git/config");
    let redirected = fs::read_to_string(&config).unwrap()
        + &format!("[core]\n\tworktree = {}\n\texcludesFile = {}/patterns\n", outside.display(), outside.display());
    fs::write(config, redirected).unwrap();
    let checkpoint = checkout.checkpoint().await.unwrap();
    let expected = ["120000|.gitignore", "100644|README.md", "120000|link", "120000|src"];
    assert_eq!(listing(&world.path("job"), &checkpoint.tree).await, expected);

    // The workspace itself and its `.git` become links: they are replaced, what they point to stays.
    fs::remove_dir_all(workspace).unwrap();
    symlink(&outside, workspace).unwrap();
    checkout.restore(&checkpoint.tree, &checkpoint.pack).await.unwrap();
    assert!(!workspace.symlink_metadata().unwrap().is_symlink());
    checkout.restore(checkout.base_tree(), &[]).await.unwrap();
    assert!(workspace.join("src/price.py").exists());
    let mut left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["patterns", "price.py", "secret"]);
    assert_eq!(fs::read_to_string(outside.join("price.py")).unwrap(), "not in the repository\n");
}

#[tokio::test]
async fn a_git_file_that_points_elsewhere_is_not_followed() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let other = world.checkout("other").await;
    fs::remove_dir_all(checkout.workspace().join(".git")).unwrap();
    write(&checkout.workspace().join(".git"), &format!("gitdir: {}\n", other.workspace().join(".git").display()));
    write(&checkout.workspace().join("new"), "new\n");
    checkout.checkpoint().await.unwrap();
    assert_eq!(plain_git(other.workspace(), "status --porcelain").await, "");
}
