//! What the model is told beside the results of a step.

use domain::Caps;

use crate::estimate::results_size;
use crate::runs::{ALTERNATING, MALFORMED, REPEATED, Runs, UNAPPLIED};
use crate::{Brief, PastStep};

/// The note for the newest step of `history`, whose tools have run; `left` is what the job has left after
/// it. `None` where there is nothing to say.
///
/// The caller stores it in [`crate::ToolsRan::note`]: it depends on the time used, and a conversation
/// that is rebuilt later must hold the very words that were sent.
pub fn note(brief: &Brief, history: &[PastStep], left: &Caps) -> Option<String> {
    let runs = Runs::of(history);
    let mut notes = Vec::new();
    if runs.malformed == MALFORMED.0 {
        notes
            .push("Your last calls named no tool or did not fit its schema. One more such step ends the job: read the schemas.".to_owned());
    }
    if runs.repeated == REPEATED.0 {
        notes.push(
            "You made the same call three times and got the same result. Once more ends the job: do something else, or finish.".to_owned(),
        );
    }
    if runs.alternating == ALTERNATING.0 {
        notes.push("You repeat the same two calls in turn. Go on like this and the job ends: do something else, or finish.".to_owned());
    }
    if runs.unapplied == UNAPPLIED.0 {
        notes.push(
            "Your edits of this file did not apply three times. Once more ends the job: read the lines that you want to change and copy \
             them exactly, or write the whole file."
                .to_owned(),
        );
    }
    // What the tools have just said goes into the next call, and no reply has counted it yet.
    let unsent = history.last().map_or(0, results_size);
    let left = Caps { tokens: left.tokens.saturating_sub(unsent), ..*left };
    if brief.caps.nearly_reached(&left) || left.steps == 1 {
        notes.push(nearly_over(&left));
    }
    if notes.is_empty() { None } else { Some(notes.join("\n")) }
}

fn nearly_over(left: &Caps) -> String {
    let Caps { steps, tokens, active_ms, cost_microusd } = left;
    let (steps, seconds) = (if *steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") }, active_ms / 1000);
    format!(
        "Little is left: {steps}, {tokens} tokens, {seconds} s, {cost_microusd}. Bring the work into a state that can be handed in and \
         call finish now; say in the summary what is not done."
    )
}
