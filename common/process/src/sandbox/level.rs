//! Which walls there are, and which the machine can give.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, capabilities};

use super::{landlock, network, seccomp};

/// Which walls stand around a command. Each is stronger than those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// None but the limits: only where the kernel has no seccomp.
    None,
    /// Our own user; system calls that lead out are refused.
    Seccomp,
    /// The same, and Landlock: files, signals and sockets outside of the profile are out of reach.
    Landlock,
    /// A user of its own for each slot, and seccomp.
    Uid,
    /// A user of its own, Landlock and seccomp.
    Full,
}

impl Level {
    /// From the weakest.
    pub const ALL: [Self; 5] = [Self::None, Self::Seccomp, Self::Landlock, Self::Uid, Self::Full];

    /// As it is written in options, logs and figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::Uid => "uid",
            Self::Full => "full",
        }
    }

    /// Whether commands run as a user of their own.
    pub const fn has_own_user(self) -> bool {
        matches!(self, Self::Uid | Self::Full)
    }

    pub(crate) const fn has_landlock(self) -> bool {
        matches!(self, Self::Landlock | Self::Full)
    }

    pub(crate) const fn has_seccomp(self) -> bool {
        !matches!(self, Self::None)
    }

    pub(crate) const fn without_own_user(self) -> Self {
        match self {
            Self::Uid => Self::Seccomp,
            Self::Full => Self::Landlock,
            other => other,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| format!("no level {text:?}; there are {}", names()))
    }
}

/// What this machine can give, found by trying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The version of Landlock that is used; 0 = the kernel has none, or does not let us.
    pub landlock_abi: u8,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// Whether the sockets of a command can be made by us: what the network profiles `fetch` and `loopback` need.
    pub brokers_sockets: bool,
    /// Whether we may become other users, and end what they run: root, with the capabilities for it.
    pub users: bool,
}

impl Machine {
    /// This machine, looked at once.
    pub fn this() -> Self {
        static THIS: OnceLock<Machine> = OnceLock::new();
        *THIS.get_or_init(|| Self {
            landlock_abi: landlock::abi(),
            seccomp: seccomp::works(),
            brokers_sockets: network::works(),
            users: may_become_others() || crate::spawner::is_there(),
        })
    }

    /// The most that it can give, and not more than `most`.
    pub fn level_up_to(self, most: Level) -> Level {
        let wanted = Self {
            landlock_abi: if most.has_landlock() { self.landlock_abi } else { 0 },
            seccomp: self.seccomp && most.has_seccomp(),
            brokers_sockets: self.brokers_sockets,
            users: self.users && most.has_own_user(),
        };
        wanted.level()
    }

    /// The most that it can give.
    pub fn level(self) -> Level {
        match (self.seccomp, self.landlock_abi > 0, self.users) {
            (false, _, _) => Level::None,
            (true, true, true) => Level::Full,
            (true, false, true) => Level::Uid,
            (true, true, false) => Level::Landlock,
            (true, false, false) => Level::Seccomp,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let landlock = match self.landlock_abi {
            0 => "no Landlock".to_owned(),
            abi => format!("Landlock ABI {abi}"),
        };
        let seccomp = if self.seccomp { "seccomp" } else { "no seccomp" };
        let users = if self.users { "a user of its own for each slot" } else { "no users of their own (not root)" };
        write!(f, "{landlock}, {seccomp}, {users}")
    }
}

/// Whether this process has what it takes to become other users, and to end what they run.
pub(crate) fn may_become_others() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL | CapabilitySet::CHOWN;
    rustix::process::geteuid().is_root() && capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Closes this process's memory, environment and descriptors to every other process of its user, and
/// switches its core dumps off. To be called before a secret is read; children of ours begin with this and
/// are readable again only as another program.
pub fn protect_this_process() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("other programs of this user can read the memory of this process: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_what_the_machine_gives_and_never_more_than_is_wanted() {
        let all = Machine { landlock_abi: 6, seccomp: true, brokers_sockets: true, users: true };
        assert_eq!(Level::ALL.map(|most| all.level_up_to(most)), Level::ALL);
        let fargate = Machine { landlock_abi: 0, ..all };
        let expected = [Level::None, Level::Seccomp, Level::Seccomp, Level::Uid, Level::Uid];
        assert_eq!(Level::ALL.map(|most| fargate.level_up_to(most)), expected);
        let laptop = Machine { users: false, ..all };
        let expected = [Level::None, Level::Seccomp, Level::Landlock, Level::Seccomp, Level::Landlock];
        assert_eq!(Level::ALL.map(|most| laptop.level_up_to(most)), expected);
    }

    #[test]
    fn a_level_is_read_as_it_is_written() {
        assert_eq!(Level::ALL.map(|level| level.name().parse()), Level::ALL.map(Ok));
        assert_eq!("best".parse::<Level>(), Err(r#"no level "best"; there are none, seccomp, landlock, uid, full"#.to_owned()));
    }
}
