//! When the work ends, and what the model is told before it does.

use agent::{PastStep, ToolsRan, Verdict, note, verdict};
use domain::job::Confidence;
use domain::{Caps, Finish, MicroUsd};
use llm::StopReason;
use serde_json::json;

use crate::fixture::{brief, change, said, silent, step, steps};

fn warning(history: &[PastStep]) -> Option<String> {
    note(&brief(), history, &Caps::MECHANIC)
}

fn cause(history: &[PastStep]) -> String {
    match verdict(history) {
        Verdict::Failed { cause } => cause,
        other => panic!("not failed but {other:?}"),
    }
}

fn malformed(step_no: u32) -> PastStep {
    let mut step = step(step_no, &[("edit", json!({ "no": step_no }))], &["there is no tool \"edit\""]);
    change(&mut step, |ran| ran.malformed = 1);
    step
}

#[test]
fn work_that_moves_goes_on() {
    let history = steps(&[("ls", "a b"), ("cat a", "1"), ("make test", "1 failed"), ("edit a", "done"), ("make test", "0 failed, all ok")]);
    assert_eq!((verdict(&history), warning(&history)), (Verdict::Continue, None));
    assert_eq!(verdict(&[]), Verdict::Continue);
}

#[test]
fn the_same_call_and_result_warns_the_third_time_and_stops_the_fourth() {
    let same = [("make test", "1 failed in 0.31 s"), ("make test", "1 failed in 0.29 s"), ("make test", "1 failed in 0.30 s")];
    let history = steps(&same);
    assert_eq!(verdict(&history), Verdict::Continue);
    assert!(warning(&history).unwrap().contains("three times"));
    assert_eq!(warning(&history[..2]), None);
    let history = steps(&[same.as_slice(), &same[..1]].concat());
    assert_eq!(cause(&history), r#"the same call had the same result 4 times in a row: shell {"command":"make test"}"#);
}

#[test]
fn the_same_call_with_other_results_goes_on() {
    let history = steps(&[("tail log", "starting"), ("tail log", "loading"), ("tail log", "ready"), ("tail log", "done")]);
    assert_eq!((verdict(&history), warning(&history)), (Verdict::Continue, None));
}

#[test]
fn two_steps_in_turn_warn_after_two_rounds_and_stop_after_three() {
    let (a, b) = (("cat a", "text of a"), ("cat b", "text of b"));
    let history = steps(&[a, b, a, b]);
    assert_eq!(verdict(&history), Verdict::Continue);
    assert!(warning(&history).unwrap().contains("two calls in turn"));
    assert!(cause(&steps(&[a, b, a, b, a, b])).starts_with("the last 6 steps repeat the same two calls in turn"));
    let broken = steps(&[a, b, a, ("cat c", "text of c"), a, b]);
    assert_eq!(verdict(&broken), Verdict::Continue);
}

#[test]
fn three_malformed_steps_in_a_row_stop_and_the_second_warns() {
    let history: Vec<_> = (1..=3).map(malformed).collect();
    assert_eq!(verdict(&history[..2]), Verdict::Continue);
    assert!(warning(&history[..2]).unwrap().contains("schema"));
    assert_eq!(cause(&history), "3 steps in a row held only calls that no tool understands");
    let interrupted = [malformed(1), malformed(2), step(3, &[("shell", json!({}))], &["ok"]), malformed(4)];
    assert_eq!(verdict(&interrupted), Verdict::Continue);
}

#[test]
fn replies_without_a_tool_call_are_nudged_twice() {
    let history = [silent(1), silent(2), silent(3)];
    assert_eq!(verdict(&history[..2]), Verdict::Continue);
    assert_eq!(cause(&history), "the model gave 3 replies in a row without calling a tool");
}

#[test]
fn eight_steps_without_news_escalate() {
    let cycle = [("a", "one"), ("b", "two"), ("c", "three")];
    let history = steps(&cycle.repeat(4));
    assert_eq!(verdict(&history[..10]), Verdict::Continue);
    assert_eq!(verdict(&history[..11]), Verdict::Escalate { reason: "the last 8 steps brought nothing new".to_owned() });
}

#[test]
fn a_refusal_fails_with_the_models_words() {
    let mut refused = step(1, &[], &[]);
    said(&mut refused).stop = StopReason::Refusal;
    said(&mut refused).text = "I cannot help with that.".to_owned();
    refused.set_ran(None);
    assert_eq!(cause(&[refused.clone()]), "the model refused: I cannot help with that.");
    said(&mut refused).text.clear();
    assert_eq!(cause(&[refused]), "the model refused to answer");
}

#[test]
fn a_finish_ends_the_work_whatever_came_before() {
    let finish = Finish {
        summary: "s".into(),
        title: "t".into(),
        tests_run: Vec::new(),
        confidence: Confidence::High,
        needs_human: None,
        comments: vec![],
    };
    let mut history = steps(&[("x", "y"); 5]);
    history[4].set_ran(Some(ToolsRan { finish: Some(finish.clone()), ..ToolsRan::default() }));
    assert_eq!(verdict(&history), Verdict::Finished(finish));
}

#[test]
fn a_step_whose_tools_have_not_run_is_not_judged_by_them() {
    let mut history = steps(&[("x", "y"); 4]);
    history[3].set_ran(None);
    assert_eq!(verdict(&history), Verdict::Continue);
}

/// An edit of `path`; `is_applied` says how it ended.
fn edit(step_no: u32, path: &str, old: &str, is_applied: bool) -> PastStep {
    let input = json!({ "path": path, "edits": [{ "old": old, "new": "new" }] });
    let mut step = step(step_no, &[("edit_file", input)], &[&format!("{path} after {old}")]);
    change(&mut step, |ran| ran.results[0].is_error = !is_applied);
    step
}

#[test]
fn an_edit_that_never_applies_warns_the_third_time_and_stops_the_fourth_whatever_is_read_between() {
    let look = |no| step(no, &[("read_file", json!({ "path": "a", "from_line": no }))], &["a line"]);
    let history: Vec<PastStep> = (1..=4).flat_map(|no| [edit(no * 2, "a", &format!("old {no}"), false), look(no * 2 + 1)]).collect();
    assert_eq!((verdict(&history[..4]), warning(&history[..3])), (Verdict::Continue, None));
    assert!(warning(&history[..5]).unwrap().contains("did not apply three times"));
    assert_eq!(warning(&history[..6]), None, "said once");
    assert!(cause(&history[..7]).starts_with("an edit of the same file did not apply 4 times"));
    let applied = [&history[..4], &[edit(9, "b", "old", true)], &history[4..]].concat();
    assert_eq!(verdict(&applied[..8]), Verdict::Continue, "one that applied begins anew");
    let other = [&history[..6], &[edit(9, "b", "old", false)]].concat();
    assert_eq!(verdict(&other), Verdict::Continue, "another file is another edit");
}

#[test]
fn the_last_tenth_of_each_cap_asks_for_an_end_and_what_comes_before_does_not() {
    let history = steps(&[("ls", "")]);
    let caps = Caps { steps: 20, tokens: 50_000, cost_microusd: MicroUsd(500_000), active_ms: 60_000 };
    let told = |left: Caps| note(&agent::Brief { caps, ..brief() }, &history, &left).is_some();
    assert!(!told(Caps { steps: 3, tokens: 5_100, cost_microusd: MicroUsd(50_001), active_ms: 6_001 }));
    for left in [
        Caps { steps: 2, ..caps },
        Caps { tokens: 5_000, ..caps },
        Caps { cost_microusd: MicroUsd(50_000), ..caps },
        Caps { active_ms: 6_000, ..caps },
    ] {
        assert!(told(left), "{left:?}");
    }
}

#[test]
fn what_the_tools_said_counts_before_the_next_call_has_paid_for_it() {
    let history = steps(&[("cat log", &"x".repeat(9_000))]);
    let left = Caps { tokens: 7_000, ..Caps::MECHANIC };
    assert!(note(&brief(), &history, &left).unwrap().contains(" 3998 tokens"));
    assert_eq!(note(&brief(), &steps(&[("cat log", "short")]), &left), None);
}

#[test]
fn what_is_left_is_named_and_the_last_step_is_the_last_tenth_of_any_number() {
    let history = steps(&[("ls", "a")]);
    let left = Caps { steps: 2, tokens: 4_321, active_ms: 9_999, ..Caps::MECHANIC };
    let text = note(&brief(), &history, &left).unwrap();
    assert!(text.starts_with("Little is left: 2 steps, 4318 tokens, 9 s, $0.5000."), "{text}");
    let small = agent::Brief { caps: Caps { steps: 3, ..Caps::MECHANIC }, ..brief() };
    assert!(note(&small, &history, &Caps { steps: 1, ..Caps::MECHANIC }).unwrap().contains("1 step,"));
    assert_eq!(note(&small, &history, &Caps { steps: 2, ..Caps::MECHANIC }), None);
}

#[test]
fn a_summary_in_between_breaks_no_pattern() {
    let same = |no| step(no, &[("shell", json!({ "command": "make" }))], &["nothing to be done"]);
    let mut summary = silent(4);
    summary.set_ran(Some(ToolsRan { summary: Some("It made nothing.".to_owned()), ..ToolsRan::default() }));
    let history = [same(1), same(2), same(3), summary, same(5)];
    let cause = cause(&history);
    assert!(cause.starts_with("the same call had the same result 4 times in a row"), "{cause}");
}
