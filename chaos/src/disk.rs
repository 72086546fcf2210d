//! Small disks: file systems in memory, which only root may mount.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use process::{Command, run};

use crate::environment::variable;

/// A small file system, gone when this is dropped.
pub struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// Mounts one of so many MiB on `folder`.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn new(folder: &Path, mib: u32) -> Result<Self> {
        let size = format!("size={mib}m,mode=0755");
        let arguments = ["-t", "tmpfs", "-o", &size, "chaos"];
        let command = Command::new("mount").args(arguments).arg(folder).path(variable("PATH").unwrap_or_default());
        let output = run(command, &Default::default()).await?;
        ensure!(output.exit.success(), "mount: {}", output.stderr_text().trim());
        Ok(Self { folder: folder.to_owned() })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it.
        rustix::mount::unmount(&self.folder, rustix::mount::UnmountFlags::DETACH).ok();
    }
}
