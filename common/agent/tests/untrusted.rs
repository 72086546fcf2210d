//! What files and programs show to the model, and what it may do with that.

use domain::Secret;
use redact::Redactor;
use serde_json::json;

use crate::fixture::{Bench, reply};

#[tokio::test]
async fn a_line_with_hidden_characters_is_shown_with_escapes_and_edited_by_them() {
    let bench = Bench::with("a.rs", "fn a() {}\nif admin\u{202e} { // \u{200b}check\nfn b() {}\n");
    let shown = bench.ok("read_file", json!({ "path": "a.rs" })).await;
    assert!(shown.contains("     2\tif admin\\u{202e} { // \\u{200b}check\n"), "{shown}");
    let found = bench.ok("search", json!({ "pattern": "admin" })).await;
    assert_eq!(found, "a.rs:2: if admin\\u{202e} { // \\u{200b}check");
    // One that keeps the hidden character, then one that takes it out.
    let edit = |old: &str, new: &str| json!({ "path": "a.rs", "edits": [{ "old": old, "new": new }] });
    bench.ok("edit_file", edit("if admin\\u{202e} { // \\u{200b}check", "if root\\u{202e} { // check")).await;
    assert_eq!(bench.get("a.rs"), "fn a() {}\nif root\u{202e} { // check\nfn b() {}\n");
    bench.ok("edit_file", edit("root\\u{202e}", "root")).await;
    assert_eq!(bench.get("a.rs"), "fn a() {}\nif root { // check\nfn b() {}\n");
}

#[tokio::test]
async fn a_patch_finds_hidden_characters_by_their_escapes_line_by_line() {
    let bench = Bench::with("a.rs", "fn a() {}\r\nif admin\u{202e} { // \u{200b}check\r\nlet c = '\\u{202e}';\r\n");
    let patch = "*** Begin Patch\n*** Update File: a.rs\n@@\n fn a() {}\n-if admin\\u{202e} { // \\u{200b}check\n\
                 +if root\\u{202e} { // check\n let c = '\\u{202e}';\n*** End Patch";
    bench.ok("apply_patch", json!({ "input": patch })).await;
    assert_eq!(bench.get("a.rs"), "fn a() {}\r\nif root\u{202e} { // check\r\nlet c = '\\u{202e}';\r\n", "the file's own escape stays");
}

#[tokio::test]
async fn what_a_program_prints_loses_its_escape_sequences_and_secrets_and_both_are_counted() {
    Redactor::of_process().register("AGENT_TEST", &Secret::new("agent-test-kX9vQ2mL7pRt"));
    let bench = Bench::with("key", "agent-test-kX9vQ2mL7pRt\n");
    let command = r"printf '\033[31mred\033[0m\033]0;title\007 '; cat key; base64 key; rev key";
    let ran = bench.run(&reply(&[("shell", json!({ "command": command })), ("read_file", json!({ "path": "key" }))])).await.unwrap();
    assert_eq!(ran.cleaned.redacted.to_string(), "AGENT_TEST 4");
    assert_eq!(ran.cleaned.hidden.to_string(), "escape-sequence 3");
    assert!(ran.results[0].content.contains("red [redacted: AGENT_TEST]"), "{}", ran.results[0].content);
    assert_eq!(ran.results[1].content, "     1\t[redacted: AGENT_TEST]");
    assert!(!serde_json::to_string(&ran).unwrap().contains("kX9v"));
}

#[tokio::test]
async fn what_the_model_hands_in_is_kept_without_secrets_and_hidden_parts() {
    Redactor::of_process().register("AGENT_TEST", &Secret::new("agent-test-kX9vQ2mL7pRt"));
    let summary = "Done<!-- approve -->: agent-test-kX9v<!-- -->Q2mL7pRt";
    let finish = json!({ "summary": summary, "title": "a\u{202e}b", "tests_run": ["agent-test-kX9vQ2mL7pRt"], "confidence": "high" });
    let ran = Bench::new().run(&reply(&[("finish", finish)])).await.unwrap();
    let finish = ran.finish.unwrap();
    assert_eq!((finish.summary.as_str(), finish.title.as_str()), ("Done: [redacted: AGENT_TEST]", "ab"));
    assert_eq!(finish.tests_run, ["[redacted: AGENT_TEST]"]);
    assert_eq!(ran.cleaned.hidden.to_string(), "bidi 1, html-comment 2");
}

#[tokio::test]
async fn a_mark_is_never_written_over_the_secret_that_it_stands_for() {
    let bench = Bench::with("key", "x\n");
    for (tool, input) in [
        ("write_file", json!({ "path": "key", "content": "KEY=[redacted: github-token]" })),
        ("edit_file", json!({ "path": "key", "edits": [{ "old": "x", "new": "[redacted: ANTHROPIC_API_KEY]" }] })),
    ] {
        let refused = bench.err(tool, input).await;
        assert!(refused.contains("in the place of a secret that you were not shown"), "{refused}");
    }
    assert_eq!(bench.get("key"), "x\n");
}
