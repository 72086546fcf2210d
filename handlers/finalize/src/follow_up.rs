//! A change that goes on with a branch which is there already: it is pushed on top of what the job started from, never over
//! what came since, and the pull request of the branch is told.

use config::failure;
use dispatch::HandlerError;
use domain::{Epoch, Outcome};
use git::{Checkout, CommitId, GitError, Remote};
use github::words::{KeptBack, Language};
use store::steps::Work;

use crate::publish::Told;
use crate::push::Pushed;
use crate::{Finalize, report};

/// Where the commit of a follow-up went.
pub(crate) enum Landed {
    /// On the branch that it goes on with.
    OnBranch(String),
    /// On a branch of its own, since the other one has moved or is gone: at this commit, if it is somewhere.
    Beside { branch: String, moved_to: Option<CommitId> },
}

impl Landed {
    pub(crate) fn branch(&self) -> &str {
        match self {
            Self::OnBranch(branch) | Self::Beside { branch, .. } => branch,
        }
    }
}

impl Finalize {
    /// Pushes `commit`, whose parent is `base`, to `head`. A branch that is at neither of them has work of somebody else's: that
    /// stays, and the commit goes to the branch `own`. `ours` = what this job pushed before.
    pub(crate) async fn push_on(
        &self,
        checkout: &Checkout,
        (base, commit): (&CommitId, &CommitId),
        remote: &Remote,
        (head, own): (&str, &str),
        ours: &[CommitId],
    ) -> Result<Landed, HandlerError> {
        let at = self.git.remote_branch(remote, head).await.map_err(failure::of_git)?;
        let moved_to = match at {
            // A branch that was deleted is not made again.
            None => None,
            Some(at) if at == *base || at == *commit || ours.contains(&at) => {
                let mine: Vec<CommitId> = ours.iter().chain([base]).cloned().collect();
                match self.git.push(checkout, commit, remote, head, &mine).await {
                    Ok(()) => return Ok(Landed::OnBranch(head.to_owned())),
                    Err(GitError::Conflict { at, .. }) => Some(at),
                    Err(error) => return Err(failure::of_git(error)),
                }
            }
            Some(at) => Some(at),
        };
        self.git.push(checkout, commit, remote, own, ours).await.map_err(failure::of_git)?;
        Ok(Landed::Beside { branch: own.to_owned(), moved_to })
    }

    /// Where `commit` was pushed to already: the branch `head` that it goes on with, or the branch `own`. `None` = nowhere.
    pub(crate) async fn find(
        &self,
        remote: &Remote,
        (head, own): (Option<&str>, &str),
        commit: &CommitId,
    ) -> Result<Option<Landed>, HandlerError> {
        let moved_to = match head {
            Some(head) => self.git.remote_branch(remote, head).await.map_err(failure::of_git)?,
            None => None,
        };
        if let Some(head) = head.filter(|_| moved_to.as_ref() == Some(commit)) {
            return Ok(Some(Landed::OnBranch(head.to_owned())));
        }
        let there = self.git.remote_branch(remote, own).await.map_err(failure::of_git)?;
        Ok(there.filter(|at| at == commit).map(|_| match head {
            Some(_) => Landed::Beside { branch: own.to_owned(), moved_to },
            None => Landed::OnBranch(own.to_owned()),
        }))
    }

    /// Tells the pull request of the branch what was pushed to it; opens one where the branch has none.
    pub(crate) async fn tell_branch(
        &self,
        epoch: Epoch,
        work: &Work,
        outcome: &Outcome,
        pushed: &Pushed,
        notes: &[String],
    ) -> Result<Told, HandlerError> {
        let job = &work.job;
        let found = self.forge.find_pull_request(&job.repository, &pushed.branch).await.map_err(failure::of_forge)?;
        let Some(there) = found.filter(|pull| pull.open) else {
            let opened = self.pull_request(epoch, work, outcome, pushed, notes).await?;
            return Ok(Told { pull_request: Some(opened.url), comment: None });
        };
        let body = report::follow_up(work, outcome, pushed, notes);
        let comment = self.write_comment(epoch, work, there.number, &body).await?;
        Ok(Told { pull_request: Some(there.url), comment: Some(comment) })
    }
}

/// How a follow-up ends whose branch has moved: what was done is kept, and a person has to bring both together.
pub(crate) fn moved(head: &str, branch: &str, commit: &CommitId, moved_to: Option<&CommitId>, language: Language) -> Outcome {
    let beside = KeptBack::Beside { head, moved_to: moved_to.map(CommitId::as_str), branch, commit: commit.as_str() };
    Outcome::Failed { cause: beside.sentence(language) }
}
