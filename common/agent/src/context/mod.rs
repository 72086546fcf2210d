//! What of the history the next call shows: a conversation outgrows a model's window, or a token cap, long before
//! the work is done.
//!
//! First, results of old tools are masked: a line stands in their place that says what was there. Second, where that
//! is not enough, one step of the job is a summary, and the conversation goes on from the task, the summary and the
//! last steps. Both follow from the stored history and the model alone, so any worker rebuilds the same bytes; both
//! come in batches (down to [`Room::low`] when [`Room::high`] is passed), so that nearly every call only appends to
//! the one before and the provider's cache serves the beginning.

mod digest;
mod mask;
mod room;

use llm::ModelInfo;

use crate::estimate::{TURN_OVERHEAD, tokens};
use crate::{Brief, PastStep};

pub(crate) use digest::digest;
pub(crate) use mask::{clipped, stub};
use room::Room;

/// Steps before a summary that are shown after it as they were, as far as they are small enough.
const KEPT: usize = 3;
/// Steps that at least lie between two summaries: each costs a step and a call.
const BETWEEN: usize = 4;
/// The most of a window that the results of one step may fill.
const MOST_OF_STEP: u64 = 4;
/// The most of a window that a single result, or a summary, may fill.
const MOST_OF_RESULT: u64 = 8;

/// What of a history the next call shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Context {
    /// The newest summary: what came before the steps that are shown.
    pub summary: Option<String>,
    /// Indices of the steps that are shown, in order.
    pub shown: Vec<usize>,
    /// How many of those have their results masked: the oldest.
    pub masked: usize,
    /// How many of those the last call had shown in the same form; `None` = it had begun otherwise.
    pub unchanged: Option<usize>,
    /// Whether the next step is to be a summary.
    pub asks_summary: bool,
}

impl Context {
    /// Of `history`, for a call of `model`; `base` is the size of everything before the first step, in tokens.
    pub(crate) fn of(brief: &Brief, history: &[PastStep], base: u64, model: &ModelInfo) -> Self {
        let last_summary = history.iter().rposition(|step| step.summary().is_some());
        let room = |steps: usize| Room::of(brief, &history[..steps], base, model);
        let full = |index: &usize| step_size(&history[*index], false, model);
        let mut shown = Vec::new();
        let mut kept = 0;
        if let Some(at) = last_summary {
            // Not further back than the summary before: what that one stands for is in this one too.
            let before = history[..at].iter().rposition(|step| step.summary().is_some()).map_or(0, |index| index + 1);
            let budget = room(at).low.saturating_sub(base);
            let mut size = 0;
            for index in (before..at).rev().take(KEPT) {
                size += full(&index);
                if size > budget && !shown.is_empty() {
                    break;
                }
                shown.insert(0, index);
            }
            kept = shown.len();
        }
        shown.extend(last_summary.map_or(0, |at| at + 1)..history.len());

        let summary = last_summary.and_then(|at| history[at].summary()).map(str::to_owned);
        let summary_size = summary.as_deref().map_or(0, |text| tokens(text.len()));
        let (mut masked, mut total) = (0, base + summary_size + shown[..kept].iter().map(full).sum::<u64>());
        let mut unchanged = (kept < shown.len() || last_summary.is_none()).then_some(shown.len());
        let mut asks_summary = false;
        for count in kept..=shown.len() {
            if count > kept {
                total += full(&shown[count - 1]);
            }
            let Room { high, low } = room(shown[..count].last().map_or(0, |index| index + 1));
            let before = masked;
            // The newest results are never masked: the model has not seen them yet.
            while total > high.min(if masked > before { low } else { high }) && masked + 1 < count {
                let step = &history[shown[masked]];
                total = total - step_size(step, false, model) + step_size(step, true, model);
                masked += 1;
            }
            // Masking is not enough when the next few results would lead here again.
            let is_masked_out = masked > before && masked + 1 == count && total > low.midpoint(high);
            asks_summary = (is_masked_out || total > high) && count >= kept + BETWEEN;
            if count == shown.len() && masked > before && unchanged.is_some() {
                unchanged = Some(before);
            }
        }
        Self { summary, shown, masked, unchanged, asks_summary }
    }
}

/// What a step takes in a conversation, in tokens.
fn step_size(step: &PastStep, is_masked: bool, model: &ModelInfo) -> u64 {
    let Some(ran) = &step.ran else { return tokens(step.reply.native.get().len()) + TURN_OVERHEAD };
    let limit = result_limit(ran.results.len(), model);
    let results = ran.results.iter().map(|result| match stub(&result.content) {
        Some(stub) if is_masked => stub.len(),
        _ => result.content.len().min(limit),
    });
    let ids = ran.results.iter().map(|result| result.call_id.len());
    let note = ran.note.as_ref().map_or(0, String::len);
    tokens(step.reply.native.get().len()) + tokens(results.chain(ids).sum::<usize>() + note) + 2 * TURN_OVERHEAD
}

/// The most bytes of one of `count` results that a conversation with `model` shows.
pub(crate) fn result_limit(count: usize, model: &ModelInfo) -> usize {
    let of_step = model.context_window / MOST_OF_STEP / count.max(1) as u64;
    bytes(of_step.min(model.context_window / MOST_OF_RESULT))
}

/// The most tokens of a summary.
pub(crate) fn summary_limit(model: &ModelInfo) -> u64 {
    const MOST: u64 = 2_000;
    MOST.min(model.context_window / MOST_OF_RESULT)
}

/// How many bytes surely fit into so many tokens.
fn bytes(tokens: u64) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(crate::estimate::BYTES_PER_TOKEN)
}
