//! Decides after each step whether the work goes on, from the stored history alone.

use std::collections::HashSet;

use domain::Finish;
use llm::StopReason;

use crate::PastStep;

/// The same calls with the same results this often in a row are warned about, then stopped.
pub(crate) const REPEATED: (usize, usize) = (3, 4);
/// Two steps that take turns: A-B-A-B is warned about, A-B-A-B-A-B stopped.
pub(crate) const ALTERNATING: (usize, usize) = (4, 6);
/// Steps in a row in which no call named a tool and fitted its schema.
pub(crate) const MALFORMED: (usize, usize) = (2, 3);
/// Replies in a row without any tool call: each but the last is answered with a nudge.
const SILENT: usize = 3;
/// Steps in a row that brought nothing which an earlier step had not brought.
const STALE: usize = 8;

/// What follows a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Another step.
    Continue,
    /// The model finished.
    Finished(Finish),
    /// It cannot go on.
    Failed {
        /// What happened, for people.
        cause: String,
    },
    /// It goes in circles: a larger model may do better. Where there is none, the job fails with this.
    Escalate {
        /// What happened, for people.
        reason: String,
    },
}

/// Decides what follows `history`. A step whose tools have not run yet is judged by its reply alone.
pub fn verdict(history: &[PastStep]) -> Verdict {
    let Some(last) = history.last() else { return Verdict::Continue };
    if last.reply.stop == StopReason::Refusal {
        let words = last.reply.text.trim();
        let cause =
            if words.is_empty() { "the model refused to answer".to_owned() } else { format!("the model refused: {}", shortened(words)) };
        return Verdict::Failed { cause };
    }
    let Some(ran) = &last.ran else { return Verdict::Continue };
    if let Some(finish) = &ran.finish {
        return Verdict::Finished(finish.clone());
    }
    let runs = Runs::of(history);
    let failed = |cause: String| Verdict::Failed { cause };
    if runs.silent >= SILENT {
        failed(format!("the model gave {} replies in a row without calling a tool", runs.silent))
    } else if runs.malformed >= MALFORMED.1 {
        failed(format!("{} steps in a row held only calls that no tool understands", runs.malformed))
    } else if runs.repeated >= REPEATED.1 {
        failed(format!("the same call had the same result {} times in a row: {}", runs.repeated, calls(last)))
    } else if runs.alternating >= ALTERNATING.1 {
        failed(format!("the last {} steps repeat the same two calls in turn, ending with {}", runs.alternating, calls(last)))
    } else if runs.stale >= STALE {
        Verdict::Escalate { reason: format!("the last {} steps brought nothing new", runs.stale) }
    } else {
        Verdict::Continue
    }
}

/// How long the patterns are that end with the newest step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Runs {
    pub silent: usize,
    pub malformed: usize,
    pub repeated: usize,
    pub alternating: usize,
    pub stale: usize,
}

impl Runs {
    pub(crate) fn of(history: &[PastStep]) -> Self {
        let signatures: Vec<Option<String>> = history.iter().map(signature).collect();
        let trailing = |matches: &dyn Fn(usize) -> bool| (0..history.len()).rev().take_while(|index| matches(*index)).count();
        let newest = history.len().saturating_sub(1);
        let is_repeated = |index: usize| signatures[index].is_some() && signatures[index] == signatures[newest];
        let mut seen = HashSet::new();
        let is_news: Vec<bool> =
            signatures.iter().map(|signature| signature.as_ref().is_some_and(|signature| seen.insert(signature))).collect();
        Self {
            silent: trailing(&|index| history[index].reply.tool_calls.is_empty()),
            malformed: trailing(&|index| is_malformed(&history[index])),
            repeated: trailing(&is_repeated),
            alternating: alternating(&signatures),
            stale: trailing(&|index| !is_news[index]),
        }
    }
}

/// How many of the newest steps are two different ones in turn.
fn alternating(signatures: &[Option<String>]) -> usize {
    match signatures {
        [.., Some(before), Some(newest)] if before != newest => {
            2 + signatures.windows(3).rev().take_while(|three| three[0] == three[2]).count()
        }
        _ => 0,
    }
}

fn is_malformed(step: &PastStep) -> bool {
    let calls = step.reply.tool_calls.len();
    calls > 0 && step.ran.as_ref().is_some_and(|ran| ran.malformed == calls)
}

/// What a step asked and got, for comparison: `None` without calls. Digits in results count as equal,
/// since durations and addresses differ each time.
fn signature(step: &PastStep) -> Option<String> {
    let ran = step.ran.as_ref()?;
    if step.reply.tool_calls.is_empty() {
        return None;
    }
    let calls = step.reply.tool_calls.iter().map(|call| format!("{} {}\n", call.name, call.input));
    let results = ran.results.iter().flat_map(|result| result.content.chars()).map(|c| if c.is_ascii_digit() { '#' } else { c });
    Some(calls.flat_map(|call| call.chars().collect::<Vec<_>>()).chain(results).collect())
}

fn calls(step: &PastStep) -> String {
    let calls: Vec<String> = step.reply.tool_calls.iter().map(|call| format!("{} {}", call.name, call.input)).collect();
    shortened(&calls.join(", "))
}

fn shortened(text: &str) -> String {
    const MOST_CHARS: usize = 200;
    if text.chars().count() <= MOST_CHARS { text.to_owned() } else { text.chars().take(MOST_CHARS).chain(['…']).collect() }
}
