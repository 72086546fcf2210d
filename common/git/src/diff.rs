//! What a tree changes.

use crate::{Checkout, GitError, TreeId};

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
        let diff = ["diff-tree", "-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index"];
        let command = self.git.in_repository(&self.trusted, diff).args([self.base_tree.as_str(), tree.as_str()]);
        self.git.run(command.output_cap(SHOWN)).await
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
