//! The repository of a task: plain files become commits in a bare repository, as a forge would have them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::task::Task;
use super::tree;
use crate::commands::git_cli::GitCli;

/// The same files make the same commits.
const DATE: &str = "2026-01-05T09:00:00Z";
/// What is kept of a diff for whoever reads the results.
const MOST_DIFF_BYTES: usize = 64 * 1024;

/// A bare repository with a task's commits.
pub(super) struct Repository {
    /// Where it is.
    pub bare: PathBuf,
    git: GitCli,
    branch: String,
}

impl Repository {
    /// Makes the repository of `task` in `folder`, which is empty.
    ///
    /// # Errors
    /// When files cannot be written, or git cannot be run.
    pub(super) async fn create(task: &Task, folder: &Path, path: &str) -> anyhow::Result<Self> {
        let repository = Self { bare: folder.join("repository.git"), git: GitCli::new(path).at(DATE), branch: task.branch().to_owned() };
        let work = folder.join("work");
        fs::create_dir(&work)?;
        tree::lay_over(&task.folder.join("repo"), &work).context("cannot copy the task's files")?;
        let git = async |arguments: &[&str]| repository.git.run(&work, arguments).await.map(drop);
        let bare = repository.bare.display().to_string();
        git(&["init", "--quiet", "--bare", "--initial-branch=main", &bare]).await?;
        git(&["init", "--quiet", "--initial-branch=main"]).await?;
        git(&["add", "--all"]).await?;
        git(&["commit", "--quiet", "--message", "Begin"]).await?;
        if let Some(second) = &task.second {
            if repository.branch != "main" {
                git(&["checkout", "--quiet", "-b", &repository.branch]).await?;
            }
            for gone in &second.removes {
                fs::remove_file(work.join(gone)).with_context(|| format!("cannot remove {gone}"))?;
            }
            tree::lay_over(&task.folder.join("second"), &work).context("cannot copy the files of the second commit")?;
            git(&["add", "--all"]).await?;
            git(&["commit", "--quiet", "--message", &second.message]).await?;
        }
        git(&["push", "--quiet", &bare, "--all"]).await?;
        fs::remove_dir_all(&work)?;
        Ok(repository)
    }

    /// Clones `branch` to `folder`; the branch that jobs start from where none is named.
    ///
    /// # Errors
    /// When git fails.
    pub(super) async fn clone_to(&self, branch: Option<&str>, folder: &Path) -> anyhow::Result<()> {
        let (bare, to) = (self.bare.display().to_string(), folder.display().to_string());
        self.git
            .run(&self.bare, &["clone", "--quiet", "--no-hardlinks", "--branch", branch.unwrap_or(&self.branch), &bare, &to])
            .await
            .map(drop)
    }

    /// What `branch` changes, cut where it is long.
    ///
    /// # Errors
    /// When git fails.
    pub(super) async fn diff(&self, branch: &str) -> anyhow::Result<String> {
        let output = self.git.run(&self.bare, &["diff", "--no-color", "--no-ext-diff", "--no-textconv", &self.branch, branch]).await?;
        let mut diff = output.stdout_text();
        if diff.len() > MOST_DIFF_BYTES {
            diff.truncate(diff.floor_char_boundary(MOST_DIFF_BYTES));
            diff.push_str("\n[… cut here …]\n");
        }
        Ok(diff)
    }
}
