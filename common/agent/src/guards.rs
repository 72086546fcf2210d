//! Decides after each step whether the work goes on, from the stored history alone.

use domain::Finish;
use llm::StopReason;

use crate::PastStep;
use crate::runs::{ALTERNATING, MALFORMED, REPEATED, Runs, SILENT, STALE, UNAPPLIED};

/// What follows a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Another step.
    Continue,
    /// The model finished.
    Finished(Finish),
    /// The model has nothing to hand in but a question to a person. Without an answer the work ends with this.
    Asked(Finish),
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
    if let Some(finish) = &ran.asked {
        return Verdict::Asked(finish.clone());
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
    } else if runs.unapplied >= UNAPPLIED.1 {
        failed(format!("an edit of the same file did not apply {} times, ending with {}", runs.unapplied, calls(last)))
    } else if runs.stale >= STALE {
        Verdict::Escalate { reason: format!("the last {} steps brought nothing new", runs.stale) }
    } else {
        Verdict::Continue
    }
}

fn calls(step: &PastStep) -> String {
    let calls: Vec<String> = step.reply.tool_calls.iter().map(|call| format!("{} {}", call.name, call.input)).collect();
    shortened(&calls.join(", "))
}

fn shortened(text: &str) -> String {
    const MOST_CHARS: usize = 200;
    if text.chars().count() <= MOST_CHARS { text.to_owned() } else { text.chars().take(MOST_CHARS).chain(['…']).collect() }
}
