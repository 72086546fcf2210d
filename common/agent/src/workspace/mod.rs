//! The checkout, as far as the file tools may reach: beneath its root and nowhere else.

mod change;

use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};
use domain::AllowedPaths;

pub(crate) use change::Change;

use crate::ToolError;

/// The largest file that the tools read.
const FILE_LIMIT_BYTES: u64 = 8 << 20;

/// A folder that cannot be left: the kernel resolves every path beneath it (openat2 with
/// `RESOLVE_BENEATH` where there is one), so neither `..` nor a symbolic link, however it is swapped,
/// leads out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: Arc<Path>,
    dir: Arc<Dir>,
    allowed: Arc<AllowedPaths>,
}

impl Workspace {
    /// Opens the folder at `root`.
    ///
    /// # Errors
    /// When it is no folder or cannot be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority())?;
        Ok(Self { root: root.into(), dir: Arc::new(dir), allowed: Arc::default() })
    }

    /// The same folder, in which the file tools change only what is `allowed`.
    #[must_use]
    pub fn allowing(self, allowed: AllowedPaths) -> Self {
        Self { allowed: Arc::new(allowed), ..self }
    }

    /// Its absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What of it may be changed.
    pub(crate) fn allowed(&self) -> &AllowedPaths {
        &self.allowed
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Where `path` leads once every symbolic link is followed, relative to the root.
    pub(crate) fn resolve(&self, path: &str) -> Result<PathBuf, ToolError> {
        let relative = relative(path)?;
        let real = self.dir.canonicalize(&relative).map_err(|error| explain(path, &error))?;
        Ok(if real.as_os_str().is_empty() { PathBuf::from(".") } else { real })
    }

    /// The text of the file at `path`.
    pub(crate) fn read(&self, path: &str) -> Result<String, ToolError> {
        let real = self.resolve(path)?;
        let metadata = self.regular_file(path, &real)?;
        if metadata.len() > FILE_LIMIT_BYTES {
            let message = format!("{path:?} has {} bytes, too many to read at once; use search, or shell with head or sed", metadata.len());
            return Err(ToolError::Model(message));
        }
        let mut bytes = Vec::new();
        let file = self.dir.open(&real).map_err(|error| explain(path, &error))?;
        file.take(FILE_LIMIT_BYTES).read_to_end(&mut bytes).map_err(|error| explain(path, &error))?;
        if bytes.contains(&0) {
            return Err(ToolError::Model(format!("{path:?} is a binary file of {} bytes", bytes.len())));
        }
        String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            ToolError::Model(format!("{path:?} is not UTF-8 text (byte {offset}); use shell with iconv to convert it"))
        })
    }

    /// Puts `content` at `path` in one move: whoever reads sees the old file or the new one. The folders on
    /// the way are made, permissions are kept, a symbolic link is followed. Returns whether the file is new.
    pub(crate) fn write(&self, path: &str, content: &[u8]) -> Result<bool, ToolError> {
        let is_new = !self.exists(path)?;
        self.change(&[Change::Write { path: path.to_owned(), content: content.to_owned(), like: None }])?;
        Ok(is_new)
    }

    /// Whether anything lies at `path`, be it a link to nothing.
    pub(crate) fn exists(&self, path: &str) -> Result<bool, ToolError> {
        match self.dir.symlink_metadata(relative(path)?) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(explain(path, &error)),
        }
    }

    /// Whether the file at `path` may be removed.
    pub(crate) fn removable(&self, path: &str) -> Result<(), ToolError> {
        let link = self.link(path)?;
        match self.dir.symlink_metadata(&link) {
            Ok(metadata) if metadata.is_symlink() => Ok(()),
            Ok(_) => self.regular_file(path, &link).map(|_| ()),
            Err(error) => Err(explain(path, &error)),
        }
    }

    /// The place of `path` itself: links on the way are followed, the last name is not.
    fn link(&self, path: &str) -> Result<PathBuf, ToolError> {
        let relative = relative(path)?;
        refuse_git(path, &relative)?;
        let name = relative.file_name().ok_or_else(|| ToolError::Model(format!("{path:?} is not a file name")))?;
        let link = self.existing_ancestor(path, &relative)?.join(name);
        refuse_git(path, &link)?;
        self.refuse_others(path, &link)?;
        Ok(link)
    }

    /// Where a write to `path` goes: the file that it leads to, or the place where a new one would be.
    fn target(&self, path: &str) -> Result<PathBuf, ToolError> {
        let relative = relative(path)?;
        refuse_git(path, &relative)?;
        let target = match self.dir.canonicalize(&relative) {
            Ok(real) => real,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.dir.symlink_metadata(&relative).is_ok() {
                    return Err(ToolError::Model(format!("{path:?} is a symbolic link to nothing")));
                }
                let name = relative.file_name().ok_or_else(|| ToolError::Model(format!("{path:?} is not a file name")))?.to_owned();
                self.existing_ancestor(path, &relative)?.join(name)
            }
            Err(error) => return Err(explain(path, &error)),
        };
        refuse_git(path, &target)?;
        self.refuse_others(path, &target)?;
        Ok(target)
    }

    /// Where a link leads is what counts: that is the file that would be changed.
    fn refuse_others(&self, path: &str, target: &Path) -> Result<(), ToolError> {
        match self.allowed.globs() {
            Some(globs) if !self.allowed.allows(target) => {
                let globs = if globs.is_empty() { "nothing".to_owned() } else { globs.join(", ") };
                Err(ToolError::Model(format!("{path:?} may not be changed: .codeteam.toml of this repository allows only {globs}")))
            }
            _ => Ok(()),
        }
    }

    /// The folder that a new file at `relative` goes into, with the links of what exists of it followed.
    fn existing_ancestor(&self, path: &str, relative: &Path) -> Result<PathBuf, ToolError> {
        let parent = relative.parent().unwrap_or(Path::new(""));
        for ancestor in parent.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
            match self.dir.canonicalize(ancestor) {
                Ok(real) => return Ok(real.join(parent.strip_prefix(ancestor).unwrap_or(Path::new("")))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(explain(path, &error)),
            }
        }
        Ok(parent.to_owned())
    }

    fn regular_file(&self, path: &str, real: &Path) -> Result<Metadata, ToolError> {
        let metadata = self.dir.metadata(real).map_err(|error| explain(path, &error))?;
        if metadata.is_dir() {
            Err(ToolError::Model(format!("{path:?} is a folder; list_files shows what is in it")))
        } else if !metadata.is_file() {
            Err(ToolError::Model(format!("{path:?} is not a regular file")))
        } else {
            Ok(metadata)
        }
    }
}

