//! Repositories and workspaces that try to be more than files. Each trap has a control that walks into it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use git::{Checkout, GitError};
use process::{Command, Output, run};
use tokio_util::sync::CancellationToken;

use crate::{PATH, World, commit_all, listing, plain_git, write, write_script};

/// git as a person would run it, whatever comes of it.
async fn careless(directory: &Path, args: &[&str], input: &[u8]) -> Output {
    let command = Command::new("git").args(args.iter().copied()).cwd(directory).path(PATH).stdin(input);
    let command = command.timeout(Duration::from_secs(10)).env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", directory);
    run(command, &CancellationToken::new()).await.unwrap()
}

/// A commit whose tree has a folder `name` with a file `config`, as no git would make it.
async fn commit_of(shop: &Path, name: &str) -> String {
    let make = async |args: &[&str], input: String| {
        let made = careless(shop, args, input.as_bytes()).await;
        assert!(made.exit.success(), "{}", made.stderr_text());
        made.stdout_text().trim().to_owned()
    };
    let blob = make(&["hash-object", "-w", "--stdin"], "[core]\n".to_owned()).await;
    let inner = make(&["mktree", "-z"], format!("100644 blob {blob}\tconfig\0")).await;
    let outer = make(&["mktree", "-z"], format!("040000 tree {inner}\t{name}\0")).await;
    let who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com"];
    make(&[&who[..], &["commit-tree", &outer, "-m", "hostile"]].concat(), String::new()).await
}

#[tokio::test]
async fn a_repository_cannot_bring_a_git_folder_whatever_it_calls_it() {
    let world = World::new().await;
    let shop = world.path("shop");
    for (name, plain_git_takes_it) in
        [(".git", false), (".GIT", false), (".giT", false), ("..", false), ("git~1", false), (".git ", false), (".g\u{200c}it", true)]
    {
        let commit = commit_of(&shop, name).await;
        plain_git(&shop, &format!("update-ref refs/heads/hostile {commit}")).await;
        let mirror = world.mirror().await;
        let base = mirror.resolve(Some("hostile")).await.unwrap();
        let error = Checkout::create(&mirror, &base, &world.path("job"), &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(&error, GitError::Failed { said, .. } if said.contains("invalid path")), "{name:?}: {error}");
        assert!(!world.path("job/workspace").join(name).join("config").exists() && !world.path("job/config").exists(), "{name:?}");

        let control = world.path("control");
        let options = ["-c", "core.protectNTFS=false", "-c", "core.protectHFS=false"];
        fs::create_dir_all(&control).unwrap();
        let git_dir = format!("--git-dir={}", shop.join(".git").display());
        let read = [&options[..], &[&git_dir, "--work-tree=.", "read-tree", "--index-output=index", "--reset", "-u", &commit]].concat();
        let read = careless(&control, &read, b"").await;
        let takes = plain_git_takes_it || ["git~1", ".git "].contains(&name);
        assert_eq!(read.exit.success(), takes, "{name:?}: {}", read.stderr_text());
        assert_eq!(control.join(name).join("config").exists() && name != "..", takes, "{name:?}");
    }
}

#[tokio::test]
async fn names_that_pass_for_gits_own_are_left_out_and_hold_nothing_up() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    for path in [".GIT/config", "sub/.Git/config", "git~1/config", ".g\u{200c}it/config"] {
        write(&workspace.join(path), "[core]\n");
    }
    // Nothing is special about a letter without its dot.
    write(&workspace.join(".g\u{131}t/config"), "[core]\n");
    write(&workspace.join("new.txt"), "new\n");
    let snapshot = checkout.snapshot().await.unwrap();
    let mut left_out = snapshot.left_out.clone();
    left_out.sort();
    assert_eq!(left_out, [".GIT/config", ".g\u{200c}it/config", "git~1/config", "sub/.Git/config"]);
    let listed = listing(&world.path("job"), &snapshot.tree).await;
    assert_eq!(listed.len(), 5, "{listed:?}");
    assert!(listed.contains(&"100644|new.txt".to_owned()), "{listed:?}");
    // A careless git gives up.
    let control = careless(workspace, &["add", "-A"], b"").await;
    assert!(!control.exit.success() && control.stderr_text().contains("invalid path"), "{}", control.stderr_text());
}

