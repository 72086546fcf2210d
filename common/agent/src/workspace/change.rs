//! Writes, removes and renames any number of files, or none of them.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use cap_std::fs::{OpenOptions, Permissions};

use super::{Workspace, explain};
use crate::ToolError;

/// Where a file is built before it takes its place, and where the one that it replaces lies until all is done; a number
/// follows.
const NEW: &str = ".codeteam-unfinished-";
const OLD: &str = ".codeteam-replaced-";

/// What shall become of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It shall hold this. The folders on the way are made, permissions are kept, a symbolic link is followed.
    Write {
        /// From the root.
        path: String,
        /// All of it.
        content: Vec<u8>,
        /// A file whose permissions a new one takes.
        like: Option<String>,
    },
    /// It shall be gone; of a symbolic link, the link.
    Remove {
        /// From the root.
        path: String,
    },
}

/// Everything that was done so far, to be undone in the reverse order.
#[derive(Default)]
struct Done {
    folders: Vec<PathBuf>,
    /// From where to where.
    moves: Vec<(PathBuf, PathBuf)>,
    built: Vec<PathBuf>,
}

impl Workspace {
    /// Carries all `changes` out, each path at most once. Everything is built beside its place first, so that only renames
    /// are left that can fail; when one does, those before it are taken back.
    ///
    /// # Errors
    /// [`ToolError::Model`]; then no file is changed.
    pub(crate) fn change(&self, changes: &[Change]) -> Result<(), ToolError> {
        let mut done = Done::default();
        let result = self.carry_out(changes, &mut done);
        let leftovers = match result {
            Ok(()) => done.moves.iter().map(|(_, to)| to.clone()).filter(|to| is_ours(to, OLD)).collect(),
            Err(_) => self.undo(&done),
        };
        // What matters is said already; a left-over file is not part of any snapshot's meaning and is removed by the next change.
        for leftover in leftovers {
            self.dir.remove_file(leftover).ok();
        }
        result
    }

    fn carry_out(&self, changes: &[Change], done: &mut Done) -> Result<(), ToolError> {
        let mut targets = BTreeSet::new();
        let mut moves: Vec<(&str, PathBuf, PathBuf)> = Vec::new();
        for (no, change) in changes.iter().enumerate() {
            let (path, target) = match change {
                Change::Write { path, .. } => (path, self.target(path)?),
                Change::Remove { path } => (path, self.link(path)?),
            };
            let parent = target.parent().unwrap_or(Path::new("")).to_owned();
            let permissions = self.permissions_at(path, &target)?;
            let (old, new) = (parent.join(format!("{OLD}{no}")), parent.join(format!("{NEW}{no}")));
            if permissions.is_some() && (matches!(change, Change::Remove { .. }) || changes.len() > 1) {
                // Whatever lies there is left over or a trap.
                self.dir.remove_file(&old).ok();
                moves.push((path, target.clone(), old));
            }
            if let Change::Write { content, like, .. } = change {
                let like = like.as_ref().map(|like| self.resolve(like).and_then(|real| self.permissions_at(like, &real))).transpose()?;
                self.make_folders(path, &parent, done)?;
                done.built.push(new.clone());
                self.build(&new, content, permissions.or(like.flatten())).map_err(|error| explain(path, &error))?;
                moves.push((path, new, target.clone()));
            }
            if !targets.insert(target) {
                return Err(ToolError::Model(format!("{path:?} is another name of a file that the same patch changes")));
            }
        }
        // First everything out of the way, so that a file may take the place of one that goes.
        moves.sort_by_key(|(_, _, to)| !is_ours(to, OLD));
        for (path, from, to) in moves {
            self.dir.rename(&from, &self.dir, &to).map_err(|error| explain(path, &error))?;
            done.moves.push((from, to));
        }
        Ok(())
    }

    /// Takes back what was done; returns what is to be removed.
    fn undo(&self, done: &Done) -> Vec<PathBuf> {
        for (from, to) in done.moves.iter().rev() {
            if let Err(error) = self.dir.rename(to, &self.dir, from) {
                tracing::error!("{} could not be moved back to {}: {error}", to.display(), from.display());
            }
        }
        for built in &done.built {
            self.dir.remove_file(built).ok();
        }
        for folder in done.folders.iter().rev() {
            self.dir.remove_dir(folder).ok();
        }
        Vec::new()
    }

    fn permissions_at(&self, path: &str, target: &Path) -> Result<Option<Permissions>, ToolError> {
        match self.dir.symlink_metadata(target) {
            Ok(metadata) if metadata.is_symlink() => Ok(Some(metadata.permissions())),
            Ok(_) => Ok(Some(self.regular_file(path, target)?.permissions())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(explain(path, &error)),
        }
    }

    /// Makes the folders that lead to `parent`, and notes which of them are new.
    fn make_folders(&self, path: &str, parent: &Path, done: &mut Done) -> Result<(), ToolError> {
        let missing: Vec<&Path> = parent.ancestors().filter(|folder| !folder.as_os_str().is_empty() && !self.dir.exists(folder)).collect();
        done.folders.extend(missing.into_iter().rev().map(Path::to_owned));
        if parent.as_os_str().is_empty() {
            return Ok(());
        }
        self.dir.create_dir_all(parent).map_err(|error| explain(path, &error))
    }

    fn build(&self, place: &Path, content: &[u8], permissions: Option<Permissions>) -> std::io::Result<()> {
        // Whatever lies there is left over or a trap (a link, a pipe); the new file must be a fresh one.
        self.dir.remove_file(place).ok();
        let mut file = self.dir.open_with(place, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(content)?;
        permissions.map_or(Ok(()), |permissions| file.set_permissions(permissions))
    }
}

fn is_ours(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}
