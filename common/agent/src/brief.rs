//! What the agent is asked to do.

use domain::{AllowedPaths, Caps, Kind, Mode};

use crate::TestCommand;

/// The frozen task of one job. Nothing in it changes while the job runs, or the conversation could not be
/// rebuilt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brief {
    /// What the job produces.
    pub kind: Kind,
    /// Who does it.
    pub mode: Mode,
    /// `owner/name`.
    pub repository: String,
    /// The request in one line; untrusted.
    pub title: String,
    /// The request in full, Markdown, may be empty; untrusted.
    pub body: String,
    /// The issue or pull request that asked, if one did.
    pub number: Option<u64>,
    /// AGENTS.md as it is at the base commit; untrusted. `None` where there is none.
    pub instructions: Option<String>,
    /// The caps of the whole job, for its current mode.
    pub caps: Caps,
    /// The command that runs the repository's tests, where it is known.
    pub test_command: Option<TestCommand>,
    /// The map of the repository at its base commit; untrusted. `None` where there is no source code to show.
    pub map: Option<String>,
    /// What the pull request under review does, as [`crate::Change::shown`] says it; untrusted. `None` for other kinds.
    pub diff: Option<String>,
    /// What a change may touch.
    pub allowed_paths: AllowedPaths,
    /// What commands may reach over the network, where that is something: a sentence or more.
    pub network: Option<String>,
    /// What was tried before the job was handed over to this mode, where it was.
    pub handed_over: Option<HandOver>,
}

/// What the worker before left behind. The history that goes with such a brief begins after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandOver {
    /// The last step that was taken before.
    pub after_step: u32,
    /// Why it did not go on.
    pub reason: String,
    /// Its calls in short: what [`crate::account`] says.
    pub account: String,
}
