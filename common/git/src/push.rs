//! Brings a commit to a remote, as a new branch and never over anybody's work.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::Exit;
use tokio_util::sync::CancellationToken;

use crate::error::last_words;
use crate::git::failed;
use crate::id::check_branch;
use crate::{Checkout, CommitId, Git, GitError, Remote};

/// A push holds the lock of a branch for milliseconds: one of this age was left by a git that was killed.
const STALE_LOCK: Duration = Duration::from_secs(10);

impl Git {
    /// Where a branch of `remote` is now; `None` when there is no such branch. One process.
    ///
    /// # Errors
    /// [`GitError::NotFound`], [`GitError::Denied`], [`GitError::Unreachable`].
    pub async fn remote_branch(&self, remote: &Remote, branch: &str) -> Result<Option<CommitId>, GitError> {
        check_branch(branch)?;
        let reference = format!("refs/heads/{branch}");
        let output = self.talk(None, remote, &["ls-remote", "--quiet"], &[&reference], Vec::new(), &CancellationToken::new()).await?;
        if output.exit != Exit::Code(0) {
            return Err(failed(&output).about_remote(&remote.to_string()));
        }
        // The pattern also matches the end of longer names.
        let listed = output.stdout_text();
        listed.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == reference).map(|(id, _)| id.parse()).transpose()
    }

    /// Pushes `commit` as the branch `branch`: a new one, or in the place of one of `ours`, the commits that this job pushed
    /// there before. Harmless when it is there already. One process; two when it is there, three when it replaces another.
    ///
    /// In a repository on this machine git runs on both ends, and a worker that is killed may leave the branch locked for
    /// ever. Nobody else pushes to a branch of ours, so its lock is taken away when it is ten seconds old.
    ///
    /// # Errors
    /// [`GitError::Conflict`] when the branch is at another commit, [`GitError::Rejected`] when the remote's
    /// own rules forbid it; [`GitError::Unreachable`] may be tried again.
    pub async fn push(
        &self,
        checkout: &Checkout,
        commit: &CommitId,
        remote: &Remote,
        branch: &str,
        ours: &[CommitId],
    ) -> Result<(), GitError> {
        check_branch(branch)?;
        let mut replaced: Option<CommitId> = None;
        let mut unlocked = false;
        loop {
            let Some(refused) = self.push_once(checkout, commit, remote, branch, replaced.as_ref()).await? else { return Ok(()) };
            let at = self.remote_branch(remote, branch).await?;
            match at {
                Some(at) if at == *commit => return Ok(()),
                Some(at) if !ours.contains(&at) => {
                    return Err(GitError::Conflict { branch: branch.to_owned(), remote: remote.to_string(), at });
                }
                at if at != replaced => replaced = at,
                _ if !unlocked && remove_stale_lock(remote, branch) => unlocked = true,
                _ => return Err(GitError::Rejected { branch: branch.to_owned(), remote: remote.to_string(), said: refused }),
            }
        }
    }

    /// Pushes if the branch is at `expected` (`None` = it must not exist), which git asks for in the same request that
    /// writes. What the remote said when it refused; `None` = done.
    async fn push_once(
        &self,
        checkout: &Checkout,
        commit: &CommitId,
        remote: &Remote,
        branch: &str,
        expected: Option<&CommitId>,
    ) -> Result<Option<String>, GitError> {
        let reference = format!("refs/heads/{branch}");
        let lease = format!("--force-with-lease={reference}:{}", expected.map_or("", CommitId::as_str));
        let push = ["push", "--porcelain", "--no-verify", "--no-follow-tags", &lease];
        let output = self
            .talk(Some(&checkout.trusted), remote, &push, &[&format!("{commit}:{reference}")], Vec::new(), &CancellationToken::new())
            .await?;
        if output.exit == Exit::Code(0) {
            return Ok(None);
        }
        let answer = output.stdout_text();
        if !answer.lines().any(|line| line.starts_with("!\t")) {
            return Err(failed(&output).about_remote(&remote.to_string()));
        }
        Ok(Some(last_words(&format!("{}\n{answer}", output.stderr_text()))))
    }
}

/// Takes away what keeps a branch of a repository on this machine from being written; whether there was something.
fn remove_stale_lock(remote: &Remote, branch: &str) -> bool {
    let Some(root) = remote.local_path() else { return false };
    let lock = |git_dir: PathBuf| git_dir.join("refs/heads").join(format!("{branch}.lock"));
    [lock(root.to_owned()), lock(root.join(".git"))].iter().any(|lock| match remove_if_stale(lock) {
        Ok(removed) => removed,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!("cannot take away {}: {error}", lock.display());
            }
            false
        }
    })
}

fn remove_if_stale(lock: &Path) -> io::Result<bool> {
    // A clock that was set back makes it look young: then it stays until later.
    let age = lock.metadata()?.modified()?.elapsed().unwrap_or_default();
    if age < STALE_LOCK {
        return Ok(false);
    }
    std::fs::remove_file(lock)?;
    tracing::warn!("took away {}, which a git that was killed left {} s ago", lock.display(), age.as_secs());
    Ok(true)
}
