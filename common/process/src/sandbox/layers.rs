//! The walls as they are put up, between fork and exec.

use std::io;

use landlock::{RulesetCreated, RulesetStatus};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::{Sandbox, landlock as files, seccomp::Filters};

/// Walls that are ready to be put around a child.
#[derive(Debug)]
pub(crate) struct Layers {
    files: Option<RulesetCreated>,
    calls: Option<&'static Filters>,
}

impl Layers {
    /// Does in advance what allocates or opens something.
    pub(crate) fn prepare(sandbox: &Sandbox) -> io::Result<Self> {
        let files = sandbox.level.has_landlock().then(|| files::rules(&sandbox.profile)).transpose().map_err(io::Error::other)?;
        let calls = sandbox.level.has_seccomp().then(Filters::get).transpose()?;
        Ok(Self { files, calls })
    }

    /// Puts the calling thread behind the walls, for ever. Where one cannot be put up the program must not
    /// start.
    ///
    /// Called between fork and exec, when the user has been changed: it makes system calls only.
    pub(crate) fn apply(&mut self) -> io::Result<()> {
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
        // With it root gains no capability by running a program, and nobody another user.
        set_no_new_privs(true)?;
        if let Some(rules) = self.files.take() {
            match rules.restrict_self() {
                Ok(status) if status.ruleset != RulesetStatus::NotEnforced => {}
                _ => return Err(io::Error::from_raw_os_error(libc::EACCES)),
            }
        }
        self.calls.map_or(Ok(()), Filters::apply)
    }
}
