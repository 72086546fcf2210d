//! The next request, rebuilt from the history.

use std::sync::Arc;

use llm::{ModelInfo, ModelRequest, Reply, StopReason, ToolResult, Turn};

use crate::context::{Context, clipped, digest, result_limit, stub, summary_limit};
use crate::estimate::tokens;
use crate::tools::Offer;
use crate::{Brief, Hint, PastStep, Toolbox, prompt};

/// The most output that one call may ask for: what is longer belongs in several steps, and a reply of
/// this size comes within the time of a job.
const MOST_OUTPUT: u64 = 16_384;

/// The next call.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What to send.
    pub request: ModelRequest,
    /// How many of its turns, from the first on, the call before had sent in the same bytes; whatever that call
    /// appended counts as sent. 0 = it begins otherwise.
    pub unchanged: usize,
    /// Whether the reply is to be a summary ([`summarised`]): its calls are not carried out.
    pub asks_summary: bool,
}

/// The call of the step after `history`.
///
/// The same history gives the same bytes, and a longer one nearly always only appends turns: that is what lets
/// providers serve the beginning from their cache. Where it does not, the conversation was shortened; the
/// module `context` says when and how. `max_output` is what the model may give; the caller lowers it to what it
/// could reserve.
pub fn request(brief: &Brief, tools: &Toolbox, history: &[PastStep], hints: &[Hint], model: &ModelInfo) -> Prompt {
    let (system, offer, opening) = (prompt::system(brief), tools.offer(model.provider), opening(brief));
    let context = Context::of(brief, history, base(&system, &offer, &opening), model);
    let shown: Vec<&PastStep> = context.shown.iter().map(|index| &history[*index]).collect();
    let before = brief.handed_over.as_ref().map_or(0, |before| before.after_step);
    let step_no = history.last().map_or(before, |step| step.step_no) + 1;
    let first = shown.first().map_or(step_no, |step| step.step_no);
    let opening = [Some(opening), context.summary.as_deref().map(prompt::summary), hints_between(hints, 0, first)];
    let mut turns = vec![Turn::User { text: paragraphs(opening).unwrap_or_default() }];
    for (index, step) in shown.iter().enumerate() {
        turns.push(Turn::Assistant(Arc::clone(&step.reply)));
        let next = shown.get(index + 1).map_or(step_no, |next| next.step_no);
        turns.push(answer(step, index < context.masked, hints_between(hints, step.step_no, next), model));
    }
    let most = model.max_output.min(MOST_OUTPUT);
    let mut prompt = Prompt {
        request: ModelRequest { model: model.name_at_provider().to_owned(), step_no, system, turns, tools: offer.specs, max_output: most },
        // A step is two turns; of the first one that is masked now the reply is as it was.
        unchanged: context.unchanged.map_or(0, |steps| if steps < shown.len() { 2 * steps + 2 } else { 2 * steps + 1 }),
        asks_summary: context.asks_summary,
    };
    if context.asks_summary {
        prompt.request.max_output = most.min(summary_limit(model));
        ask_for_summary(&mut prompt.request.turns);
    }
    prompt
}

/// Whether the step after `history` is a summary: what [`Prompt::asks_summary`] said, for whoever finds its reply
/// stored.
pub fn wants_summary(brief: &Brief, tools: &Toolbox, history: &[PastStep], model: &ModelInfo) -> bool {
    let base = base(&prompt::system(brief), &tools.offer(model.provider), &opening(brief));
    Context::of(brief, history, base, model).asks_summary
}

/// The summary of `history` that `reply` gave; where it gave none, what was done, call by call.
pub fn summarised(reply: &Reply, history: &[PastStep], model: &ModelInfo) -> String {
    let limit = usize::try_from(summary_limit(model)).unwrap_or(usize::MAX).saturating_mul(crate::estimate::BYTES_PER_TOKEN);
    let text = reply.text.trim();
    // PostgreSQL's text and JSON cannot hold NUL.
    clipped(&if text.is_empty() { account(history) } else { text.replace('\0', "\u{fffd}") }, limit)
}

/// What was done in `history`, call by call: for whoever goes on without the conversation.
pub fn account(history: &[PastStep]) -> String {
    let summary = history.iter().rev().find_map(PastStep::summary).map(|text| format!("{text}\n\n")).unwrap_or_default();
    let since = history.iter().rposition(|step| step.summary().is_some()).map_or(0, |index| index + 1);
    format!("{summary}{}", digest(&history[since..])).replace('\0', "\u{fffd}")
}

/// The task, and what was tried before.
fn opening(brief: &Brief) -> String {
    let before = brief.handed_over.as_ref().map(prompt::handed_over);
    paragraphs([Some(prompt::task(brief)), before]).unwrap_or_default()
}

/// The size of what every call of the job sends, in tokens.
fn base(system: &str, offer: &Offer, opening: &str) -> u64 {
    tokens(system.len() + offer.size + opening.len())
}

fn ask_for_summary(turns: &mut [Turn]) {
    let ask = prompt::SUMMARISE.trim();
    match turns.last_mut() {
        Some(Turn::User { text }) => *text = format!("{text}\n\n{ask}"),
        Some(Turn::ToolResults { note, .. }) => *note = paragraphs([note.take(), Some(ask.to_owned())]),
        Some(Turn::Assistant(_)) | None => {}
    }
}

/// What follows a reply: the results of its calls, or a nudge where it made none.
fn answer(step: &PastStep, is_masked: bool, hints: Option<String>, model: &ModelInfo) -> Turn {
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
    let limit = result_limit(stored.len(), model);
    let results =
        step.reply.tool_calls.iter().enumerate().map(|(index, call)| match stored.get(index).filter(|result| result.call_id == call.id) {
            Some(result) => {
                let masked = if is_masked { stub(&result.content) } else { None };
                ToolResult { content: masked.unwrap_or_else(|| clipped(&result.content, limit)), ..result.clone() }
            }
            None => ToolResult { call_id: call.id.clone(), content: prompt::LOST.trim().to_owned(), is_error: true },
        });
    Turn::ToolResults { results: results.collect(), note: paragraphs([note, hints]) }
}

/// The hints that steps after `after` and up to `upto` are the first to read.
fn hints_between(hints: &[Hint], after: u32, upto: u32) -> Option<String> {
    let hints = hints.iter().filter(|hint| hint.before_step > after && hint.before_step <= upto);
    paragraphs(hints.map(|hint| Some(prompt::hint(&hint.text))))
}

fn paragraphs(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { None } else { Some(parts.join("\n\n")) }
}
