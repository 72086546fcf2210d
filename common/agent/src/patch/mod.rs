//! Patches in the envelope format that OpenAI's models write (`*** Begin Patch` … `*** End Patch`).
//!
//! The format: <https://github.com/openai/codex/blob/main/codex-rs/apply-patch/apply_patch_tool_instructions.md>. What models
//! write instead of it now and then is understood where it can mean one thing only.

mod envelope;
mod parse;
mod plan;

pub(crate) use parse::{PatchError, parse};
pub(crate) use plan::plan;

use crate::edit::Hunk;

/// One part of a patch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    /// A new file.
    Add {
        /// Where, as the patch gives it.
        path: String,
        /// All of it.
        content: String,
    },
    /// A file that goes away.
    Delete {
        /// Where it is.
        path: String,
    },
    /// A file of which parts change.
    Update {
        /// Where it is.
        path: String,
        /// Where it goes, when it is renamed.
        move_to: Option<String>,
        /// In the order of the file; may be empty when it is renamed.
        hunks: Vec<Hunk>,
    },
}

#[cfg(test)]
mod tests;
