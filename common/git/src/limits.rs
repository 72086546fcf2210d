//! How much of a repository this worker takes: all limits, and what is said where one is reached.

use std::fmt;

/// What one repository may take here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RepositoryLimits {
    /// Bytes of its mirror on disk. Also of each file of it while it is fetched, so that a disk is not filled first.
    pub mirror_bytes: u64,
    /// Files of one checkout, links and submodules included.
    pub files: u64,
    /// Bytes of one file of a checkout.
    pub file_bytes: u64,
    /// Bytes of the pack that a checkpoint is kept in.
    pub pack_bytes: u64,
}

impl Default for RepositoryLimits {
    /// 4 GiB, 200,000 files, 100 MiB (what GitHub takes in a push, <https://docs.github.com/en/repositories/working-with-files/managing-large-files/about-large-files-on-github>), 256 MiB.
    fn default() -> Self {
        Self { mirror_bytes: 4 << 30, files: 200_000, file_bytes: 100 << 20, pack_bytes: 256 << 20 }
    }
}

/// A limit that was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// The setting that raises it.
    pub setting: &'static str,
    /// What it is.
    pub most: u64,
    unit: &'static str,
    advice: &'static str,
}

impl RepositoryLimits {
    pub(crate) fn mirror(&self) -> Limit {
        let advice = "raise it on workers that have the room";
        Limit { setting: "MIRROR_MAX_BYTES", most: self.mirror_bytes, unit: "bytes", advice }
    }

    pub(crate) fn checkout(&self) -> Limit {
        let advice = "raise it on workers that have the room";
        Limit { setting: "CHECKOUT_MAX_FILES", most: self.files, unit: "files", advice }
    }

    pub(crate) fn file(&self) -> Limit {
        let advice = "take the file out of the repository (Git LFS keeps such files elsewhere), or raise it";
        Limit { setting: "FILE_MAX_BYTES", most: self.file_bytes, unit: "bytes", advice }
    }

    pub(crate) fn pack(&self) -> Limit {
        let advice = "let .gitignore name what is built or downloaded, or raise it";
        Limit { setting: "CHECKPOINT_MAX_BYTES", most: self.pack_bytes, unit: "bytes", advice }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, most, unit, advice } = self;
        write!(f, "{most} {unit}, the limit {setting}: {advice}")
    }
}
