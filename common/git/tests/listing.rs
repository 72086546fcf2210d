//! The files of a commit.

use std::fs;
use std::os::unix::fs::symlink;

use git::{CommittedFile, GitError};

use crate::{World, commit_all, write};

#[tokio::test]
async fn files_are_listed_and_read_as_they_were_committed() {
    let world = World::new().await;
    let shop = world.path("shop");
    write(&shop.join("empty"), "");
    write(&shop.join("a é/b\nc.txt"), "no line break at the end");
    fs::write(shop.join("bytes.bin"), b"\0\n\xff\n").unwrap();
    symlink("README.md", shop.join("link")).unwrap();
    commit_all(&shop, "more").await;
    let checkout = world.checkout("job").await;
    write(&checkout.workspace().join("README.md"), "# Changed\n");
    write(&checkout.workspace().join("new.txt"), "new\n");
    let files = checkout.files(checkout.base()).await.unwrap();
    let shown: Vec<(&str, u64)> = files.iter().map(|file| (file.path.as_str(), file.size_bytes)).collect();
    let expected = [(".gitignore", 13), ("README.md", 7), ("a é/b\nc.txt", 24), ("bytes.bin", 4), ("empty", 0), ("src/price.py", 26)];
    assert_eq!(shown, expected);
    let read = checkout.read_files(&files.iter().rev().collect::<Vec<&CommittedFile>>()).await.unwrap();
    let texts: Vec<String> = read.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert_eq!(texts, ["def price():\n    return 1\n", "", "\0\n\u{fffd}\n", "no line break at the end", "# Shop\n", "*.log\nbuild/\n"]);
    assert_eq!(checkout.read_files(&[]).await.unwrap(), Vec::<Vec<u8>>::new());
    let mut big = files[0].clone();
    big.size_bytes = 1 << 40;
    assert!(matches!(checkout.read_files(&[&big]).await, Err(GitError::TooLarge { .. })));
}
