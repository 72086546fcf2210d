//! The log: whoever searches for a job finds every line about it.

use serde_json::Value;

use crate::crash::scene::{Scene, Wait};

#[tokio::test]
async fn every_line_within_a_job_names_it() {
    let scene = Scene::new(Wait::Nowhere).await;
    let ran = scene.command(["work", "--until-idle"]).run().await;
    let lines: Vec<Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let (mut of_job, mut says) = (0, Vec::new());
    for line in &lines {
        if ["job", "step", "finalize", "model_call", "tool", "prepare"].contains(&line["span"].as_str().unwrap_or_default()) {
            assert_eq!(line["job.id"], *scene.job_id, "{line}");
            of_job += 1;
        }
        says.push(line["message"].as_str().unwrap_or_default());
    }
    assert!(of_job >= 2, "{}", ran.stderr);
    for words in ["claimed job", "finalized job"] {
        assert!(says.iter().any(|said| said.starts_with(words)), "{}", ran.stderr);
    }
    assert!(!ran.stderr.contains(testkit::ModelStub::KEY) && !ran.stderr.contains("A shop."), "{}", ran.stderr);
}

#[tokio::test]
async fn a_person_can_have_text_instead() {
    let scene = Scene::new(Wait::Nowhere).await;
    let ran = scene.command(["work", "--until-idle"]).env("LOG_FORMAT", "text").run().await;
    assert!(ran.stderr.contains("finalized job") && !ran.stderr.lines().any(|line| line.starts_with('{')), "{}", ran.stderr);
    scene.command(["work"]).env("LOG_FORMAT", "xml").run().await.expect(2, &[r#"LOG_FORMAT is "xml": expected json or text or auto"#]);
}
