//! The next request, rebuilt from the history.

use llm::{ModelInfo, ModelRequest, StopReason, ToolResult, Turn};

use crate::{Brief, Hint, PastStep, Toolbox, prompt};

/// The most output that one call may ask for: what is longer belongs in several steps, and a reply of
/// this size comes within the time of a job.
const MOST_OUTPUT: u64 = 16_384;

/// The request of the step after `history`.
///
/// The same history gives the same bytes, and a longer one only appends turns: that is what lets
/// providers serve the beginning from their cache. `max_output` is what the model may give; the caller
/// lowers it to what it could reserve.
pub fn request(brief: &Brief, tools: &Toolbox, history: &[PastStep], hints: &[Hint], model: &ModelInfo) -> ModelRequest {
    let first = history.first().map_or(1, |step| step.step_no);
    let mut turns = vec![Turn::User { text: paragraphs([Some(prompt::task(brief)), hints_before(hints, first)]).unwrap_or_default() }];
    for step in history {
        turns.push(Turn::Assistant(step.reply.clone()));
        turns.push(answer(step, hints_before(hints, step.step_no + 1)));
    }
    ModelRequest {
        model: model.name.clone(),
        step_no: history.last().map_or(1, |step| step.step_no + 1),
        system: prompt::system(brief),
        turns,
        tools: tools.specs(),
        max_output: model.max_output.min(MOST_OUTPUT),
    }
}

/// What follows a reply: the results of its calls, or a nudge where it made none.
fn answer(step: &PastStep, hints: Option<String>) -> Turn {
    let note = step.ran.as_ref().and_then(|ran| ran.note.clone());
    if step.reply.tool_calls.is_empty() {
        let nudge = match step.reply.stop {
            StopReason::MaxTokens => prompt::NUDGE_CUT,
            _ => prompt::NUDGE,
        };
        let text = paragraphs([Some(nudge.trim().to_owned()), note, hints]).unwrap_or_default();
        return Turn::User { text };
    }
    let stored = step.ran.as_ref().map(|ran| ran.results.as_slice()).unwrap_or_default();
    let results = step.reply.tool_calls.iter().enumerate().map(|(index, call)| {
        let stored = stored.get(index).filter(|result| result.call_id == call.id).cloned();
        stored.unwrap_or_else(|| ToolResult { call_id: call.id.clone(), content: prompt::LOST.trim().to_owned(), is_error: true })
    });
    Turn::ToolResults { results: results.collect(), note: paragraphs([note, hints]) }
}

fn hints_before(hints: &[Hint], step_no: u32) -> Option<String> {
    paragraphs(hints.iter().filter(|hint| hint.before_step == step_no).map(|hint| Some(prompt::hint(&hint.text))))
}

fn paragraphs(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { None } else { Some(parts.join("\n\n")) }
}
