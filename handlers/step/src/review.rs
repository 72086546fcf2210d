//! The commits of a review: the head of the pull request, and where its branch began.

use config::failure;
use dispatch::HandlerError;
use git::{CommitId, Mirror};
use github::Forge;
use store::jobs::Job;

/// What a review looks at.
pub(crate) struct Commits {
    /// The head of the pull request.
    pub head: CommitId,
    /// What it is compared with: the newest commit that it shares with the branch it is to be merged into. The
    /// repository's own word is read there too, since whoever opened the pull request wrote the head.
    pub against: CommitId,
}

/// Finds them: the job names the branches, or a pull request of the forge does.
pub(crate) async fn commits(forge: &dyn Forge, mirror: &Mirror, job: &Job) -> Result<Commits, HandlerError> {
    let (head, base) = branches(forge, job).await?;
    let head = mirror.resolve(Some(&head)).await.map_err(failure::of_git)?;
    let base_commit = mirror.resolve(base.as_deref()).await.map_err(failure::of_git)?;
    let shared = mirror.merge_base(&head, &base_commit).await.map_err(failure::of_git)?;
    let against = shared.ok_or_else(|| {
        HandlerError::Invalid(format!("the commits {head} and {base_commit} share no history, so there is no change to review"))
    })?;
    Ok(Commits { head, against })
}

async fn branches(forge: &dyn Forge, job: &Job) -> Result<(String, Option<String>), HandlerError> {
    if let Some(head) = &job.input.head {
        return Ok((head.clone(), job.input.base.clone()));
    }
    let number = job.input.number.ok_or_else(|| HandlerError::Invalid("a review names a pull request or a head".to_owned()))?;
    let there = forge.pull_request(&job.repository, number).await.map_err(failure::of_forge)?;
    let pull = there.ok_or_else(|| HandlerError::Invalid(format!("there is no pull request #{number} in {}", job.repository)))?;
    Ok((pull.request.head, Some(job.input.base.clone().unwrap_or(pull.request.base))))
}
