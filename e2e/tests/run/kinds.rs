//! `codeteam run` for what changes nothing: an answer, an analysis, a review.

use e2e::{Codeteam, Ran, Repository};
use serde_json::{Value, json};
use testkit::TestDb;

async fn run(repository: &Repository, arguments: &[&str], finish: Value) -> Ran {
    let db = TestDb::new().await;
    let script = tempfile::NamedTempFile::new().unwrap();
    let replies = json!({ "name": "answer", "replies": [{ "tool_calls": [{ "name": "finish", "input": finish }] }] });
    serde_json::to_writer(&script, &replies).unwrap();
    let path = repository.path.to_str().unwrap();
    let script = ["--script", script.path().to_str().unwrap()];
    Codeteam::new(["run", path, "How are prices rounded?"].into_iter().chain(arguments.iter().copied()).chain(script))
        .on(db.url.expose())
        .run()
        .await
}

fn answer() -> Value {
    json!({ "title": "Half up", "summary": "See price.py, line 2.", "confidence": "high" })
}

#[tokio::test]
async fn an_answer_is_printed_and_nothing_is_pushed() {
    let repository = Repository::of(&[("price.py", "def price():\n    return 1\n")]).await;
    for kind in ["question", "analysis"] {
        let ran = run(&repository, &["--kind", kind], answer()).await;
        ran.expect(0, &["Half up", "See price.py, line 2."]);
        assert!(!ran.stdout.contains("branch") && !ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
    }
    assert_eq!(repository.git(&["branch", "--list", "codeteam/*"]).await.trim(), "");
}

#[tokio::test]
async fn a_review_of_a_branch_is_printed_with_its_findings() {
    let repository = Repository::of(&[("price.py", "def price():\n    return 1\n")]).await;
    repository.git(&["checkout", "--quiet", "-b", "feature"]).await;
    std::fs::write(repository.path.join("price.py"), "def price():\n    return 2\n").unwrap();
    repository.commit("Change the price").await;
    repository.git(&["checkout", "--quiet", "main"]).await;
    let finding = json!({ "path": "price.py", "line": 2, "severity": "high", "body": "Why 2?" });
    let finish = json!({ "title": "Not yet", "summary": "The price is wrong.", "confidence": "high", "comments": [finding] });
    let ran = run(&repository, &["--kind", "review", "--head", "feature"], finish).await;
    ran.expect(0, &["Not yet", "The price is wrong.", "price.py:2: high: Why 2?"]);
}

#[tokio::test]
async fn what_a_review_needs_is_said_at_once() {
    let repository = Repository::of(&[("price.py", "")]).await;
    for arguments in [&["--kind", "review"][..], &["--head", "main"], &["--kind", "opinion"], &["--kind", "review", "--head", "nowhere"]] {
        let ran = run(&repository, arguments, answer()).await;
        ran.expect(2, &[]);
    }
}
