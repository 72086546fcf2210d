//! The coding agent: prompts, tools, guards.
//!
//! The core is pure. [`request`] rebuilds the whole conversation from what is stored of a job, so any
//! worker continues it with the same bytes and finds the provider's cache warm; [`estimate`] sizes the
//! next call; [`verdict`] decides after a step; [`note`] says what the model is told beside its results.
//! Only [`run_tools`] touches anything, and only through the [`Workspace`] and `process`.
//!
//! What is deliberately absent: a loop (the worker drives one step at a time and stores each half), and
//! any way to the database, the forge, git or the cloud. A tool that needs one gets a port.

mod brief;
mod change;
mod context;
mod conversation;
mod edit;
mod estimate;
mod guards;
mod history;
pub mod map;
mod notes;
mod patch;
mod prompt;
mod runs;
mod sameness;
pub mod test_command;
pub mod tools;
mod untrusted;
mod workspace;

pub use brief::{Brief, HandOver};
pub use change::Change;
pub use conversation::{Prompt, account, request, summarised, wants_summary};
pub use estimate::{ContextFull, estimate};
pub use guards::{Verdict, verdict};
pub use history::{CommandRan, Hint, PastStep, ToolsRan};
pub use notes::note;
pub use prompt::cleaned;
pub use test_command::TestCommand;
pub use tools::{
    AgentError, AlwaysOpen, Environment, Gate, Tool, ToolContext, ToolError, ToolOutput, Toolbox, Toolboxes, run_tools, work_as_slot,
};
pub use untrusted::{Cleaned, fence};
pub use workspace::Workspace;
