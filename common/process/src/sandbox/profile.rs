//! What a command may reach and use.

use std::path::PathBuf;

use super::Network;

/// Paths, network and amounts of one job. Whatever is not named is not there for the command.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Files and folders that may be read and run, beside those of the system: toolchains, and what the
    /// workspace borrows from. Those that do not exist are passed over.
    pub read: Vec<PathBuf>,
    /// Folders that may be written: the workspace and a home with temporary files.
    pub write: Vec<PathBuf>,
    /// What may be reached over a socket.
    pub network: Network,
    /// The most private and shared memory of all processes together, in bytes. Looked at every 250 ms.
    pub memory_bytes: u64,
    /// The most that the folders of `write` may hold together, in bytes. Looked at every 250 ms at the most
    /// often, and less often where looking takes longer.
    pub disk_bytes: u64,
}

impl Profile {
    /// Reads the system and `read`, writes `write`, no network, three quarters of the machine's memory and
    /// 16 GiB of disk.
    pub fn new(read: Vec<PathBuf>, write: Vec<PathBuf>) -> Self {
        Self { read, write, network: Network::None, memory_bytes: super::usage::most_memory(), disk_bytes: 16 << 30 }
    }

    /// The same with another network.
    #[must_use]
    pub fn reaching(self, network: Network) -> Self {
        Self { network, ..self }
    }
}
