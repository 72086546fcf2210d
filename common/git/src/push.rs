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

    /// Pushes `commit` as the branch `branch`: a new one, or in the place of one of `ours`, the commits that this job pushed
    /// there before. Harmless when it is there already. One process; three when the branch is there.
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
        loop {
            let Some(refused) = self.push_once(checkout, commit, remote, branch, replaced.as_ref()).await? else { return Ok(()) };
            match self.remote_branch(remote, branch).await? {
                Some(at) if at == *commit => return Ok(()),
                Some(at) if replaced.is_none() && ours.contains(&at) => replaced = Some(at),
                Some(at) => return Err(GitError::Conflict { branch: branch.to_owned(), remote: remote.to_string(), at }),
                None => return Err(GitError::Rejected { branch: branch.to_owned(), remote: remote.to_string(), said: refused }),
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
        let output =
            self.talk(Some(&checkout.trusted), remote, &push, &[&format!("{commit}:{reference}")], &CancellationToken::new()).await?;
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