/// A path as the model must give it.
pub(crate) fn relative(path: &str) -> Result<PathBuf, ToolError> {
    let refuse = |why: &str| Err(ToolError::Model(format!("{path:?} {why}; give a path relative to the root of the repository")));
    let mut relative = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => relative.push(part),
            Component::CurDir => {}
            Component::ParentDir => return refuse("contains \"..\""),
            Component::RootDir | Component::Prefix(_) => return refuse("is absolute"),
        }
    }
    if path.is_empty() {
        return refuse("is empty");
    }
    Ok(if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative })
}

/// What lies in `.git` decides what git runs. Compared without case, since some file systems do so.
fn refuse_git(path: &str, relative: &Path) -> Result<(), ToolError> {
    if relative.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git")) {
        return Err(ToolError::Model(format!("{path:?} is part of git's own data, which no tool may write")));
    }
    Ok(())
}

/// What an error of the file system means to the model.
pub(crate) fn explain(path: &str, error: &io::Error) -> ToolError {
    let left = error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none();
    ToolError::Model(match error.kind() {
        ErrorKind::NotFound => format!("there is no {path:?}; list_files shows what there is"),
        ErrorKind::NotADirectory => format!("a part of {path:?} is a file, not a folder"),
        _ if left => format!("{path:?} leads out of the repository, where no tool may go"),
        _ => format!("{path:?}: {error}"),
    })
}
