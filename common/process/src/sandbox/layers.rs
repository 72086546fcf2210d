//! The walls as they are put up, between fork and exec.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use landlock::{RulesetCreated, RulesetStatus};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use super::{Network, Sandbox, landlock as files, network, seccomp::Filters};
use crate::spawner::send;

/// Walls that are ready to be put around a child.
#[derive(Debug)]
pub(crate) struct Layers {
    files: Option<RulesetCreated>,
    calls: Option<&'static Filters>,
    broker: Option<Asks>,
}

/// How sockets are asked for.
#[derive(Debug)]
struct Asks {
    /// The way to whoever makes them.
    way: OwnedFd,
    /// Whether connecting is asked for as well.
    connects: bool,
}

impl Layers {
    /// Does in advance what allocates or opens something.
    pub(crate) fn prepare(sandbox: &Sandbox, broker: Option<OwnedFd>) -> io::Result<Self> {
        let network = &sandbox.profile.network;
        let rules = || files::rules(&sandbox.profile, sandbox.first_port);
        let files = sandbox.level.has_landlock().then(rules).transpose().map_err(io::Error::other)?;
        let calls = sandbox.level.has_seccomp().then(|| Filters::get(network)).transpose()?;
        let broker = broker.map(|way| Asks { way, connects: matches!(network, Network::Fetch(_)) });
        if !matches!(network, Network::None) && (calls.is_none() || broker.is_none()) {
            return Err(io::Error::other(format!("nobody holds the command to its network profile {}", network.name())));
        }
        Ok(Self { files, calls, broker })
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
        if let Some(Asks { way, connects }) = self.broker.take() {
            let listener = network::install(connects)?;
            send(way.as_fd(), &[listener.as_fd()])?;
        }
        self.calls.map_or(Ok(()), Filters::apply)
    }
}
