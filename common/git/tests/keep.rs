//! Changes that are not allowed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use domain::sensitive::Entry;
use git::Kept;

use crate::{World, commit_all, listing, plain_git, write};

#[tokio::test]
async fn what_is_not_allowed_is_as_in_the_base_and_what_is_allowed_stays_changed() {
    let world = World::new().await;
    write(&world.path("shop/docs/old.md"), "old\n");
    commit_all(&world.path("shop"), "docs").await;
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    write(&workspace.join("src/price.py"), "def price():\n    return 2\n");
    write(&workspace.join("src/new é.py"), "\n");
    write(&workspace.join("README.md"), "# Mine\n");
    write(&workspace.join("ci/deploy.yml"), "run: evil\n");
    fs::remove_file(workspace.join("docs/old.md")).unwrap();
    symlink("/etc/passwd", workspace.join("link")).unwrap();
    let tree = checkout.checkpoint().await.unwrap().tree;
    let Kept { tree: kept, left_out } = checkout.keep(&tree, |path, _, _| path.starts_with("src")).await.unwrap();
    assert_eq!(left_out, ["README.md", "ci/deploy.yml", "docs/old.md", "link"]);
    let files = ["100644|.gitignore", "100644|README.md", "100644|docs/old.md", "100644|src/new é.py", "100644|src/price.py"];
    let mut found = listing(&world.path("job"), &kept).await;
    found.iter_mut().for_each(|line| *line = line.replace("\"src/new \\303\\251.py\"", "src/new é.py"));
    assert_eq!(found, files);
    let show = |path: &str| format!("show {kept}:{path}");
    let trusted = world.path("job/trusted.git");
    assert_eq!(plain_git(&trusted, &show("README.md")).await, "# Shop");
    assert_eq!(plain_git(&trusted, &show("src/price.py")).await, "def price():\n    return 2");
    // The workspace, and the next checkpoint of it, are as the job left them.
    assert_eq!(checkout.checkpoint().await.unwrap().tree, tree);
}

#[tokio::test]
async fn a_tree_with_allowed_changes_only_is_itself() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("README.md"), "# Mine\n");
    let tree = checkout.checkpoint().await.unwrap().tree;
    assert_eq!(checkout.keep(&tree, |_, _, _| true).await.unwrap(), Kept { tree: tree.clone(), left_out: vec![] });
    let nothing = checkout.keep(&tree, |_, _, _| false).await.unwrap();
    assert_eq!(nothing, Kept { tree: checkout.base_tree().clone(), left_out: vec!["README.md".to_owned()] });
}

#[tokio::test]
async fn a_file_that_comes_back_takes_the_place_of_a_folder_and_what_goes_with_it_is_named() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    fs::remove_file(checkout.workspace().join("README.md")).unwrap();
    write(&checkout.workspace().join("README.md/allowed.txt"), "x\n");
    let tree = checkout.checkpoint().await.unwrap().tree;
    let kept = checkout.keep(&tree, |path, _, _| path == Path::new("README.md/allowed.txt")).await.unwrap();
    assert_eq!(kept.left_out, ["README.md", "README.md/allowed.txt"]);
    assert_eq!(&kept.tree, checkout.base_tree());
}

#[tokio::test]
async fn who_decides_is_told_what_was_there_and_what_is_there_now() {
    let world = World::new().await;
    symlink("README.md", world.path("shop/old-link")).unwrap();
    commit_all(&world.path("shop"), "link").await;
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    fs::remove_file(workspace.join("old-link")).unwrap();
    fs::remove_file(workspace.join("README.md")).unwrap();
    symlink("src", workspace.join("README.md")).unwrap();
    write(&workspace.join("new.txt"), "x\n");
    let tree = checkout.checkpoint().await.unwrap().tree;
    let seen = Mutex::new(BTreeMap::new());
    let note = |path: &Path, before, after| {
        seen.lock().unwrap().insert(path.to_string_lossy().into_owned(), (before, after));
        true
    };
    checkout.keep(&tree, note).await.unwrap();
    let expected = [
        ("README.md", (Entry::File, Entry::Symlink)),
        ("new.txt", (Entry::None, Entry::File)),
        ("old-link", (Entry::Symlink, Entry::None)),
    ];
    assert_eq!(*seen.lock().unwrap(), expected.map(|(path, entries)| (path.to_owned(), entries)).into());
}
