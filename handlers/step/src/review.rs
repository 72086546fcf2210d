//! The commits of what looks at a change that is there already, to review it or to go on with it: the head of the pull request,
//! and where its branch began.

use config::failure;
use dispatch::HandlerError;
use domain::Kind;
use git::{CommitId, GitError, Mirror};
use github::Forge;
use store::jobs::Job;
use tokio_util::sync::CancellationToken;

/// What such a job starts from.
pub(crate) struct Commits {
    /// The head of the pull request.
    pub head: CommitId,
    /// What it is compared with: the newest commit that it shares with the branch it is to be merged into. The
    /// repository's own word is read there too, since whoever opened the pull request wrote the head.
    pub against: CommitId,
}

/// The end of a pull request.
enum Head {
    /// A branch of the repository.
    Branch(String),
    /// The pull request of this number, from a fork.
    PullRequest(u64),
}

/// Whether a job looks at a change that is there already.
pub(crate) fn has_head(job: &Job) -> bool {
    job.kind == Kind::Review || job.input.head.is_some()
}

/// Brings the commits of a fork's pull request into `mirror`, where they are not a branch's and another worker found them first.
pub(crate) async fn bring(mirror: &Mirror, job: &Job, cancel: &CancellationToken) -> Result<(), HandlerError> {
    let (Kind::Review, true, None, Some(number)) = (job.kind, job.input.is_pull_request, &job.input.head, job.input.number) else {
        return Ok(());
    };
    match mirror.resolve_pull_request(number, cancel).await {
        // A directory that stands in for a forge has no such names; then the branches are all there is.
        Ok(_) | Err(GitError::NotFound { .. }) => Ok(()),
        Err(error) => Err(failure::of_git(error)),
    }
}

/// Finds them: the job names the branches, or a pull request of the forge does.
pub(crate) async fn commits(forge: &dyn Forge, mirror: &Mirror, job: &Job, cancel: &CancellationToken) -> Result<Commits, HandlerError> {
    let (head, base) = branches(forge, job).await?;
    let head = match head {
        Head::Branch(branch) => mirror.resolve(Some(&branch)).await,
        Head::PullRequest(number) => mirror.resolve_pull_request(number, cancel).await,
    };
    let head = head.map_err(failure::of_git)?;
    let base_commit = mirror.resolve(base.as_deref()).await.map_err(failure::of_git)?;
    let shared = mirror.merge_base(&head, &base_commit).await.map_err(failure::of_git)?;
    let against = shared.ok_or_else(|| {
        HandlerError::Invalid(format!("the commits {head} and {base_commit} share no history, so there is no change to look at"))
    })?;
    Ok(Commits { head, against })
}

async fn branches(forge: &dyn Forge, job: &Job) -> Result<(Head, Option<String>), HandlerError> {
    if let Some(head) = &job.input.head {
        return Ok((Head::Branch(head.clone()), job.input.base.clone()));
    }
    let number = job.input.number.ok_or_else(|| HandlerError::Invalid("a review names a pull request or a head".to_owned()))?;
    let there = forge.pull_request(&job.repository, number).await.map_err(failure::of_forge)?;
    let pull = there.ok_or_else(|| HandlerError::Invalid(format!("there is no pull request #{number} in {}", job.repository)))?;
    let head = if pull.fork.is_some() { Head::PullRequest(number) } else { Head::Branch(pull.request.head) };
    Ok((head, Some(job.input.base.clone().unwrap_or(pull.request.base))))
}
