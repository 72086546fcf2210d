//! No file tool reaches beyond the workspace or into git's own data, however it is asked.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::fixture::Bench;

/// A workspace beside a secret, with links that lead to it.
fn trapped() -> Bench {
    let bench = Bench::with("inside/file.txt", "inside\n");
    std::fs::write(bench.outside().join("secret.txt"), "hunter2\n").unwrap();
    symlink(bench.outside().join("secret.txt"), bench.root().join("absolute_link")).unwrap();
    symlink("../secret.txt", bench.root().join("relative_link")).unwrap();
    symlink("..", bench.root().join("folder_link")).unwrap();
    symlink("inside/../../secret.txt", bench.root().join("winding_link")).unwrap();
    symlink("nowhere", bench.root().join("dangling_link")).unwrap();
    symlink("inside/file.txt", bench.root().join("good_link")).unwrap();
    symlink(".git", bench.root().join("git_link")).unwrap();
    bench.put(".git/config", "[core]\n");
    bench
}

const DOTS: &str = "contains \"..\"";
const LEAVES: &str = "leads out of the repository";

/// Ways out, each with the reason for which it is refused.
const WAYS_OUT: [(&str, &str); 9] = [
    ("../secret.txt", DOTS),
    ("inside/../../secret.txt", DOTS),
    ("inside/../inside/file.txt", DOTS),
    ("/etc/passwd", "is absolute"),
    ("absolute_link", LEAVES),
    ("relative_link", LEAVES),
    ("winding_link", LEAVES),
    ("folder_link/secret.txt", LEAVES),
    ("folder_link/workspace/../secret.txt", DOTS),
];

fn unharmed(bench: &Bench) {
    assert_eq!(std::fs::read_to_string(bench.outside().join("secret.txt")).unwrap(), "hunter2\n");
    let mut names: Vec<_> = std::fs::read_dir(bench.outside()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["home", "secret.txt", "workspace"]);
}

#[tokio::test]
async fn only_what_the_repository_allows_is_changed_links_included() {
    let mut bench = Bench::with("src/a.txt", "a\n");
    bench.put("b.txt", "b\n");
    std::os::unix::fs::symlink("../b.txt", bench.root().join("src/link")).unwrap();
    bench.workspace = bench.workspace.clone().allowing(domain::AllowedPaths::of(&["src/**"]).unwrap());
    for path in ["b.txt", "src/link", "new/c.txt"] {
        let said = bench.err("write_file", json!({ "path": path, "content": "x" })).await;
        assert_eq!(said, format!("{path:?} may not be changed: .codeteam.toml of this repository allows only src/**"));
    }
    let edit = json!({ "path": "b.txt", "edits": [{ "old": "b", "new": "c" }] });
    assert!(bench.err("edit_file", edit).await.contains("may not be changed"));
    for patch in ["*** Delete File: b.txt", "*** Update File: src/a.txt\n*** Move to: a.txt", "*** Update File: b.txt\n@@\n-b\n+c"] {
        let patch = json!({ "input": format!("*** Begin Patch\n{patch}\n*** End Patch") });
        assert!(bench.err("apply_patch", patch).await.contains("may not be changed"));
    }
    bench.ok("write_file", json!({ "path": "src/new/d.txt", "content": "d" })).await;
    assert_eq!((bench.get("b.txt"), bench.get("src/new/d.txt")), ("b\n".to_owned(), "d".to_owned()));
}

#[tokio::test]
async fn nothing_outside_is_read() {
    let bench = trapped();
    for (path, reason) in WAYS_OUT {
        for (tool, input) in [
            ("read_file", json!({ "path": path })),
            ("search", json!({ "path": path, "pattern": "" })),
            ("list_files", json!({ "path": path })),
        ] {
            let answer = bench.err(tool, input).await;
            assert!(answer.contains(reason) && !answer.contains("hunter2"), "{tool} {path}: {answer}");
        }
    }
    let all = bench.ok("search", json!({ "pattern": "hunter2|inside" })).await;
    assert_eq!(all, "inside/file.txt:1: inside");
}

