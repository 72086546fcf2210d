//! The files below a folder, as `list_files` and `search` see them.

use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobMatcher};
use ignore::WalkBuilder;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ToolContext, ToolError};
use crate::Workspace;

/// What one walk needs; owned, so that it can run on a thread that may block.
pub(super) struct Walk {
    pub workspace: Workspace,
    folder: PathBuf,
    glob: Option<GlobMatcher>,
    deadline: Instant,
    cancel: CancellationToken,
}

impl Walk {
    /// Starts at `path` (a folder or a file; `None` = the root) and keeps the files that fit `glob`.
    pub(super) fn new(ctx: &ToolContext<'_>, path: Option<&str>, glob: Option<&str>) -> Result<Self, ToolError> {
        Ok(Self {
            workspace: ctx.workspace.clone(),
            folder: ctx.workspace.resolve(path.unwrap_or("."))?,
            glob: glob.map(matcher).transpose()?,
            deadline: ctx.deadline,
            cancel: ctx.cancel.clone(),
        })
    }

    /// Calls `visit` with each file's path relative to the root, in the order of their names, until it
    /// answers `false`. What the repository's own `.gitignore` files name is passed over, and so are
    /// `.git` and symbolic links.
    pub(super) fn each(&self, mut visit: impl FnMut(&Path) -> Result<bool, ToolError>) -> Result<(), ToolError> {
        let root = self.workspace.root();
        if !has_plain_ignore_file(&root.join(&self.folder)) {
            return Err(ToolError::Model(format!("{:?} has a .gitignore that is not a regular file; remove it", self.folder)));
        }
        let walk = WalkBuilder::new(root.join(&self.folder))
            .hidden(false)
            .ignore(false)
            .parents(false)
            .git_global(false)
            .git_exclude(false)
            .require_git(false)
            .sort_by_file_name(Ord::cmp)
            .filter_entry(|entry| entry.file_name() != ".git" && (entry.depth() == 0 || has_plain_ignore_file(entry.path())))
            .build();
        for entry in walk {
            if self.cancel.is_cancelled() {
                return Err(ToolError::Cancelled);
            }
            if Instant::now() >= self.deadline {
                return Err(ToolError::Model("out of time; narrow it with path or glob".to_owned()));
            }
            // A folder that vanished or may not be read holds nothing that the model could use.
            let Ok(entry) = entry else { continue };
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let path = path.strip_prefix("./").unwrap_or(path);
            if self.glob.as_ref().is_none_or(|glob| glob.is_match(path)) && !visit(path)? {
                break;
            }
        }
        Ok(())
    }
}

/// The walk reads every `.gitignore` that it meets, by its path. One that is a pipe, a device or a link to
/// one would hold it for ever, so a folder with such a file is not entered.
fn has_plain_ignore_file(folder: &Path) -> bool {
    match folder.join(".gitignore").symlink_metadata() {
        Ok(metadata) => metadata.is_file(),
        Err(_) => true,
    }
}

/// A glob without a slash is about the name of a file, wherever it lies.
fn matcher(glob: &str) -> Result<GlobMatcher, ToolError> {
    let anchored = if glob.contains('/') { glob.trim_start_matches("./").to_owned() } else { format!("**/{glob}") };
    let built: Result<Glob, _> = GlobBuilder::new(&anchored).literal_separator(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| ToolError::Model(format!("{glob:?} is not a glob: {}", error.kind())))
}

/// Runs `work` on a thread of its own, where it may block: it has the rights of the slot's user, which a thread
/// that is used again for others must not have.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ToolError> + Send + 'static) -> Result<T, ToolError> {
    let (done, result) = tokio::sync::oneshot::channel();
    let span = tracing::Span::current();
    let work = move || {
        // Nobody waits any more when the step was cancelled.
        drop(done.send(span.in_scope(work)));
    };
    std::thread::Builder::new().name("walk".to_owned()).spawn(work).map_err(|error| ToolError::Fatal(error.into()))?;
    result.await.map_err(|_| ToolError::Fatal(anyhow::anyhow!("the thread that read files panicked")))?
}
