//! Walls of the kernel around what untrusted code runs.
//!
//! A [`Profile`] says what a command may reach and use, a [`Level`] which walls stand: the best that the
//! machine gives ([`Machine`]) unless somebody asks for less. [`Command::sandbox`](crate::Command::sandbox)
//! puts a command behind them. There is no list of permitted commands: what is not behind a wall is
//! permitted, whatever its name.
//!
//! The walls, from the outside: a user of its own ([`Slot`]); no new privileges and no capabilities;
//! Landlock (files, signals and sockets outside); seccomp (system calls that lead out); limits of the kernel
//! ([`Limits`](crate::Limits)); what it uses of memory and disk looked at every 250 ms; and at its end
//! everything is killed that it started, whatever session it went to.
//!
//! No namespaces: Fargate gives none.

mod census;
mod landlock;
mod layers;
mod level;
mod network;
mod profile;
mod seccomp;
mod slot;
mod system;
mod usage;
mod watch;

pub use level::{Level, Machine, protect_this_process};
pub use network::{Network, Proxy, REGISTRIES};
pub use profile::Profile;
pub use slot::{Slot, SlotError, Slots, clear};
pub use system::{Unreachable, toolchains, unreachable, variables};
pub use watch::Excess;

pub(crate) use census::{MARK, Run, registered, threads_of};
pub(crate) use layers::Layers;
pub(crate) use level::may_become_others;
pub(crate) use network::{Broker, watched};
pub(crate) use slot::{groups, is_slot};
pub(crate) use watch::Watch;

use std::sync::Arc;

/// Behind which walls a command runs.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub(crate) profile: Arc<Profile>,
    pub(crate) level: Level,
    pub(crate) slot: Option<Slot>,
    /// The first of the ports that a command with loopback has, from its start on.
    pub(crate) first_port: Option<u16>,
}

impl Sandbox {
    /// The walls of `level` around `profile`, as the user of `slot`. Without a slot the command runs as the
    /// user that we are, and a level with a user of its own becomes the one below that has the same walls.
    pub fn new(profile: Arc<Profile>, level: Level, slot: Option<Slot>) -> Self {
        let level = if slot.is_some() { level } else { level.without_own_user() };
        let slot = slot.filter(|_| level.has_own_user());
        Self { profile, level, slot, first_port: None }
    }

    /// The same walls around another profile.
    #[must_use]
    pub fn around(self, profile: Profile) -> Self {
        Self { profile: Arc::new(profile), ..self }
    }

    /// The user that commands run as, where it is not ours; files are read and written as that user as well.
    pub fn slot(&self) -> Option<&Slot> {
        self.slot.as_ref()
    }

    /// The same walls, with another network.
    #[must_use]
    pub fn reaching(self, network: Network) -> Self {
        let profile = Profile::clone(&self.profile).reaching(network);
        self.around(profile)
    }

    /// What may be reached over sockets.
    pub fn network(&self) -> &Network {
        &self.profile.network
    }

    /// The walls that stand.
    pub fn level(&self) -> Level {
        self.level
    }
}
