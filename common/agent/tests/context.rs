//! Conversations that outgrow a window or a token cap are masked first and summed up second, in batches.

use agent::{Brief, HandOver, Hint, PastStep, Prompt, Toolbox, ToolsRan, account, estimate, request, summarised, wants_summary};
use domain::{Caps, Usage};
use llm::{ModelInfo, Models, Turn};
use serde_json::json;

use crate::fixture::{brief, change, said, silent, step};

fn model(context_window: u64) -> ModelInfo {
    ModelInfo { context_window, ..Models::builtin().lookup("claude-haiku-4-5").unwrap().clone() }
}

fn genius() -> Brief {
    Brief { caps: Caps::GENIUS, ..brief() }
}

fn prompt(history: &[PastStep], window: u64) -> Prompt {
    request(&genius(), &Toolbox::standard(), history, &[], &model(window))
}

/// A step that read `bytes` of output, at a provider that has the beginning in its cache.
fn read(step_no: u32, bytes: usize) -> PastStep {
    let text = format!("part {step_no}\n{}", "lorem ipsum\n".repeat(bytes / 12));
    let mut step = step(step_no, &[("shell", json!({ "command": format!("sed -n {step_no}p log") }))], &[&text]);
    said(&mut step).usage = Usage { uncached_input: 500, cache_read: 4_000, ..Usage::default() };
    step
}

/// The step that sums up, as the worker stores it.
fn summed_up(step_no: u32, text: &str, history: &[PastStep]) -> PastStep {
    let mut step = silent(step_no);
    said(&mut step).text = text.to_owned();
    step.set_ran(Some(ToolsRan { summary: Some(summarised(&step.reply, history, &model(16_000))), ..ToolsRan::default() }));
    step
}

fn shown(prompt: &Prompt) -> Vec<String> {
    prompt.request.turns.iter().map(|turn| format!("{turn:?}")).collect()
}

fn bytes(prompt: &Prompt) -> usize {
    let turns = prompt.request.turns.iter().map(|turn| match turn {
        Turn::User { text } => text.len(),
        Turn::Assistant(reply) => reply.native.get().len(),
        Turn::ToolResults { results, .. } => results.iter().map(|result| result.content.len()).sum(),
    });
    prompt.request.system.len() + serde_json::to_string(&prompt.request.tools).unwrap().len() + turns.sum::<usize>()
}

/// A hundred steps on `window`, summed up where that is asked for. Says how many calls did not only append, and how many
/// of the steps were summaries.
fn hundred_steps(window: u64, output: usize) -> (Vec<PastStep>, usize, usize) {
    let (mut history, mut before, mut rewritten, mut summaries): (Vec<PastStep>, Vec<String>, usize, usize) = Default::default();
    for step_no in 1..=100 {
        let prompt = prompt(&history, window);
        let turns = shown(&prompt);
        assert_eq!(prompt.request.check(), Ok(()), "step {step_no}");
        assert!(bytes(&prompt).div_ceil(3) < window as usize * 9 / 10, "step {step_no}: {} bytes", bytes(&prompt));
        estimate(&prompt, &"x".repeat(bytes(&prompt)), &model(window)).unwrap();
        // What is said to be unchanged is; and it is all that is.
        let same = turns.iter().zip(&before).take_while(|(now, before)| now == before).count();
        assert!(prompt.unchanged >= same.min(prompt.unchanged) && same >= prompt.unchanged.min(before.len()), "step {step_no}");
        rewritten += usize::from(same < before.len());
        assert_eq!(wants_summary(&genius(), &Toolbox::standard(), &history, &model(window)), prompt.asks_summary);
        before = turns;
        if prompt.asks_summary {
            summaries += 1;
            // The next one begins anew; what was asked for stands in no later call.
            let step = summed_up(step_no, &format!("Summary at {step_no}."), &history);
            history.push(step);
            before.clear();
        } else {
            history.push(read(step_no, output));
        }
    }
    (history, rewritten, summaries)
}

#[test]
fn a_hundred_steps_fit_a_small_window_and_most_calls_only_append() {
    for (window, output, most_rewritten) in [(16_000, 9_000, 50), (16_000, 3_000, 25), (32_000, 9_000, 25), (128_000, 9_000, 5)] {
        let (_, rewritten, summaries) = hundred_steps(window, output);
        assert!(rewritten + summaries <= most_rewritten, "{window} {output}: {rewritten} rewritten, {summaries} summaries");
        assert!((1..=12).contains(&summaries) || window > 16_000, "{window} {output}: {summaries} summaries");
    }
}

#[test]
fn a_conversation_that_fits_is_never_touched() {
    let history: Vec<PastStep> = (1..=30).map(|no| read(no, 9_000)).collect();
    let prompt = prompt(&history, 200_000);
    assert_eq!((prompt.unchanged, prompt.asks_summary), (61, false));
    assert!(!shown(&prompt).concat().contains("left out"));
}

#[test]
fn the_oldest_results_are_masked_first_and_the_newest_never() {
    let history: Vec<PastStep> = (1..=7).map(|no| read(no, 9_000)).collect();
    let prompt = prompt(&history, 16_000);
    let contents: Vec<&str> = prompt
        .request
        .turns
        .iter()
        .filter_map(|turn| match turn {
            Turn::ToolResults { results, .. } => Some(results[0].content.as_str()),
            _ => None,
        })
        .collect();
    assert!(contents[0].starts_with("[9007 bytes in 751 lines were here") && contents[0].contains("\"part 1\""), "{}", contents[0]);
    assert!(contents[6].starts_with("part 7\n"));
    assert!(!prompt.asks_summary);
}