#[tokio::test]
async fn hard_links_lead_nowhere() {
    let world = World::new().await;
    let (outside, readme) = (world.path("outside"), "README.md");
    write(&outside.join("file"), "outside\n");
    write(&outside.join("index"), "outside\n");
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    fs::remove_file(workspace.join(readme)).unwrap();
    fs::hard_link(outside.join("file"), workspace.join(readme)).unwrap();
    fs::remove_file(workspace.join(".git/index")).unwrap();
    fs::hard_link(outside.join("index"), workspace.join(".git/index")).unwrap();
    let checkpoint = checkout.checkpoint().await.unwrap();
    checkout.restore(checkout.base_tree(), &[]).await.unwrap();
    assert_eq!(fs::read_to_string(workspace.join(readme)).unwrap(), "# Shop\n");
    checkout.restore(&checkpoint.tree, &checkpoint.pack).await.unwrap();
    for name in ["file", "index"] {
        assert_eq!(fs::read_to_string(outside.join(name)).unwrap(), "outside\n");
        assert_eq!(fs::metadata(outside.join(name)).unwrap().nlink(), 1, "its other name was removed, not written through");
    }
    // Whoever writes in place writes outside.
    fs::remove_file(workspace.join(readme)).unwrap();
    fs::hard_link(outside.join("file"), workspace.join(readme)).unwrap();
    fs::write(workspace.join(readme), "written through\n").unwrap();
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "written through\n");
}

/// Ways to make git run something that only configuration of the workspace's own `.git` opens, each with the command with
/// which a careless git runs it.
const BY_CONFIGURATION: &[(&str, &[&str])] = &[
    ("[diff]\n\texternal = TRAP\n", &["diff"]),
    ("[diff \"evil\"]\n\ttextconv = TRAP\n", &["diff"]),
    ("[diff \"evil\"]\n\tcommand = TRAP\n", &["diff"]),
    ("[core]\n\tfsmonitor = TRAP\n", &["status"]),
    ("[filter \"evil\"]\n\tclean = TRAP\n", &["add", "-A"]),
    ("[filter \"evil\"]\n\tprocess = TRAP\n", &["add", "-A"]),
    ("[include]\n\tpath = OUTSIDE/included\n", &["status"]),
    ("[includeIf \"gitdir:**\"]\n\tpath = OUTSIDE/included\n", &["status"]),
    ("[extensions]\n\tworktreeConfig = true\n", &["status"]),
    ("[core]\n\thooksPath = OUTSIDE/hooks\n", &["commit", "-m", "x", "--allow-empty"]),
    ("[alias]\n\tst = !TRAP\n", &["st"]),
    ("[gpg]\n\tprogram = TRAP\n[commit]\n\tgpgSign = true\n", &["commit", "-m", "x", "--allow-empty"]),
];

