//! Bytes that one child may read and nobody else: an open file without a name.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// A file without a name that a child inherits as a descriptor: for what must be neither in a folder nor in arguments or an
/// environment, where others see it. The child's own children inherit it too. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handed {
    file: Arc<File>,
}

impl Handed {
    /// Holds `bytes`.
    ///
    /// # Errors
    /// When the system gives out no such file.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let mut file = nameless()?;
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Where a child that got it opens it, as often as it likes.
    pub fn path(&self) -> String {
        format!("/dev/fd/{}", self.file.as_raw_fd())
    }

    /// Keeps it open in the program that is about to begin. A system call alone, as it has to be between fork and exec.
    pub(crate) fn pass(&self) -> io::Result<()> {
        Ok(rustix::io::fcntl_setfd(&self.file, rustix::io::FdFlags::empty())?)
    }
}

#[cfg(target_os = "linux")]
fn nameless() -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create("handed", rustix::fs::MemfdFlags::CLOEXEC)?))
}

#[cfg(not(target_os = "linux"))]
fn nameless() -> io::Result<File> {
    tempfile::tempfile()
}
