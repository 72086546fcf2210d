//! With a vendor's key the demonstration asks that vendor's model.

use e2e::{Codeteam, root};
use process::{Exit, Signal};
use serde_json::Value;
use testkit::model::{Answer, ModelStub};

use super::{demo, fixed, nothing_is_left, temporary};

/// What the scripted model of the demonstration answers, as a vendor's.
fn answers() -> Vec<Answer> {
    let file: Value = serde_json::from_slice(&std::fs::read(root().join("examples/tally.replies.json")).unwrap()).unwrap();
    let call = |call: &Value| (call["name"].as_str().unwrap().to_owned(), call["input"].clone());
    let answer = |reply: &Value| Answer {
        text: reply["text"].as_str().unwrap_or_default().to_owned(),
        calls: reply["tool_calls"].as_array().unwrap().iter().map(call).collect(),
    };
    file["replies"].as_array().unwrap().iter().map(answer).collect()
}

#[tokio::test]
async fn a_key_of_anthropic_buys_the_whole_demonstration_and_scripted_buys_nothing() {
    let (temporary, model) = (temporary(), ModelStub::start(answers()).await);
    let keyed = |command: Codeteam| command.env("ANTHROPIC_API_KEY", ModelStub::KEY).env("ANTHROPIC_BASE_URL", model.url());
    let scripted = keyed(Codeteam::new(["demo", "--json", "--scripted"]).env("TMPDIR", temporary.path())).run().await;
    fixed(&scripted.json(0));
    assert!(scripted.stderr.contains("scripted: the replies come from"), "{}", scripted.stderr);
    assert_eq!(model.calls().iter().sum::<usize>(), 0);
    let ran = keyed(demo(&temporary)).run().await;
    fixed(&ran.json(0));
    assert!(ran.stderr.contains("a real model, claude-haiku-4-5, with a hard budget of $0.25"), "{}", ran.stderr);
    assert_eq!((model.calls(), model.refusals()), (vec![1; answers().len()], Vec::<String>::new()));
    nothing_is_left(&temporary).await;
}

#[tokio::test]
async fn every_vendors_key_names_the_model_that_is_asked() {
    // Nobody listens there: who would be asked is said before.
    let nobody = "http://127.0.0.1:1";
    for (model, settings) in [
        ("gpt-5-mini", vec![("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", nobody)]),
        ("gemini-2.5-flash", vec![("GOOGLE_API_KEY", "k"), ("GOOGLE_BASE_URL", nobody)]),
        (
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            vec![("AWS_REGION", "us-east-1"), ("AWS_BEARER_TOKEN_BEDROCK", "k"), ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", nobody)],
        ),
        (
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            vec![
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "k"),
                ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", nobody),
            ],
        ),
    ] {
        let temporary = temporary();
        let running = settings.iter().fold(demo(&temporary), |command, (name, value)| command.env(name, *value)).start();
        running.says(&format!("a real model, {model}, ")).await;
        let (exit, said) = running.end(Signal::INT).await;
        assert!(matches!(exit, Exit::Code(code) if code != 0), "{exit}:\n{said}");
        nothing_is_left(&temporary).await;
    }
}
