//! `apply_patch` on real files: all of a patch or nothing.

use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::fixture::Bench;

async fn applied(bench: &Bench, patch: &str) -> String {
    bench.ok("apply_patch", json!({ "input": format!("*** Begin Patch\n{patch}\n*** End Patch") })).await
}

async fn refused(bench: &Bench, patch: &str) -> String {
    bench.err("apply_patch", json!({ "input": format!("*** Begin Patch\n{patch}\n*** End Patch") })).await
}

/// Every file with its content, and every folder, below the root.
fn everything(bench: &Bench) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![bench.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(bench.root()).unwrap().to_string_lossy().into_owned();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
                found.push((name, None));
            } else {
                found.push((name, std::fs::read(path).ok()));
            }
        }
    }
    found.sort();
    found
}

fn shop() -> Bench {
    let bench = Bench::with("src/price.py", "def price():\n    return 1\n");
    bench.put("src/old.py", "x = 1\ny = 2\n");
    bench.put("run.sh", "#!/bin/sh\r\necho 1\r\n");
    std::fs::set_permissions(bench.root().join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bench
}

#[tokio::test]
async fn a_patch_changes_creates_renames_and_deletes() {
    let bench = shop();
    let told = applied(
        &bench,
        "*** Update File: src/price.py\n@@ def price\n-    return 1\n+    return 2\n*** Add File: docs/new.md\n+# New\n*** Update File: run.sh\n\
         *** Move to: bin/run\n@@\n-echo 1\n+echo 2\n*** Delete File: src/old.py",
    )
    .await;
    let expected = "src/price.py is changed\nhunk 1: line 2\ndocs/new.md is created: 1 lines\nrun.sh is now bin/run\nhunk 1: line 2\nsrc/old.py is deleted";
    assert_eq!(told, expected);
    assert_eq!(bench.get("src/price.py"), "def price():\n    return 2\n");
    assert_eq!(bench.get("docs/new.md"), "# New\n");
    assert_eq!(bench.get("bin/run"), "#!/bin/sh\r\necho 2\r\n");
    assert_eq!(std::fs::metadata(bench.root().join("bin/run")).unwrap().permissions().mode() & 0o777, 0o755);
    let names: Vec<String> = everything(&bench).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["bin", "bin/run", "docs", "docs/new.md", "src", "src/price.py"]);
}

#[tokio::test]
async fn whatever_fails_in_a_patch_nothing_of_it_is_done() {
    let bench = shop();
    bench.put("binary", b"\0\0");
    bench.put("sub/.git/config", "[core]\n");
    symlink("src/price.py", bench.root().join("link")).unwrap();
    let good =
        "*** Update File: src/price.py\n@@\n-    return 1\n+    return 2\n*** Add File: deep/er/new\n+x\n*** Delete File: src/old.py\n";
    let before = everything(&bench);
    for (bad, reason) in [
        ("*** Update File: run.sh\n@@\n-echo 3\n+echo 4", "\"run.sh\", hunk 1: the hunk stands nowhere; line 2 of the file is `echo 1`"),
        ("*** Update File: nowhere\n@@\n-a\n+b", "there is no \"nowhere\""),
        ("*** Update File: src/old.py\n@@\n-x = 1\n+x = 2", "is deleted earlier in this patch"),
        ("*** Add File: run.sh\n+x", "\"run.sh\" exists; change it with"),
        ("*** Add File: deep/er/new\n+y", "exists"),
        ("*** Delete File: src", "is a folder"),
        ("*** Delete File: nowhere", "there is no"),
        ("*** Delete File: src/old.py", "is deleted already"),
        ("*** Add File: /etc/cron.d/x\n+x", "is absolute; give a path relative to the root"),
        ("*** Add File: ../x\n+x", "contains \"..\""),
        ("*** Update File: /work/src/price.py\n@@\n-a\n+b", "is absolute; give a path relative to the root"),
        ("*** Add File: .git/hooks/pre-commit\n+x", "git's own data"),
        ("*** Delete File: sub/.GIT/config", "git's own data"),
        ("*** Update File: run.sh\n*** Move to: .git/config", "git's own data"),
        ("*** Update File: run.sh\n*** Move to: binary", "\"binary\" exists"),
        ("*** Update File: binary\n@@\n-a\n+b", "is a binary file"),
        ("*** Update File: link\n@@\n-def price():\n+def cost():", "another name of a file that the same patch changes"),
        ("*** Add File: run.sh/x\n+x", "is a file, not a folder"),
        ("*** Rename File: run.sh", "begins no file"),
    ] {
        let answer = refused(&bench, &format!("{good}{bad}")).await;
        assert!(answer.starts_with("nothing is changed: ") && answer.contains(reason), "{bad}: {answer}");
        assert_eq!(everything(&bench), before, "{bad}");
    }
    applied(&bench, good.trim_end()).await;
}

#[tokio::test]
async fn sections_see_what_those_before_them_did() {
    let bench = shop();
    applied(
        &bench,
        "*** Update File: src/old.py\n@@\n-x = 1\n+x = 3\n*** Update File: src/old.py\n@@\n x = 3\n-y = 2\n+y = 4\n*** Delete File: run.sh\n*** Add File: run.sh\n+new",
    )
    .await;
    assert_eq!((bench.get("src/old.py").as_str(), bench.get("run.sh").as_str()), ("x = 3\ny = 4\n", "new\n"));
    assert_eq!(std::fs::metadata(bench.root().join("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn of_a_link_that_is_deleted_only_the_link_goes() {
    let bench = shop();
    symlink("src/old.py", bench.root().join("link")).unwrap();
    symlink("/etc", bench.root().join("out")).unwrap();
    applied(&bench, "*** Delete File: link\n*** Delete File: out").await;
    assert!(bench.root().join("link").symlink_metadata().is_err() && bench.root().join("out").symlink_metadata().is_err());
    assert_eq!(bench.get("src/old.py"), "x = 1\ny = 2\n");
}

#[tokio::test]
async fn a_rename_that_fails_half_way_is_taken_back() {
    let bench = shop();
    // A folder with the name under which a replaced file is put aside: the second rename cannot be done.
    bench.put("src/.codeteam-replaced-2/x", "");
    let before = everything(&bench);
    let answer = refused(&bench, "*** Delete File: run.sh\n*** Delete File: src/old.py\n*** Add File: a/b/c\n+x").await;
    assert!(answer.starts_with("nothing is changed: "), "{answer}");
    assert_eq!(everything(&bench), before);
}

#[tokio::test]
async fn a_text_that_is_no_patch_is_a_malformed_call() {
    let bench = shop();
    let ran = bench.run(&crate::fixture::reply(&[("apply_patch", json!({ "input": "--- a\n+++ b\n" }))])).await.unwrap();
    assert_eq!(ran.malformed, 1);
    assert!(ran.results[0].content.contains("a patch begins with `*** Begin Patch`"), "{}", ran.results[0].content);
    // Some models name the argument as their older tool did.
    bench.ok("apply_patch", json!({ "patch": "*** Begin Patch\n*** Delete File: run.sh\n*** End Patch" })).await;
}
