//! Every tool on real files.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use agent::{AgentError, Gate};
use domain::Finish;
use domain::job::Confidence;
use llm::StopReason;
use serde_json::json;

use crate::fixture::{Bench, reply};

#[tokio::test]
async fn a_file_is_read_with_line_numbers_and_in_parts() {
    let bench = Bench::with("src/a.py", "one\ntwo\nthree\n");
    assert_eq!(bench.ok("read_file", json!({ "path": "src/a.py" })).await, "     1\tone\n     2\ttwo\n     3\tthree");
    let part = bench.ok("read_file", json!({ "path": "./src/a.py", "offset": 2, "limit": 1 })).await;
    assert_eq!(part, "     2\ttwo\n(1 of 3 lines; go on with offset 3)");
}

#[tokio::test]
async fn what_cannot_be_read_as_text_is_said_plainly() {
    let bench = Bench::with("image.png", b"\x89PNG\0\0");
    bench.put("latin1.txt", b"caf\xe9\n");
    bench.put("big.txt", "x".repeat((8 << 20) + 1));
    for (path, words) in [
        ("image.png", "is a binary file of 6 bytes"),
        ("latin1.txt", "is not UTF-8 text (byte 3)"),
        ("big.txt", "has 8388609 bytes"),
        ("nowhere.txt", "there is no \"nowhere.txt\""),
        (".", "is a folder"),
        ("image.png/x", "is a file, not a folder"),
    ] {
        let answer = bench.err("read_file", json!({ "path": path })).await;
        assert!(answer.contains(words), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_pipe_is_refused_instead_of_waited_for() {
    let bench = Bench::new();
    bench.ok("shell", json!({ "command": "mkfifo pipe" })).await;
    assert!(bench.err("read_file", json!({ "path": "pipe" })).await.contains("not a regular file"));
    assert!(bench.err("write_file", json!({ "path": "pipe", "content": "x" })).await.contains("not a regular file"));
}

#[tokio::test]
async fn files_are_listed_in_order_without_what_is_ignored() {
    let bench = Bench::with(".gitignore", "target/\n*.log\n");
    for path in ["src/main.rs", "src/lib.rs", "README.md", "target/debug/x", "a.log", ".git/config", ".github/ci.yml", "src/deep/b.rs"] {
        bench.put(path, "");
    }
    let all = bench.ok("list_files", json!({})).await;
    assert_eq!(all, ".github/ci.yml\n.gitignore\nREADME.md\nsrc/deep/b.rs\nsrc/lib.rs\nsrc/main.rs");
    assert_eq!(bench.ok("list_files", json!({ "path": "src", "glob": "*.rs" })).await, "src/deep/b.rs\nsrc/lib.rs\nsrc/main.rs");
    assert_eq!(bench.ok("list_files", json!({ "glob": "src/*.rs" })).await, "src/lib.rs\nsrc/main.rs");
    assert_eq!(bench.ok("list_files", json!({ "glob": "*.py" })).await, "(no files)");
    assert!(bench.err("list_files", json!({ "glob": "a{b" })).await.contains("is not a glob"));
    assert!(bench.err("list_files", json!({ "path": "nowhere" })).await.contains("there is no"));
}

#[tokio::test]
async fn a_long_list_is_cut_and_says_by_how_much() {
    let bench = Bench::new();
    for index in 0..503 {
        bench.put(&format!("f{index:03}"), "");
    }
    let list = bench.ok("list_files", json!({})).await;
    assert_eq!(list.lines().count(), 501);
    assert!(list.ends_with("f499\n(3 files more; narrow it with path or glob)"), "{}", &list[list.len() - 80..]);
}

#[tokio::test]
async fn a_search_answers_file_line_and_text() {
    let bench = Bench::with("src/a.rs", "fn total() {}\n// Total\n");
    bench.put("b.md", "the total\n");
    bench.put("binary", b"total\0");
    bench.put(".gitignore", "ignored\n");
    bench.put("ignored", "total\n");
    assert_eq!(bench.ok("search", json!({ "pattern": "total" })).await, "b.md:1: the total\nsrc/a.rs:1: fn total() {}");
    assert_eq!(bench.ok("search", json!({ "pattern": "(?i)TOTAL$", "glob": "*.rs" })).await, "src/a.rs:2: // Total");
    assert_eq!(bench.ok("search", json!({ "pattern": "total", "path": "src/a.rs" })).await, "src/a.rs:1: fn total() {}");
    assert_eq!(bench.ok("search", json!({ "pattern": "nothing" })).await, "(no matches)");
    assert!(bench.err("search", json!({ "pattern": "(" })).await.contains("is not a regular expression"));
}

#[tokio::test]
async fn a_search_with_many_matches_is_cut_and_says_so() {
    let bench = Bench::with("a", "x\n".repeat(500));
    bench.put("b", format!("x{}\n", "y".repeat(1000)));
    let answer = bench.ok("search", json!({ "pattern": "x" })).await;
    assert_eq!(answer.lines().count(), 101);
    assert!(answer.ends_with("a:100: x\n(there are more; narrow it with path, glob or pattern)"));
    let long = bench.ok("search", json!({ "pattern": "x", "path": "b" })).await;
    assert!(long.len() < 400 && long.ends_with(" […]"), "{long}");
}

#[tokio::test]
async fn an_edit_changes_the_file_and_keeps_its_permissions() {
    let bench = Bench::with("run.sh", "#!/bin/sh\r\necho 1\r\n");
    std::fs::set_permissions(bench.root().join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = bench
        .run(&reply(&[("edit_file", json!({ "path": "run.sh", "edits": [{ "old": "echo 1\n", "new": "echo 2\n" }] }))]))
        .await
        .unwrap();
    assert_eq!((ran.results[0].content.as_str(), ran.changed), ("run.sh is changed\nedit 1: line 2", true));
    assert_eq!(bench.get("run.sh"), "#!/bin/sh\r\necho 2\r\n");
    assert_eq!(std::fs::metadata(bench.root().join("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read_dir(bench.root()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_loose_match_shows_what_became_of_it() {
    let bench = Bench::with("a.py", "if x:\n    y()\n");
    let answer = bench.ok("edit_file", json!({ "path": "a.py", "edits": [{ "old": "y()  \n", "new": "z()\n" }] })).await;
    assert!(answer.starts_with("a.py is changed\nedit 1: line 2 (indented as the file is)\n"), "{answer}");
    assert!(answer.contains("\n-    y()\n+    z()"), "{answer}");
}

#[tokio::test]
async fn a_refused_edit_leaves_the_file_and_says_why() {
    let bench = Bench::with("a.py", "x = 1\n");
    let edits = json!([{ "old": "x = 1", "new": "x = 2" }, { "old": "y", "new": "z" }]);
    let ran = bench.run(&reply(&[("edit_file", json!({ "path": "a.py", "edits": edits }))])).await.unwrap();
    let result = &ran.results[0];
    assert!(result.is_error && result.content.starts_with("\"a.py\" is unchanged: edit 2: old stands nowhere"), "{}", result.content);
    assert_eq!((bench.get("a.py").as_str(), ran.changed, ran.malformed), ("x = 1\n", false, 0));
}

#[tokio::test]
async fn a_file_is_written_with_its_folders() {
    let bench = Bench::new();
    assert_eq!(bench.ok("write_file", json!({ "path": "a/b/c.txt", "content": "1\n2\n" })).await, "a/b/c.txt is created: 2 lines");
    assert_eq!(bench.ok("write_file", json!({ "path": "a/b/c.txt", "content": "" })).await, "a/b/c.txt is replaced: 0 lines");
    assert_eq!(bench.get("a/b/c.txt"), "");
    assert!(bench.err("write_file", json!({ "path": "a/b", "content": "x" })).await.contains("is a folder"));
    assert!(bench.err("write_file", json!({ "path": "a/b/c.txt/d", "content": "x" })).await.contains("a file, not a folder"));
}

#[tokio::test]
async fn finishing_hands_in_the_result() {
    let input =
        json!({ "summary": " Fixed. ", "title": "Fix it", "tests_run": ["make test: ok"], "confidence": "high", "needs_human": null });
    let ran = Bench::new().run(&reply(&[("finish", input)])).await.unwrap();
    let finish = Finish {
        summary: "Fixed.".into(),
        title: "Fix it".into(),
        tests_run: vec!["make test: ok".into()],
        confidence: Confidence::High,
        needs_human: None,
        comments: Vec::new(),
    };
    assert_eq!((ran.finish, ran.changed), (Some(finish), false));
    let two_lines = json!({ "summary": "s", "title": "a\nb", "tests_run": [], "confidence": "low" });
    assert!(Bench::new().err("finish", two_lines).await.contains("one line"));
}

#[tokio::test]
async fn finishing_beside_a_failed_call_is_not_accepted() {
    let finish = json!({ "summary": "s", "title": "t", "tests_run": [], "confidence": "high" });
    let bench = Bench::new();
    let ran = bench.run(&reply(&[("read_file", json!({ "path": "nowhere" })), ("finish", finish.clone())])).await.unwrap();
    assert!(ran.finish.is_none() && ran.results[1].is_error, "{ran:?}");
    let ran = bench.run(&reply(&[("finish", finish), ("write_file", json!({ "path": "late", "content": "x" }))])).await.unwrap();
    assert!(ran.finish.is_some() && ran.results[1].is_error && !bench.root().join("late").exists(), "{ran:?}");
}

#[tokio::test]
async fn calls_that_no_tool_understands_are_counted_and_explained() {
    let bench = Bench::new();
    let calls = [("edit", json!({})), ("read_file", json!({ "file": "a" })), ("read_file", json!("a")), ("list_files", json!({}))];
    let ran = bench.run(&reply(&calls)).await.unwrap();
    assert_eq!((ran.malformed, ran.results.len()), (3, 4));
    let expected = r#"there is no tool "edit"; the tools are read_file, list_files, search, edit_file, write_file, shell, finish"#;
    assert_eq!(ran.results[0].content, expected);
    assert!(ran.results[1].content.contains("unknown field `file`"), "{}", ran.results[1].content);
    assert!(ran.results[2].is_error && !ran.results[3].is_error);
}

#[tokio::test]
async fn the_last_call_of_a_truncated_reply_is_not_carried_out() {
    let bench = Bench::new();
    let write = |path: &str| ("write_file", json!({ "path": path, "content": "x" }));
    let mut reply = reply(&[write("whole"), write("cut")]);
    reply.stop = StopReason::MaxTokens;
    let ran = bench.run(&reply).await.unwrap();
    assert_eq!((ran.results[0].is_error, ran.results[1].is_error, ran.malformed), (false, true, 1));
    assert!(bench.root().join("whole").exists() && !bench.root().join("cut").exists());
}

#[tokio::test]
async fn after_the_jobs_time_only_finish_is_accepted() {
    let mut bench = Bench::new();
    bench.time = std::time::Duration::ZERO;
    assert!(bench.err("list_files", json!({})).await.contains("the time of this job is used up"));
    bench.ok("finish", json!({ "summary": "s", "title": "t", "tests_run": [], "confidence": "low" })).await;
}

/// Opens so many times.
#[derive(Debug)]
struct Opens(AtomicU32);

#[async_trait::async_trait]
impl Gate for Opens {
    async fn is_open(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[tokio::test]
async fn no_call_begins_behind_a_gate_that_is_shut() {
    let bench = Bench::new();
    let writes = ["first", "second"].map(|path| ("write_file", json!({ "path": path, "content": "x" })));
    let error = bench.run_behind(&Opens(AtomicU32::new(1)), &reply(&writes)).await.unwrap_err();
    assert!(matches!(error, AgentError::Cancelled), "{error}");
    assert!(bench.root().join("first").exists() && !bench.root().join("second").exists());
}

#[tokio::test]
async fn a_cancelled_step_gives_no_results() {
    let bench = Bench::new();
    bench.cancel.cancel();
    let error = bench.run(&reply(&[("list_files", json!({}))])).await.unwrap_err();
    assert!(matches!(error, AgentError::Cancelled), "{error}");
}
