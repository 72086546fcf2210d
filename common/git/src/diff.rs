//! What a tree changes.

use std::path::Path;

use process::Exit;
use tokio_util::sync::CancellationToken;

use crate::git::failed;
use crate::{Checkout, CommitId, Git, GitError, Mirror, TreeId};

/// How much a tree changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiffStat {
    /// Files changed, added, removed or renamed.
    pub files: u64,
    /// Lines added; binary files have none.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

/// The most of a diff that is shown; the middle of a longer one is left out, with a line that says so.
const SHOWN: usize = 16 << 20;

impl Checkout {
    /// The unified diff from the base to `tree`, as `git apply` takes it; bytes that are not UTF-8 are replaced. One process.
    ///
    /// # Errors
    /// When git fails.
    pub async fn diff(&self, tree: &TreeId) -> Result<String, GitError> {
        diff(&self.git, &self.trusted, self.base_tree.as_str(), tree.as_str()).await
    }

    /// The unified diff from commit `from` to the base. One process.
    ///
    /// # Errors
    /// When git fails.
    pub async fn diff_since(&self, from: &CommitId) -> Result<String, GitError> {
        diff(&self.git, &self.trusted, from.as_str(), self.base.as_str()).await
    }

    /// How much `tree` changes in the base. One process.
    ///
    /// # Errors
    /// When git fails.
    pub async fn stat(&self, tree: &TreeId) -> Result<DiffStat, GitError> {
        let stat = ["diff-tree", "-r", "--numstat", "-M", "--no-ext-diff", "--no-textconv"];
        let output = self.git.run(self.git.in_repository(&self.trusted, stat).args([self.base_tree.as_str(), tree.as_str()])).await?;
        Ok(output.lines().fold(DiffStat::default(), |total, line| {
            let mut numbers = line.split('\t').map(|number| number.parse::<u64>().unwrap_or(0)); // `-` in binary files
            DiffStat {
                files: total.files + 1,
                added: total.added + numbers.next().unwrap_or(0),
                removed: total.removed + numbers.next().unwrap_or(0),
            }
        }))
    }
}

impl Mirror {
    /// The unified diff from one commit to another. One process, more where a partial mirror lacks files of theirs.
    ///
    /// # Errors
    /// When git fails, as it does where a commit is not there.
    pub async fn diff(&self, from: &CommitId, to: &CommitId) -> Result<String, GitError> {
        let cancel = CancellationToken::new();
        self.bring(from, &cancel).await?;
        self.bring(to, &cancel).await?;
        diff(&self.git, &self.dir, from.as_str(), to.as_str()).await
    }

    /// The newest commit that both have in their history: where a branch began. `None` = they have none. One process.
    ///
    /// # Errors
    /// When git fails.
    pub async fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, GitError> {
        let command = self.git.in_repository(&self.dir, ["merge-base", one.as_str(), other.as_str()]);
        let output = self.git.attempt(command, &CancellationToken::new()).await?;
        match output.exit {
            Exit::Code(0) => output.stdout_text().trim().parse().map(Some),
            Exit::Code(1) => Ok(None),
            _ => Err(failed(&output)),
        }
    }
}

async fn diff(git: &Git, git_dir: &Path, from: &str, to: &str) -> Result<String, GitError> {
    let diff = ["diff-tree", "-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index"];
    git.run(git.in_repository(git_dir, diff).args([from, to]).output_cap(SHOWN)).await
}
