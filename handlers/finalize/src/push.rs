//! The change of a job: its commit, built from the last checkpoint, and its way to the remote.

use anyhow::Context;
use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::{Epoch, Outcome};
use failpoints::fail_point;
use git::{Checkout, CommitId, DiffStat, GitError, Identity, Mirror, TreeId};
use github::words::{Language, Note};
use github::{Access, Person};
use serde_json::json;
use store::StoreError;
use store::effects::{self, EffectName};
use store::jobs::Job;
use store::steps::{self, Preparation, Work};

use crate::follow_up::{self, Landed};
use crate::{Finalize, allowed, report, template, withheld};

/// What became of the change.
pub(crate) enum Change {
    /// There is none.
    None,
    /// It must not leave, for this reason.
    Withheld { cause: String },
    /// It is at the remote.
    Pushed(Pushed),
    /// It is at the remote, on a branch beside the one that it goes on with, and the job ends like this.
    Beside(Pushed, Outcome),
    /// Somebody asked the job to stop before it was pushed, so it was not.
    Stopped,
}

/// A commit that is at the remote.
pub(crate) struct Pushed {
    pub branch: String,
    pub base: String,
    pub commit: CommitId,
    pub stat: DiffStat,
    /// The repository's own template for pull requests.
    pub template: Option<String>,
}

impl Finalize {
    /// Builds the commit from the last checkpoint and pushes it, unless it holds a secret. What the repository does not
    /// allow to be changed is left out, whatever the job's worker thought of it, and told in `notes`. A push begins right after its
    /// intent is written down, which the database refuses to a job that is to stop.
    pub(crate) async fn push(
        &self,
        ctx: &Ctx,
        epoch: Epoch,
        work: &Work,
        outcome: &Outcome,
        preparation: &Preparation,
        notes: &mut Vec<String>,
    ) -> Result<Change, HandlerError> {
        let job = &work.job;
        let language = Language::of(&job.input);
        let Some(base) = &job.base_commit else { return Ok(Change::None) };
        let last = work.steps.last().map_or(0, |step| step.step_no);
        let Some((tree, pack)) = steps::checkpoint(&self.db, job.job_id, last).await.map_err(failure::of_store)? else {
            return Ok(Change::None);
        };
        let base: CommitId = base.parse().map_err(failure::of_git)?;
        let tree: TreeId = tree.parse().map_err(failure::of_git)?;
        let place = (job.repository.as_str(), job.remote.as_deref());
        let (remote, mirror) = config::mirror(&self.git, &*self.forge, place, Access::Write, &ctx.cancel).await?;
        let lease = self.checkouts.join(format!("{}-{epoch}", job.job_id));
        let folder = std::fs::create_dir_all(&lease).and_then(|()| tempfile::Builder::new().prefix("publish-").tempdir_in(&lease));
        let folder = folder.with_context(|| format!("cannot create a folder in {}", lease.display()))?;
        let against: Option<CommitId> = preparation.against.as_deref().map(str::parse).transpose().map_err(failure::of_git)?;
        if let Some(against) = &against {
            mirror.bring(against, &ctx.cancel).await.map_err(failure::of_git)?;
        }
        let checkout = Checkout::create(&mirror, &base, &folder.path().join("checkout"), &ctx.cancel).await.map_err(failure::of_git)?;
        checkout.restore(&tree, &pack).await.map_err(failure::of_git)?;
        let trusted = against.as_ref().unwrap_or(&base);
        let tree = allowed::part(&checkout, trusted, &tree, language, notes).await?;
        let stat = checkout.stat(&tree).await.map_err(failure::of_git)?;
        if stat.files == 0 {
            return Ok(Change::None);
        }
        if let Some(cause) = withheld::reason(&checkout, &tree, language).await? {
            return Ok(Change::Withheld { cause });
        }
        let template = template::read(&checkout, trusted).await?;
        let (author, requester) = self.people(job).await?;
        let message = report::commit_message(job, outcome, requester.as_ref());
        let commit = checkout.commit(&tree, &message, &author, None, job.created_at).await.map_err(failure::of_git)?;
        let branch = report::branch(job);
        let base_branch = match &job.input.base {
            Some(branch) => branch.clone(),
            None => mirror.default_branch().unwrap_or("HEAD").to_owned(),
        };
        let before = effects::intended_commits(&self.db, job.job_id).await.map_err(failure::of_store)?;
        let mut ours = before.iter().map(|commit| commit.parse()).collect::<Result<Vec<CommitId>, _>>().map_err(failure::of_git)?;
        let detail = json!({ "branch": branch, "commit": commit.as_str() });
        let landed = match effects::intend(&self.db, job.job_id, epoch, EffectName::Branch, &detail).await {
            Err(StoreError::Stopped(_)) => {
                // Nothing is pushed any more. But a worker that died since may have done it: that is told.
                let there = match ours.contains(&commit) {
                    true => self.find(&remote, (job.input.head.as_deref(), &branch), &commit).await?,
                    false => None,
                };
                match there {
                    Some(landed) => landed,
                    None => return Ok(Change::Stopped),
                }
            }
            intended => {
                intended.map_err(failure::of_store)?;
                fail_point!(AfterBranchIntent);
                ours.push(commit.clone());
                let landed = match &job.input.head {
                    Some(head) => self.push_on(&checkout, (&base, &commit), &remote, (head, &branch), &ours).await?,
                    None => {
                        self.git.push(&checkout, &commit, &remote, &branch, &ours).await.map_err(failure::of_git)?;
                        Landed::OnBranch(branch)
                    }
                };
                fail_point!(AfterPush);
                landed
            }
        };
        let branch = landed.branch().to_owned();
        let there = self.git.remote_branch(&remote, &branch).await.map_err(failure::of_git)?;
        if there.as_ref() != Some(&commit) {
            return Err(HandlerError::RetryAfter {
                after: std::time::Duration::from_secs(2),
                message: format!("branch {branch} was pushed at {commit} and reads back as {there:?}"),
            });
        }
        let detail = json!({ "branch": branch, "commit": commit.as_str() });
        effects::confirm(&self.db, job.job_id, epoch, EffectName::Branch, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterBranch);
        notes.extend(conflicts(ctx, &mirror, &checkout, &commit, (&base_branch, language)).await?);
        let pushed = Pushed { branch, base: base_branch, commit, stat, template };
        match (&landed, &job.input.head) {
            (Landed::Beside { branch, moved_to }, Some(head)) => {
                let moved = follow_up::moved(head, branch, &pushed.commit, moved_to.as_ref(), language);
                Ok(Change::Beside(pushed, moved))
            }
            _ => Ok(Change::Pushed(pushed)),
        }
    }