#[tokio::test]
async fn nothing_outside_is_written() {
    let bench = trapped();
    let new = [("../new.txt", DOTS), ("folder_link/new.txt", LEAVES), ("folder_link/new/deep.txt", LEAVES)];
    for (path, reason) in WAYS_OUT.into_iter().chain(new) {
        let answer = bench.err("write_file", json!({ "path": path, "content": "gone\n" })).await;
        assert!(answer.contains(reason), "{path}: {answer}");
    }
    for (path, reason) in WAYS_OUT {
        let edits: Value = json!([{ "old": "hunter2", "new": "gone" }]);
        let answer = bench.err("edit_file", json!({ "path": path, "edits": edits })).await;
        assert!(answer.contains(reason), "{path}: {answer}");
        for patch in [
            format!("*** Update File: {path}\n@@\n-hunter2\n+gone"),
            format!("*** Update File: inside/file.txt\n*** Move to: {path}\n@@\n-inside\n+gone"),
        ] {
            let answer = bench.err("apply_patch", json!({ "input": format!("*** Begin Patch\n{patch}\n*** End Patch") })).await;
            assert!(answer.contains(reason) || answer.contains("exists"), "{patch}: {answer}");
        }
    }
    for (path, reason) in [("../secret.txt", DOTS), ("/etc/passwd", "is absolute"), ("folder_link/secret.txt", LEAVES)] {
        for patch in [format!("*** Delete File: {path}"), format!("*** Add File: {path}\n+x")] {
            let answer = bench.err("apply_patch", json!({ "input": format!("*** Begin Patch\n{patch}\n*** End Patch") })).await;
            assert!(answer.contains(reason), "{patch}: {answer}");
        }
    }
    unharmed(&bench);
}

#[tokio::test]
async fn a_link_within_the_workspace_is_followed_and_stays_a_link() {
    let bench = trapped();
    bench.ok("write_file", json!({ "path": "good_link", "content": "changed\n" })).await;
    assert_eq!(bench.get("inside/file.txt"), "changed\n");
    assert!(bench.root().join("good_link").is_symlink());
    let answer = bench.err("write_file", json!({ "path": "dangling_link", "content": "x" })).await;
    assert!(answer.contains("symbolic link to nothing"), "{answer}");
}

#[tokio::test]
async fn a_trap_where_a_file_is_built_is_not_stepped_into() {
    let bench = trapped();
    symlink(".git/config", bench.root().join(".codeteam-unfinished-0")).unwrap();
    bench.ok("write_file", json!({ "path": "new.txt", "content": "new\n" })).await;
    assert_eq!((bench.get(".git/config").as_str(), bench.get("new.txt").as_str()), ("[core]\n", "new\n"));
    bench.ok("shell", json!({ "command": "mkfifo .codeteam-unfinished-0" })).await;
    bench.ok("write_file", json!({ "path": "new.txt", "content": "newer\n" })).await;
    assert_eq!(bench.get("new.txt"), "newer\n");
    assert!(!bench.root().join(".codeteam-unfinished-0").exists());
}

#[tokio::test]
async fn an_ignore_file_that_never_ends_does_not_hold_the_walk() {
    let bench = Bench::with("a/file.txt", "x\n");
    bench.put("b/file.txt", "x\n");
    bench.ok("shell", json!({ "command": "mkfifo b/.gitignore" })).await;
    assert_eq!(bench.ok("list_files", json!({})).await, "a/file.txt");
    symlink("/dev/zero", bench.root().join(".gitignore")).unwrap();
    assert!(bench.err("search", json!({ "pattern": "x" })).await.contains("not a regular file"));
}

#[tokio::test]
async fn gits_own_data_is_not_written() {
    let bench = trapped();
    for path in
        [".git/config", ".git/hooks/pre-commit", ".GIT/config", "git_link/config", "git_link/hooks/post-merge", "sub/.git/config", ".git"]
    {
        let answer = bench.err("write_file", json!({ "path": path, "content": "[core]\n\tfsmonitor = evil\n" })).await;
        assert!(answer.contains("git's own data"), "{path}: {answer}");
    }
    assert_eq!(bench.get(".git/config"), "[core]\n");
    bench.ok("write_file", json!({ "path": ".gitignore", "content": "target\n" })).await;
}
