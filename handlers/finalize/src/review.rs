//! The review as an effect: intent, look-up, creation, reading back, confirmation.

use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::diff::FileDiff;
use domain::{Epoch, Finish, ReviewComment};
use git::GitError;
use github::{Access, LineComment, NewReview};
use serde_json::json;
use store::effects::{self, EffectName};
use store::steps::{Preparation, Work};

use crate::publish::missing;
use crate::{Finalize, report};

impl Finalize {
    /// Writes the review of pull request `number`. What does not fit the change goes into its body, so that nothing is lost.
    pub(crate) async fn review(
        &self,
        ctx: &Ctx,
        epoch: Epoch,
        work: &Work,
        finish: &Finish,
        number: u64,
        preparation: &Preparation,
    ) -> Result<String, HandlerError> {
        let job = &work.job;
        let change = if finish.comments.is_empty() { Vec::new() } else { self.change(ctx, work, preparation).await? };
        let (placed, others): (Vec<&ReviewComment>, Vec<&ReviewComment>) =
            finish.comments.iter().partition(|comment| comment.fits(&change).is_ok());
        let comments = placed.into_iter().map(|comment| LineComment {
            path: comment.path.clone(),
            line: comment.line,
            side: comment.side,
            body: report::finding(comment),
        });
        let new = NewReview {
            commit: job.base_commit.clone().unwrap_or_default(),
            body: report::review(work, finish, &others, &preparation.notes),
            comments: comments.collect(),
        };
        let marker = github::job_marker(job.job_id);
        effects::intend(&self.db, job.job_id, epoch, EffectName::Review, &json!({ "number": number })).await.map_err(failure::of_store)?;
        self.forge.put_review(&job.repository, number, &marker, &new).await.map_err(failure::of_forge)?;
        let there = self.forge.find_review(&job.repository, number, &marker).await.map_err(failure::of_forge)?;
        let there = there.ok_or_else(|| missing(format!("the review of #{number}")))?;
        let detail = json!({ "number": number, "id": there.id, "url": there.url, "comments": there.review.comments.len() });
        effects::confirm(&self.db, job.job_id, epoch, EffectName::Review, &detail).await.map_err(failure::of_store)?;
        Ok(there.url)
    }

    /// What was reviewed, read again from the repository; nothing where its commits are gone, as after a branch was
    /// written anew.
    async fn change(&self, ctx: &Ctx, work: &Work, preparation: &Preparation) -> Result<Vec<FileDiff>, HandlerError> {
        let job = &work.job;
        let (Some(head), Some(against)) = (&job.base_commit, &preparation.against) else { return Ok(Vec::new()) };
        let place = (job.repository.as_str(), job.remote.as_deref());
        let (_, mirror) = config::mirror(&self.git, &*self.forge, place, Access::Read, &ctx.cancel).await?;
        if let (true, None, Some(number)) = (job.input.is_pull_request, &job.input.head, job.input.number) {
            match mirror.resolve_pull_request(number, &ctx.cancel).await {
                Ok(_) | Err(GitError::NotFound { .. }) => {}
                Err(error) => return Err(failure::of_git(error)),
            }
        }
        let (head, against) = (head.parse().map_err(failure::of_git)?, against.parse().map_err(failure::of_git)?);
        match mirror.diff(&against, &head).await {
            Ok(diff) => Ok(FileDiff::parse(&diff)),
            Err(error @ GitError::Failed { .. }) => {
                tracing::warn!(job.id = %job.job_id, "the reviewed change cannot be read again, its comments go into the body: {error}");
                Ok(Vec::new())
            }
            Err(error) => Err(failure::of_git(error)),
        }
    }
}