#[test]
fn a_result_that_no_window_holds_keeps_its_ends() {
    let mut history = vec![read(1, 100_000)];
    change(&mut history[0], |ran| ran.results[0].content += "the last line");
    let Turn::ToolResults { results, .. } = &prompt(&history, 16_000).request.turns[2] else { panic!("results follow calls") };
    assert!(results[0].content.len() < 6_100 && results[0].content.starts_with("part 1\n"));
    assert!(results[0].content.ends_with("the last line"));
}

#[test]
fn after_a_summary_the_conversation_is_the_task_the_summary_and_the_last_steps() {
    let mut history: Vec<PastStep> = (1..=9).map(|no| read(no, 1_000)).collect();
    history.push(summed_up(10, "The rounding is in price.py.", &history));
    let hints = [Hint { before_step: 2, text: "look at b".into() }, Hint { before_step: 11, text: "now c".into() }];
    let built = request(&genius(), &Toolbox::standard(), &history, &hints, &model(16_000));
    assert_eq!((built.request.step_no, built.unchanged, built.request.turns.len()), (11, 0, 7));
    let Turn::User { text } = &built.request.turns[0] else { panic!("a conversation starts with the user") };
    assert!(text.contains(">\nThe rounding is in price.py.\n</summary-"), "{text}");
    assert!(text.contains("look at b") && !text.contains("now c"), "what a person said is not summed up: {text}");
    let all = shown(&built);
    assert!(all[2].contains("part 7") && all[6].contains("part 9") && all[6].contains("now c"));
    history.push(read(11, 100));
    assert!(shown(&request(&genius(), &Toolbox::standard(), &history, &hints, &model(16_000))).starts_with(&all));
}

#[test]
fn a_model_that_gives_no_summary_gets_the_list_of_its_calls() {
    let history = [read(1, 500), read(2, 500), read(2, 500)];
    let text = summarised(&silent_without_words(), &history, &model(16_000));
    assert_eq!(text, "- shell {\"command\":\"sed -n 1p log\"} → part 1\n- shell {\"command\":\"sed -n 2p log\"} → part 2 (2 times)");
}

fn silent_without_words() -> llm::Reply {
    llm::Reply { text: String::new(), ..silent(1).reply.as_ref().clone() }
}

#[test]
fn where_nothing_is_cached_the_token_cap_is_the_limit() {
    let uncached = |count: u32| -> Vec<PastStep> {
        let mut history: Vec<PastStep> = (1..=count).map(|no| read(no, 9_000)).collect();
        history.iter_mut().for_each(|step| said(step).usage.cache_read = 0);
        history
    };
    let mechanic = |history: &[PastStep]| request(&brief(), &Toolbox::standard(), history, &[], &model(200_000));
    assert!(!shown(&mechanic(&uncached(2))).concat().contains("bytes in"), "two replies prove nothing");
    assert!(shown(&mechanic(&uncached(4))).concat().contains("bytes in"));
    let cached: Vec<PastStep> = (1..=4).map(|no| read(no, 9_000)).collect();
    assert!(!shown(&mechanic(&cached)).concat().contains("bytes in"));
}

#[test]
fn a_call_after_masking_pays_for_everything_behind_the_first_change() {
    let history: Vec<PastStep> = (1..=20).map(|no| read(no, 9_000)).collect();
    let masked = |count: &usize| prompt(&history[..*count], 16_000).unchanged < 2 * count + 1;
    let count = (1..=20).find(masked).expect("a small window is full after some steps");
    let after = prompt(&history[..count], 16_000);
    let size = |prompt: &Prompt| estimate(prompt, &"x".repeat(bytes(prompt)), &model(16_000)).unwrap().new_input as usize;
    let behind: usize = bytes(&after) - bytes(&prompt(&[], 16_000));
    assert!(size(&after) > behind / 4, "{} of {behind} bytes", size(&after));
}

#[test]
fn whoever_takes_over_begins_with_an_account_of_what_was_tried() {
    let tried = account(&[read(1, 500), read(2, 500)]);
    let before = HandOver { after_step: 14, reason: "the last 8 steps brought nothing new".to_owned(), account: tried };
    let brief = Brief { handed_over: Some(before), ..genius() };
    let hints = [Hint { before_step: 7, text: "look at b".into() }];
    let prompt = request(&brief, &Toolbox::standard(), &[], &hints, &model(200_000));
    assert_eq!(prompt.request.step_no, 15);
    let Turn::User { text } = &prompt.request.turns[0] else { panic!("a conversation starts with the user") };
    assert!(text.contains("did not get through: the last 8 steps brought nothing new."), "{text}");
    assert!(text.contains("- shell {\"command\":\"sed -n 2p log\"} → part 2") && text.contains("look at b"), "{text}");
}

#[test]
fn what_another_model_of_the_same_provider_was_sent_is_in_no_cache() {
    let mut history = vec![read(1, 9_000)];
    let cached = |history: &[PastStep]| {
        let prompt = prompt(history, 200_000);
        estimate(&prompt, &"x".repeat(bytes(&prompt)), &model(200_000)).unwrap().cached_prefix
    };
    assert!(cached(&history) > 0);
    said(&mut history[0]).model = "claude-opus-4-5-20251101".to_owned();
    assert_eq!(cached(&history), 0);
}

#[test]
fn an_account_tells_the_newest_steps_and_how_many_came_before() {
    let history: Vec<PastStep> = (1..=40).map(|no| read(no, 24)).collect();
    let told = account(&history);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!((lines.len(), lines[0]), (31, "- (10 earlier ones)"));
    assert!(lines[1].contains("sed -n 11p log") && lines[30].contains("sed -n 40p log"), "{told}");
}
