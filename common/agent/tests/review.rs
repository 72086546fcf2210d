//! What a review may do and how it is handed in.

use agent::{Change, Toolboxes};
use domain::review::{Severity, Side};
use domain::{Kind, ReviewComment};
use serde_json::json;

use crate::fixture::{Bench, reply};

const DIFF: &str = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n";

fn bench() -> Bench {
    let mut bench = Bench::with("a.py", "one\n2\n");
    bench.change = Some(Change::of(DIFF));
    bench
}

fn names(kind: Kind) -> Vec<String> {
    Toolboxes::standard().of(kind).specs().into_iter().map(|spec| spec.name).collect()
}

#[test]
fn what_is_to_change_nothing_is_offered_no_tool_that_writes() {
    assert_eq!(names(Kind::Review), ["read_file", "list_files", "search", "shell", "show_diff", "finish"]);
    for kind in [Kind::Analysis, Kind::Question] {
        assert_eq!(names(kind), ["read_file", "list_files", "search", "shell", "finish"]);
    }
    for tool in ["edit_file", "write_file", "shell", "finish"] {
        assert!(names(Kind::Change).contains(&tool.to_owned()), "{tool}");
    }
    assert!(!names(Kind::Change).contains(&"show_diff".to_owned()));
}

#[tokio::test]
async fn a_tool_that_was_not_offered_is_not_there() {
    let ran = bench().run(&reply(&[("write_file", json!({ "path": "a.py", "content": "" }))])).await.unwrap();
    assert!(ran.results[0].is_error && ran.results[0].content.starts_with("there is no tool \"write_file\""), "{ran:?}");
    assert_eq!((ran.malformed, ran.changed), (1, false));
}

#[tokio::test]
async fn the_comments_of_a_review_are_checked_against_the_change() {
    let bench = bench();
    let finish = |comments| json!({ "title": "t", "summary": "s", "confidence": "high", "comments": comments });
    let comment = |path: &str, line: u32, side: &str| json!({ "path": path, "line": line, "side": side, "severity": "high", "body": "b" });
    let wrong = json!([comment("a.py", 3, "right"), comment("a.py", 2, "left"), comment("b.py", 1, "right"),
        { "path": "a.py", "line": 1, "severity": "low", "body": " " }]);
    let said = bench.err("finish", finish(wrong)).await;
    let expected = "not accepted: comments[0]: line 3 of a.py (right) is not part of the change; the lines that are: 1-2\n\
                    comments[2]: \"b.py\" is not changed by this pull request; the changed files are a.py\n\
                    comments[3]: body has 0 characters: 1 to 4000";
    assert_eq!(said, expected);
    let right = json!([comment("a.py", 2, "left"), { "path": "a.py", "line": 2, "severity": "low", "body": "b" }]);
    let ran = bench.run(&reply(&[("finish", finish(right))])).await.unwrap();
    let expected = |side, severity| ReviewComment { path: "a.py".into(), line: 2, side, severity, body: "b".into() };
    assert_eq!(ran.finish.unwrap().comments, [expected(Side::Left, Severity::High), expected(Side::Right, Severity::Low)]);
    assert!(bench.err("finish", finish(json!(vec![comment("a.py", 1, "right"); 51]))).await.contains("51 comments are too many"));
    assert!(bench.err("finish", finish(json!([{ "path": "a.py" }]))).await.contains("does not fit"));
}

#[tokio::test]
async fn only_a_review_has_comments() {
    let comments = json!([{ "path": "a.py", "line": 1, "severity": "low", "body": "b" }]);
    let finish = json!({ "title": "t", "summary": "s", "confidence": "high", "comments": comments });
    assert!(Bench::new().err("finish", finish).await.contains("comments are for reviews"));
}

#[tokio::test]
async fn the_change_of_one_file_is_shown() {
    let bench = bench();
    let shown = bench.ok("show_diff", json!({ "path": "a.py" })).await;
    assert_eq!(shown, "a.py (+1 -1)\n@@ \n     1   one\n     2 - two\n     2 + 2");
    assert_eq!(bench.err("show_diff", json!({ "path": "b.py" })).await, "the pull request does not change \"b.py\"");
}
