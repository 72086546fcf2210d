//! Runs that ask a model: here a stub on loopback that speaks Anthropic's API.

use testkit::model::{Answer, ModelStub};

use super::mini::{COMMAND, Mini, steps};

const MODEL: &str = "claude-haiku-4-5";

/// Two tasks that the stub's answers solve and one that they do not.
async fn suite() -> (Mini, ModelStub) {
    let suite = Mini::new().await;
    suite.change("one", "mechanic", COMMAND, "hello", "hallo");
    suite.change("two", "genius", COMMAND, "hello", "hallo");
    suite.change("wants-more", "mechanic", "false", "hello", "hallo");
    let model = ModelStub::start(steps("hello").into_iter().map(|(tool, input)| Answer::call(tool, input))).await;
    (suite, model)
}

#[tokio::test]
async fn a_live_run_has_a_rate_with_its_interval_and_fails_below_a_wanted_share() {
    let (suite, model) = suite().await;
    let eval = async |arguments: &[&str]| {
        let all: Vec<&str> = ["--live", "--budget", "30", "--model", MODEL].into_iter().chain(arguments.iter().copied()).collect();
        suite.eval(&all).env("ANTHROPIC_API_KEY", ModelStub::KEY).env("ANTHROPIC_BASE_URL", model.url()).run().await
    };
    let report = eval(&["--json", "--fail-under", "66"]).await.json(0);
    let rate = &report["solve_rate"];
    assert_eq!((&rate["solved"], &rate["of"]), (&2.into(), &3.into()), "{report}");
    assert_eq!(report["models"], serde_json::json!([MODEL]));
    assert!(report["cost_microusd"].as_i64().unwrap() > 0, "{report}");
    let ran = eval(&["--fail-under", "67"]).await;
    ran.expect(1, &["solved 2 of 3: 66.7 % (95 % interval 20.8 to 93.9 %)", "66.7 % of the tasks are solved, less than 67 %"]);
    assert_eq!(model.refusals(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_budget_has_no_room_for_is_not_run_and_counts_for_nothing() {
    let (suite, model) = suite().await;
    let arguments = ["--live", "--budget", "0.001", "--model", MODEL, "--json", "--parallel", "3", "--fail-under", "1"];
    let ran = suite.eval(&arguments).env("ANTHROPIC_API_KEY", ModelStub::KEY).env("ANTHROPIC_BASE_URL", model.url()).run().await;
    let report = ran.json(3);
    assert_eq!((&report["cost_microusd"], &report["budget_microusd"]), (&0.into(), &1_000.into()), "{report}");
    assert_eq!(
        (&report["solve_rate"]["of"], model.calls().iter().sum::<usize>()),
        (&0.into(), 0),
        "no call is made that could cost more: {report}"
    );
    assert!(report["tasks"].as_array().unwrap().iter().all(|task| task["score"] == "not_run"), "{report}");
    assert!(ran.stderr.contains("3 tasks were not run, one among them: the budget of the run"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_live_run_needs_a_key_and_a_model_that_exists() {
    let (suite, _) = suite().await;
    suite.eval(&["--live", "--budget", "1"]).run().await.expect(4, &["no model for", "ANTHROPIC_API_KEY"]);
    let unknown = suite.eval(&["--live", "--budget", "1", "--model", "claude-haiku-45"]).env("ANTHROPIC_API_KEY", "test").run().await;
    unknown.expect(2, &[r#"no model "claude-haiku-45" in the price table"#]);
}
