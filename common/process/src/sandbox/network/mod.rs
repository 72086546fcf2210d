//! What a command may reach over sockets, and how it is held to that without namespaces.
//!
//! No command makes a socket itself: seccomp hands the call to us ([`notify`]), and we put a socket of ours in its place
//! ([`Broker`]), one of which only this can be made that the profile allows. Nothing has to be read from the command's memory,
//! which it could change meanwhile.
//!
//! - `fetch`: the socket is connected already, to our [`Proxy`]. Whatever the command then connects it to, it stays so.
//! - `loopback`: the socket is bound to the device `lo`, which only root undoes, and Landlock lets it listen on and connect to a
//!   few ports that nobody else on this machine uses.

mod broker;
mod listeners;
mod notify;
mod proxy;

pub use proxy::{Proxy, REGISTRIES};

pub(crate) use broker::{Broker, watched};
pub(crate) use listeners::PORTS;
pub(super) use notify::{install, works};

use super::{Level, Machine};

/// What a command may reach over sockets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Network {
    /// Nothing, this machine included. A pair of sockets between its own processes is all there is.
    #[default]
    None,
    /// What this proxy lets through, and nothing else.
    Fetch(Proxy),
    /// What it listens on itself, on loopback: on ports that the system chooses or that `CODETEAM_PORTS` names.
    Loopback,
}

impl Network {
    /// As it is written in settings and sent to the spawner.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fetch(_) => "fetch",
            Self::Loopback => "loopback",
        }
    }

    /// The one of this name, as the walls have to know it; a proxy lets nothing through.
    pub(crate) fn shape(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "fetch" => Some(Self::Fetch(Proxy::default())),
            "loopback" => Some(Self::Loopback),
            _ => None,
        }
    }

    /// Why commands at `level` cannot be held to it on this machine; `None` = they can.
    pub fn objection(&self, level: Level, machine: Machine) -> Option<String> {
        match self {
            Self::None => None,
            Self::Fetch(_) | Self::Loopback if !level.has_seccomp() || !machine.brokers_sockets => {
                Some("the kernel does not let us hand out sockets (seccomp notifications with descriptors, Linux 5.14)".to_owned())
            }
            Self::Fetch(_) => None,
            Self::Loopback if !level.has_landlock() || machine.landlock_abi < 4 => {
                Some("ports are only held apart by Landlock ABI 4 (Linux 6.7)".to_owned())
            }
            Self::Loopback => None,
        }
    }
}
