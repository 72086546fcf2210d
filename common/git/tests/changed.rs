//! The bytes of what a tree changes.

use std::fs;
use std::os::unix::fs::symlink;

use git::Changed;

use crate::{World, write};

fn changed(path: &str, before: &[u8], after: &[u8]) -> Changed {
    Changed { path: path.to_owned(), before: before.to_vec(), after: after.to_vec() }
}

#[tokio::test]
async fn every_changed_file_comes_with_what_was_and_what_is_there() {
    let world = World::new().await;
    let checkout = world.checkout("job").await;
    let workspace = checkout.workspace();
    fs::remove_file(workspace.join("README.md")).unwrap();
    fs::write(workspace.join("binary"), b"\0\n\xff\n").unwrap();
    fs::write(workspace.join("empty"), b"").unwrap();
    write(&workspace.join("src/a b.py"), "no newline");
    write(&workspace.join("src/price.py"), "def price():\n    return 2\n");
    symlink("/etc/passwd", workspace.join("z")).unwrap();
    let tree = checkout.snapshot().await.unwrap().tree;
    let expected = [
        changed("README.md", b"# Shop\n", b""),
        changed("binary", b"", b"\0\n\xff\n"),
        changed("empty", b"", b""),
        changed("src/a b.py", b"", b"no newline"),
        changed("src/price.py", b"def price():\n    return 1\n", b"def price():\n    return 2\n"),
        changed("z", b"", b"/etc/passwd"),
    ];
    assert_eq!(checkout.changed(&tree).await.unwrap(), expected);
    assert_eq!(checkout.changed(checkout.base_tree()).await.unwrap(), []);
}
