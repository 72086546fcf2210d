//! How the other commands find the database of a running `codeteam up`: a file in the state directory.

use std::path::{Path, PathBuf};

use domain::Secret;
use serde::{Deserialize, Serialize};

/// A running `codeteam up`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpState {
    /// Its database: a socket in a private directory, so there is no password in it.
    pub database_url: String,
    /// Its server.
    pub server: String,
    /// Its process id.
    pub pid: u32,
}

/// The file, there as long as `codeteam up` runs.
pub struct UpFile {
    path: PathBuf,
}

impl UpFile {
    /// Tells the other commands about this process.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn write(state_dir: &Path, state: &UpState) -> anyhow::Result<Self> {
        let path = file(state_dir);
        let mut file = tempfile::NamedTempFile::new_in(state_dir)?;
        serde_json::to_writer(&mut file, state)?;
        file.persist(&path)?;
        Ok(Self { path })
    }
}

impl Drop for UpFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// The database of the `codeteam up` that runs now, if one does.
pub fn running(state_dir: &Path) -> Option<(Secret, UpState)> {
    let state: UpState = serde_json::from_slice(&std::fs::read(file(state_dir)).ok()?).ok()?;
    let alive = Path::new("/proc").join(state.pid.to_string()).exists() || !Path::new("/proc/self").exists();
    alive.then(|| (Secret::new(state.database_url.clone()), state))
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("up.json")
}
