//! `codeteam eval`: the suite that ships, and what the harness says about suites, runs and models.

mod live;
mod mini;

use e2e::{Codeteam, measured, skipped};
use process::{Exit, Signal};
use serde_json::{Value, json};

use mini::{COMMAND, Mini, read, replies, steps};

#[tokio::test]
async fn every_task_that_ships_is_solved_by_its_solve_script_and_by_nothing_else() {
    let suite = e2e::root().join("evals/core");
    let ran = Codeteam::new(["eval", suite.to_str().unwrap(), "--check", "--json"]).run().await;
    let trials: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.said()));
    measured(&format!("codeteam eval evals/core --check: {} trials in {:.1} s", trials.len(), ran.took.as_secs_f64()));
    let wrong: Vec<_> = trials.iter().filter(|trial| trial["problem"] != Value::Null).collect();
    assert_eq!(wrong, Vec::<&Value>::new(), "{}", ran.stderr);
    let not_run: Vec<_> = trials.iter().filter(|trial| trial["not_run"] == true).collect();
    assert_eq!(ran.code, if not_run.is_empty() { 0 } else { 4 }, "{}", ran.stderr);
    if let Some(first) = not_run.first() {
        // Python and sh are the system's; node may be missing, and cargo lie where only its owner may read.
        let shown = not_run.iter().map(|trial| trial["task"].as_str().unwrap()).collect::<Vec<_>>().join(", ");
        assert!(not_run.iter().all(|trial| !trial["task"].as_str().unwrap().starts_with("python-")), "{}", ran.stderr);
        skipped(&format!("the evaluation tasks {shown}"), first["result"]["why"][0].as_str().unwrap());
    }
    let tasks: std::collections::BTreeSet<&str> = trials.iter().map(|trial| trial["task"].as_str().unwrap()).collect();
    for field in ["kind", "mode"] {
        let values: std::collections::BTreeSet<&str> = trials.iter().map(|trial| trial["result"][field].as_str().unwrap()).collect();
        let all: &[&str] = if field == "kind" { &["analysis", "change", "question", "review"] } else { &["genius", "mechanic"] };
        assert_eq!(values.into_iter().collect::<Vec<_>>(), all, "the suite covers every {field}");
    }
    assert!(tasks.len() >= 12, "{tasks:?}");
    for language in ["rust", "python", "typescript"] {
        let named = format!("languages = [\"{language}\"]");
        let text = |task: &str| std::fs::read_to_string(suite.join(task).join("task.toml")).unwrap();
        assert!(tasks.iter().any(|task| text(task).contains(&named)), "no task is in {language}");
    }
}

#[tokio::test]
async fn a_broken_task_is_named_with_file_and_line_and_nothing_is_run() {
    let suite = Mini::new().await;
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        suite.change(name, "mechanic", COMMAND, "hello", "hallo");
    }
    let head = "title = \"Why?\"\nkind = \"question\"\nmode = \"mechanic\"\nlanguages = []\n\n";
    suite.put("a/task.toml", "title = \"x\"\nkind = \"chnage\"\nmode = \"mechanic\"\nlanguages = []\n[check]\n");
    suite.put("b/task.toml", "title = \"x\"\nkind = \"change\"\nmode = \"mechanic\"\nlanguages = []\n\n[check]\ncommand = \"true\"\n");
    suite.put("c/task.toml", &format!("{head}[[check.expected]]\nwhat = \"it\"\npath = \"greeting.txt\"\nlines = [2, 3]\n"));
    suite.put("d/task.toml", &format!("{head}[[check.expected]]\nwhat = \"it\"\nmatches = '(unclosed'\n"));
    suite.put("e/scripts/wrong.json", "{\"name\": \"x\",\n \"replies\": 7}");
    std::fs::remove_file(suite.path().join("f/scripts/solve.json")).unwrap();
    suite.put("g/task.toml", &format!("{head}[[check.expected]]\nwhat = \"it\"\npath = \"gone.txt\"\n"));
    suite.eval(&["--check"]).run().await.expect(
        2,
        &[
            "a/task.toml:2: unknown variant `chnage`, expected one of",
            "b/task.toml:6: a change needs `command`, which runs the hidden tests, and `passed`",
            "c/task.toml:9: lines [2, 3]: greeting.txt has lines 1 to 1",
            "d/task.toml:8: matches is no regular expression",
            "e/scripts/wrong.json: invalid type: integer `7`, expected a sequence at line 2",
            "f/scripts/solve.json is missing: every task ships",
            "g/task.toml:8: there is no gone.txt in the repository",
        ],
    );
    Mini::new().await.eval(&[]).run().await.expect(2, &["holds no task: a suite is a folder of folders with a task.toml"]);
    Codeteam::new(["eval", "/nowhere/at/all"]).run().await.expect(2, &["cannot find the suite /nowhere/at/all"]);
}

