//! Brings a commit to a remote, as a new branch and never over anybody's work.

use process::Exit;
use tokio_util::sync::CancellationToken;

use crate::error::last_words;
use crate::git::failed;
use crate::id::check_branch;
use crate::{Checkout, CommitId, Git, GitError, Remote};

impl Git {
    /// Where a branch of `remote` is now; `None` when there is no such branch. One process.
    ///
    /// # Errors
    /// [`GitError::NotFound`], [`GitError::Denied`], [`GitError::Unreachable`].
    pub async fn remote_branch(&self, remote: &Remote, branch: &str) -> Result<Option<CommitId>, GitError> {
        check_branch(branch)?;
        let reference = format!("refs/heads/{branch}");
        let output = self.talk(None, remote, &["ls-remote", "--quiet"], &[&reference], &CancellationToken::new()).await?;
        if output.exit != Exit::Code(0) {
            return Err(failed(&output).about_remote(&remote.to_string()));
        }
        // The pattern also matches the end of longer names.
        let listed = output.stdout_text();
        listed.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == reference).map(|(id, _)| id.parse()).transpose()
    }

    /// Pushes `commit` as the new branch `branch`; harmless when it is there already. One process, two when
    /// it is refused.
    ///
    /// # Errors
    /// [`GitError::Conflict`] when the branch is at another commit, [`GitError::Rejected`] when the remote's
    /// own rules forbid it; [`GitError::Unreachable`] may be tried again.
    pub async fn push(&self, checkout: &Checkout, commit: &CommitId, remote: &Remote, branch: &str) -> Result<(), GitError> {
        check_branch(branch)?;
        let reference = format!("refs/heads/{branch}");
        // The lease expects nothing: the branch must not exist. git asks for it in the same request that writes.
        let lease = format!("--force-with-lease={reference}:");
        let push = ["push", "--porcelain", "--no-verify", "--no-follow-tags", &lease];
        let output =
            self.talk(Some(&checkout.trusted), remote, &push, &[&format!("{commit}:{reference}")], &CancellationToken::new()).await?;
        if output.exit == Exit::Code(0) {
            return Ok(());
        }
        let answer = output.stdout_text();
        let refused = answer.lines().any(|line| line.starts_with("!\t"));
        if !refused {
            return Err(failed(&output).about_remote(&remote.to_string()));
        }
        match self.remote_branch(remote, branch).await? {
            Some(at) if at == *commit => Ok(()),
            Some(at) => Err(GitError::Conflict { branch: branch.to_owned(), remote: remote.to_string(), at }),
            None => {
                let said = last_words(&format!("{}\n{answer}", output.stderr_text()));
                Err(GitError::Rejected { branch: branch.to_owned(), remote: remote.to_string(), said })
            }
        }
    }
}
