//! The patterns that end with the newest step: what the guards count.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::PastStep;
use crate::sameness::same;

/// The same calls with the same results this often in a row are warned about, then stopped.
pub(crate) const REPEATED: (usize, usize) = (3, 4);
/// Two steps that take turns: A-B-A-B is warned about, A-B-A-B-A-B stopped.
pub(crate) const ALTERNATING: (usize, usize) = (4, 6);
/// Steps in a row in which no call named a tool and fitted its schema.
pub(crate) const MALFORMED: (usize, usize) = (2, 3);
/// Steps in which an edit of the same file failed, with none that succeeded between; looking at files is allowed.
pub(crate) const UNAPPLIED: (usize, usize) = (3, 4);
/// Replies in a row without any tool call: each but the last is answered with a nudge.
pub(crate) const SILENT: usize = 3;
/// Steps in a row that brought nothing which an earlier step had not brought.
pub(crate) const STALE: usize = 8;

/// The tools that change files by a text which has to fit.
const EDITS: [&str; 2] = ["edit_file", "apply_patch"];

/// How long the patterns are that end with the newest step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Runs {
    pub silent: usize,
    pub malformed: usize,
    pub repeated: usize,
    pub alternating: usize,
    pub unapplied: usize,
    pub stale: usize,
}

impl Runs {
    /// Steps that summed up are left out: they are the agent's own, not the model's way.
    pub(crate) fn of(history: &[PastStep]) -> Self {
        let history: Vec<&PastStep> = history.iter().filter(|step| step.summary().is_none()).collect();
        let signatures: Vec<Option<Signature>> = history.iter().map(|step| step.signature()).collect();
        let trailing = |matches: &dyn Fn(usize) -> bool| (0..history.len()).rev().take_while(|index| matches(*index)).count();
        let newest = history.len().saturating_sub(1);
        let is_repeated = |index: usize| signatures[index].is_some() && signatures[index] == signatures[newest];
        let mut seen = HashSet::new();
        let is_news: Vec<bool> =
            signatures.iter().map(|signature| signature.as_ref().is_some_and(|signature| seen.insert(signature))).collect();
        Self {
            silent: trailing(&|index| history[index].reply.tool_calls.is_empty()),
            malformed: trailing(&|index| is_malformed(history[index])),
            repeated: trailing(&is_repeated),
            alternating: alternating(&signatures),
            unapplied: unapplied(&history),
            stale: trailing(&|index| !is_news[index]),
        }
    }
}

/// How many of the newest steps are two different ones in turn.
fn alternating(signatures: &[Option<Signature>]) -> usize {
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

/// In how many steps the edit that failed in the newest one has failed since an edit last succeeded.
fn unapplied(history: &[&PastStep]) -> usize {
    let Some(Edit::Failed(target)) = history.last().and_then(|step| edit(step)) else { return 0 };
    let edits = history.iter().rev().filter_map(|step| edit(step));
    edits.take_while(|edit| *edit == Edit::Failed(target)).count()
}

/// What became of the edits of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit<'a> {
    Applied,
    /// None was applied; the first was of this file, or of what a patch says.
    Failed(&'a str),
}

fn edit(step: &PastStep) -> Option<Edit<'_>> {
    let results = step.ran.as_ref()?.results.iter();
    let mut edits = step.reply.tool_calls.iter().zip(results).filter(|(call, _)| EDITS.contains(&call.name.as_str())).peekable();
    let (first, _) = edits.peek()?;
    let target = first.input.get("path").and_then(|path| path.as_str()).unwrap_or_default();
    Some(if edits.any(|(_, result)| !result.is_error) { Edit::Applied } else { Edit::Failed(target) })
}

/// SHA-256 of what a step asked and got.
pub(crate) type Signature = [u8; 32];

/// What a step asked and got, for comparison: `None` without calls. What differs each time by nature, such as
/// durations, counts as the same.
pub(crate) fn signature(step: &PastStep) -> Option<Signature> {
    let ran = step.ran.as_ref()?;
    if step.reply.tool_calls.is_empty() {
        return None;
    }
    let calls = step.reply.tool_calls.iter().map(|call| format!("{} {}\n", call.name, call.input));
    let results = ran.results.iter().map(|result| same(&result.content) + "\n");
    Some(calls.chain(results).fold(Sha256::new(), Sha256::chain_update).finalize().into())
}
