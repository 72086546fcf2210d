//! A repository made of plain files, without starting a process: what `git init` writes, less its hooks
//! and samples.

use std::fs;
use std::path::Path;

use crate::{CommitId, GitError};

/// What a new repository is made with.
pub(crate) struct Layout<'a> {
    /// The length of its object ids in digits, which tells SHA-1 from SHA-256.
    pub(crate) id_length: usize,
    /// The repository whose objects it borrows.
    pub(crate) borrows_from: Option<&'a Path>,
    /// The branch that HEAD names.
    pub(crate) branch: &'a str,
    /// Where that branch is.
    pub(crate) at: Option<&'a CommitId>,
    /// Whether it has a working tree around it.
    pub(crate) bare: bool,
}

impl Layout<'_> {
    /// Writes the repository to `dir`, which is created.
    pub(crate) fn create(&self, dir: &Path) -> Result<(), GitError> {
        for folder in ["objects/info", "objects/pack", "refs/heads"] {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).map_err(GitError::io("create", &folder))?;
        }
        let (version, extensions) = match self.id_length {
            64 => (1, "[extensions]\n\tobjectFormat = sha256\n"),
            _ => (0, ""),
        };
        let bare = self.bare;
        write(
            &dir.join("config"),
            format!("[core]\n\trepositoryFormatVersion = {version}\n\tfileMode = true\n\tbare = {bare}\n{extensions}"),
        )?;
        write(&dir.join("HEAD"), format!("ref: refs/heads/{}\n", self.branch))?;
        if let Some(commit) = self.at {
            write(&dir.join("refs/heads").join(self.branch), format!("{commit}\n"))?;
        }
        if let Some(lender) = self.borrows_from {
            // Lines that begin with a quote are C-quoted; a path from us is absolute, so it begins with a slash.
            write(&dir.join("objects/info/alternates"), format!("{}\n", lender.join("objects").display()))?;
            let shallow = lender.join("shallow");
            if shallow.exists() {
                copy(&shallow, &dir.join("shallow"))?;
            }
        }
        Ok(())
    }
}

pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), GitError> {
    fs::write(path, content).map_err(GitError::io("write", path))
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), GitError> {
    fs::copy(from, to).map(|_| ()).map_err(GitError::io("write", to))
}

/// Removes a file or a whole folder, never what a link in it points to. Nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), GitError> {
    let removed = match path.symlink_metadata() {
        Ok(status) if status.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(GitError::io("remove", path))
}