    /// Who makes the commit, and who asked for it, where the forge knows them.
    async fn people(&self, job: &Job) -> Result<(Identity, Option<Person>), HandlerError> {
        let Person { name, email } = self.forge.author().await.map_err(failure::of_forge)?;
        let requester = match &job.input.requester {
            Some(login) => self.forge.person(login).await.map_err(failure::of_forge)?,
            None => None,
        };
        Ok((Identity { name, email }, requester))
    }
}

/// Where the change conflicts with what came to `branch` meanwhile, for people: it is pushed as it is, since a job does not decide
/// which of both is right.
async fn conflicts(
    ctx: &Ctx,
    mirror: &Mirror,
    checkout: &Checkout,
    commit: &CommitId,
    (branch, language): (&str, Language),
) -> Result<Option<String>, HandlerError> {
    let tip = match mirror.resolve(Some(branch)).await {
        Ok(tip) if tip != *checkout.base() => tip,
        Ok(_) | Err(GitError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(failure::of_git(error)),
    };
    mirror.bring(&tip, &ctx.cancel).await.map_err(failure::of_git)?;
    let files = match checkout.conflicts(commit, &tip).await {
        Ok(files) => files,
        // Nothing is wrong with the change itself: a branch that was written anew shares no history.
        Err(GitError::Failed { said, .. }) => {
            tracing::warn!("whether {commit} conflicts with {branch} is not known: {said}");
            return Ok(None);
        }
        Err(error) => return Err(failure::of_git(error)),
    };
    let paths: Vec<&str> = files.iter().map(String::as_str).collect();
    Ok((!paths.is_empty()).then(|| Note::Conflicts { branch, paths: &paths }.sentence(language)))
}