#[tokio::test]
async fn no_configuration_of_a_workspace_is_read() {
    let world = World::new().await;
    let (outside, canary, trap) = (world.path("outside"), world.path("canary"), world.path("trap"));
    write_script(&trap, &format!("#!/bin/sh\necho ran >> {}\ncat\n", canary.display()));
    let fsmonitor = format!("[core]\n\tfsmonitor = {}\n", trap.display());
    write(&outside.join("included"), &fsmonitor);
    write_script(&outside.join("hooks/pre-commit"), &format!("#!/bin/sh\nexec {}\n", trap.display()));
    for (configuration, careless_command) in BY_CONFIGURATION {
        let checkout = world.checkout("job").await;
        let workspace = checkout.workspace();
        let planted = configuration.replace("TRAP", &trap.display().to_string()).replace("OUTSIDE", &outside.display().to_string());
        let config = workspace.join(".git/config");
        fs::write(&config, fs::read_to_string(&config).unwrap() + &planted + "[user]\n\tname = Ana\n\temail = ana@example.com\n").unwrap();
        write(&workspace.join(".git/config.worktree"), &fsmonitor);
        write(&workspace.join(".git/info/attributes"), "* filter=evil diff=evil\n");
        write(&workspace.join(".gitattributes"), "* filter=evil diff=evil\n");
        write(&workspace.join("README.md"), "# Changed\n");
        let checkpoint = checkout.checkpoint().await.unwrap();
        assert!(checkout.diff(&checkpoint.tree).await.unwrap().contains("+# Changed"));
        assert!(!canary.exists(), "{configuration} ran");

        careless(workspace, careless_command, b"").await;
        assert!(canary.exists(), "{configuration} is no trap for git {careless_command:?}");
        fs::remove_file(&canary).unwrap();
        checkout.restore(&checkpoint.tree, &checkpoint.pack).await.unwrap();
        assert!(!canary.exists(), "{configuration} ran");
    }
}

#[tokio::test]
async fn what_a_workspace_borrows_or_replaces_is_not_looked_at() {
    let world = World::new().await;
    let other = world.path("other");
    fs::create_dir(&other).unwrap();
    plain_git(&other, "init -q -b main").await;
    write(&other.join("secret"), "the secret\n");
    let secret = commit_all(&other, "secret").await;
    let checkout = world.checkout("job").await;
    let git_dir = checkout.workspace().join(".git");
    write(&git_dir.join("objects/info/alternates"), &format!("{}\n", other.join(".git/objects").display()));
    write(&git_dir.join("refs/replace").join(checkout.base().as_str()), &format!("{secret}\n"));
    fs::remove_dir_all(git_dir.join("refs/heads")).unwrap();
    symlink(other.join(".git/refs/heads"), git_dir.join("refs/heads")).unwrap();
    let checkpoint = checkout.checkpoint().await.unwrap();
    assert_eq!(&checkpoint.tree, checkout.base_tree());
    assert_eq!(checkout.read_base_file("secret", 100).await.unwrap(), None);
    let control = careless(checkout.workspace(), &["show", &format!("{}:secret", checkout.base())], b"").await;
    assert_eq!(control.stdout_text(), "the secret\n", "{}", control.stderr_text());
}

#[tokio::test]
async fn submodules_and_attributes_of_the_base_run_nothing() {
    let world = World::new().await;
    let (shop, canary, trap) = (world.path("shop"), world.path("canary"), world.path("trap"));
    write_script(&trap, &format!("#!/bin/sh\necho ran >> {}\n", canary.display()));
    let id = plain_git(&shop, "rev-parse HEAD").await;
    write(&shop.join(".gitmodules"), &format!("[submodule \"x\"]\n\tpath = vendor/lib\n\turl = ext::{}\n", trap.display()));
    write(&shop.join(".gitattributes"), "* filter=evil diff=evil merge=evil ident\n");
    commit_all(&shop, "modules").await;
    plain_git(&shop, &format!("update-index --add --cacheinfo 160000,{id},vendor/lib")).await;
    plain_git(&shop, "commit -q -m submodule").await;
    let checkout = world.checkout("job").await;
    checkout.checkpoint().await.unwrap();
    assert!(!canary.exists() && checkout.workspace().join("vendor/lib").read_dir().is_ok_and(|mut entries| entries.next().is_none()));
    let update = ["-c", "protocol.ext.allow=always", "submodule", "update", "--init"];
    careless(checkout.workspace(), &update, b"").await;
    assert!(canary.exists(), "the submodule is no trap");
}