#[tokio::test]
async fn a_suite_that_cannot_be_believed_fails_its_check() {
    let suite = Mini::new().await;
    suite.change("anything-goes", "mechanic", "printf 'Ran 1 test in 0s\\n\\nOK\\n'", "hello", "hallo");
    suite.change("breaks-off", "mechanic", COMMAND, "hello", "hallo");
    suite.put("breaks-off/scripts/wrong.json", &replies(&steps("hallo")[..1]));
    suite.change("changes-nothing", "mechanic", COMMAND, "hello", "helo");
    suite.change("ends-early", "genius", "exit 0", "hello", "hallo");
    suite.change("fine", "genius", COMMAND, "hello", "hallo");
    let ran = suite.eval(&["--check", "--json"]).run().await;
    let trials = ran.json(1);
    let problem = |task: &str, trial: &str| {
        let found = trials.as_array().unwrap().iter().find(|one| one["task"] == task && one["trial"] == trial).unwrap();
        found["problem"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(problem("anything-goes", "wrong"), "the wrong script counts as solved");
    assert_eq!(problem("anything-goes", "untouched"), "it counts as solved before anybody has done anything");
    assert!(problem("breaks-off", "wrong").starts_with("the script does not reach finish: the job failed"), "{}", ran.stderr);
    assert_eq!(problem("changes-nothing", "wrong"), "the wrong script hands nothing in");
    assert!(problem("ends-early", "solve").contains("exit code 0, 0 of 1 passed"), "{}", ran.stderr);
    assert_eq!(["solve", "wrong", "untouched"].map(|trial| problem("fine", trial)), ["", "", ""]);
    assert!(ran.stderr.contains("5 trials did not come out as they must"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_scripted_run_is_compared_with_the_last_and_has_no_solve_rate() {
    let suite = Mini::new().await;
    suite.change("one", "mechanic", COMMAND, "hello", "hallo");
    suite.change("two", "genius", COMMAND, "hallo", "hallo");
    let first = suite.eval(&["--json"]).run().await.json(0);
    assert!(first["solve_rate"].as_str().unwrap().contains("so there is no solve rate"), "{first}");
    assert_eq!(first["compared"], Value::Null);
    let scores = |report: &Value| report["tasks"].as_array().unwrap().iter().map(|task| task["score"].clone()).collect::<Vec<_>>();
    assert_eq!(scores(&first), ["solved", "unsolved"]);
    assert!(first["tasks"][0]["produced"].as_str().unwrap().contains("+hello"), "{first}");

    suite.change("two", "genius", COMMAND, "hello", "hallo");
    let second = suite.eval(&[]).run().await;
    second.expect(0, &["TASK", "so there is no solve rate", "over 2 tasks that both ran", "newly solved: two", "results: "]);
    assert!(!second.said().contains('%'), "no share is shown that somebody could take for a rate:\n{}", second.said());
    let files = suite.results("-scripted-solve.json");
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(read(&files[1])["compared"]["newly_solved"], json!(["two"]));
    let markdown = std::fs::read_to_string(&suite.results("-scripted-solve.md")[0]).unwrap();
    assert!(markdown.contains("so there is no solve rate**") && markdown.contains("| two | change | genius | unsolved |"), "{markdown}");

    let only = suite.eval(&["--json", "--only", "t*", "--mode", "genius", "--script", "wrong"]).run().await.json(0);
    assert_eq!((scores(&only), &only["tasks"][0]["task"]), (vec![json!("unsolved")], &json!("two")));
    suite.eval(&["--kind", "review"]).run().await.expect(2, &["no task is left"]);
}

#[tokio::test]
async fn an_answer_is_judged_by_the_comment_that_was_written() {
    let suite = Mini::new().await;
    let check = "[[check.expected]]\nwhat = \"the greeting\"\npath = \"greeting.txt\"\nlines = [2, 3]\nmatches = 'misspelled'\n\n\
                 [[check.forbidden]]\nwhat = \"the farewell\"\nmatches = 'farewell'\n";
    suite.put("ask/task.toml", &format!("title = \"What is wrong?\"\nkind = \"analysis\"\nmode = \"mechanic\"\nlanguages = []\n\n{check}"));
    suite.put("ask/repo/greeting.txt", "1\nhelo\n3\n");
    let answer = |summary: &str| {
        replies(&[("finish", json!({ "title": "It is wrong", "summary": summary, "tests_run": [], "confidence": "high" }))])
    };
    suite.put("ask/scripts/solve.json", &answer("`greeting.txt` (line 2) is misspelled."));
    suite.put("ask/scripts/wrong.json", &answer("- greeting.txt:2 is fine\n- something is misspelled, the farewell too"));
    suite.eval(&["--check"]).run().await.expect(0, &["2 of 2 trials came out as they must"]);
    let wrong = suite.eval(&["--json", "--script", "wrong"]).run().await.json(0);
    let why = json!(["does not say: the greeting (greeting.txt:2-3)", "says wrongly: the farewell"]);
    assert_eq!(wrong["tasks"][0]["why"], why, "{wrong}");
}

#[tokio::test]
async fn a_job_sees_nothing_of_the_hidden_tests_or_the_scripts() {
    let suite = Mini::new().await;
    suite.change("look", "mechanic", "! grep -qE 'secret|scripts|task.toml' seen.txt && printf 'Ran 1 test in 0s\\n\\nOK\\n'", "", "");
    let look = json!({ "command": "ls -aR .. > /dev/null; { ls -aR .; git log --all --name-only; env; } > seen.txt" });
    let calls = [("shell", look), steps("hello").pop().unwrap()];
    suite.put("look/scripts/solve.json", &replies(&calls));
    let report = suite.eval(&["--json"]).run().await.json(0);
    assert_eq!(report["tasks"][0]["score"], "solved", "{report}");
    assert!(report["tasks"][0]["produced"].as_str().unwrap().contains("greeting.txt"), "it did look: {report}");
}

#[tokio::test]
async fn what_was_done_before_ctrl_c_is_in_the_results() {
    let suite = Mini::new().await;
    suite.change("a-quick", "mechanic", COMMAND, "hello", "hallo");
    suite.change("b-slow", "mechanic", "sleep 600", "hello", "hallo");
    let running = suite.eval(&[]).start();
    running.says("a-quick").await;
    let (exit, said) = running.end(Signal::INT).await;
    assert_eq!(exit, Exit::Code(1), "{said}");
    assert!(said.contains("interrupted: what was done until then is in the results"), "{said}");
    let report = read(&suite.results(".json")[0]);
    assert_eq!(report["interrupted"], true);
    assert_eq!((&report["tasks"][0]["score"], &report["tasks"][1]["why"]), (&json!("solved"), &json!(["interrupted"])), "{report}");
}
