//! The size of the next model call, before it is made.

use domain::caps::CallEstimate;
use llm::{ModelInfo, Reply, Turn};

use crate::{PastStep, Prompt};

/// Bytes of text that surely hold at least one token: code and prose hold about four in most tokenizers,
/// and a reservation that is too small could overshoot a cap.
pub(crate) const BYTES_PER_TOKEN: usize = 3;
/// Tokens that the form around one turn takes.
pub(crate) const TURN_OVERHEAD: u64 = 20;
/// The least room for an answer with which a call makes sense.
const LEAST_OUTPUT: u64 = 256;

/// The conversation has outgrown the model.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the conversation needs about {needed} tokens, which leaves no room for an answer in the {window} of {model}")]
pub struct ContextFull {
    /// The model's name.
    pub model: String,
    /// Its context window in tokens.
    pub window: u64,
    /// The estimated input in tokens.
    pub needed: u64,
}

/// Sizes the call that sends `body`, which is what the provider made of `prompt`.
///
/// What the last call sent is known to the token and assumed to be cached; what came since is its output
/// and the bytes that follow it. While this model has not answered yet, nothing is cached; where the conversation
/// was shortened since, only what comes before the first turn that is another.
///
/// # Errors
/// [`ContextFull`] when the window has no room left for an answer.
pub fn estimate(prompt: &Prompt, body: &str, model: &ModelInfo) -> Result<CallEstimate, ContextFull> {
    let request = &prompt.request;
    let last = request.turns.iter().enumerate().rev().find_map(|(index, turn)| match turn {
        Turn::Assistant(reply) if is_from(reply, model) => Some((reply, index)),
        Turn::Assistant(_) | Turn::User { .. } | Turn::ToolResults { .. } => None,
    });
    let (cached_prefix, new_input, needed) = match last {
        // The cache ends in the middle of what the last call sent: its input stands for more than there is of it.
        Some((reply, index)) if prompt.unchanged <= index && prompt.unchanged > 0 => {
            let new = request.turns[prompt.unchanged..].iter().map(size).sum::<u64>();
            (reply.usage.input(), new, tokens(body.len()))
        }
        Some((reply, index)) if prompt.unchanged > 0 => {
            let new = reply.usage.output + request.turns[index + 1..].iter().map(size).sum::<u64>();
            (reply.usage.input(), new, reply.usage.input() + new)
        }
        _ => (0, tokens(body.len()), tokens(body.len())),
    };
    let room = model.context_window.saturating_sub(needed);
    if room < LEAST_OUTPUT {
        return Err(ContextFull { model: model.name.clone(), window: model.context_window, needed });
    }
    Ok(CallEstimate { cached_prefix, new_input, max_output: request.max_output.min(room) })
}

/// Providers answer with a dated name: `claude-haiku-4-5-20251001`.
fn is_from(reply: &Reply, model: &ModelInfo) -> bool {
    reply.provider == model.provider && reply.model.starts_with(model.name_at_provider())
}

fn size(turn: &Turn) -> u64 {
    let bytes = match turn {
        Turn::User { text } => text.len(),
        Turn::Assistant(reply) => reply.native.get().len(),
        Turn::ToolResults { results, note } => {
            let results: usize = results.iter().map(|result| result.content.len() + result.call_id.len()).sum();
            results + note.as_ref().map_or(0, String::len)
        }
    };
    tokens(bytes) + TURN_OVERHEAD
}

/// What the results of a step add to the next call.
pub(crate) fn results_size(step: &PastStep) -> u64 {
    let results = step.ran.iter().flat_map(|ran| &ran.results);
    tokens(results.map(|result| result.content.len() + result.call_id.len()).sum())
}

pub(crate) fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}
