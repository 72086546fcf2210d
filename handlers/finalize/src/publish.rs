//! The effects of a job, each in the order intent, look-up, creation, reading back, confirmation.

use anyhow::Context;
use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::{Epoch, Kind, Outcome};
use failpoints::fail_point;
use git::{Checkout, CommitId, DiffStat, Identity, TreeId};
use github::{Access, NewPullRequest, Person, PullRequest};
use redact::told;
use serde::Serialize;
use serde_json::{Value, json};
use store::effects::{self, EffectName};
use store::jobs::Job;
use store::outbox;
use store::steps::{self, Preparation, Work};

use crate::follow_up::{self, Landed};
use crate::{Finalize, allowed, report, template, withheld};

/// Where the result of a job is.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Links {
    /// The pushed branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The pull request's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// The review's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
    /// The comment's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Why nothing could be published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpublished: Option<String>,
}

/// What became of the change.
enum Change {
    /// There is none.
    None,
    /// It must not leave, for this reason.
    Withheld { cause: String },
    /// It is at the remote.
    Pushed(Pushed),
    /// It is at the remote, on a branch beside the one that it goes on with, and the job ends like this.
    Beside(Pushed, Outcome),
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

/// Where it is told that a commit is at the remote.
pub(crate) struct Told {
    pub pull_request: Option<String>,
    pub comment: Option<String>,
}

impl Finalize {
    /// A change goes to a branch with a draft pull request, a review to its pull request; what is neither, or changed
    /// nothing, goes to the issue that asked. What an unfinished job did is kept the same way, and says that it is unfinished.
    /// Returns how the job ends: a change that must not leave makes it a failure, each time anew and for the same reason.
    pub(crate) async fn publish(&self, ctx: &Ctx, epoch: Epoch, work: &Work, outcome: &Outcome) -> Result<(Outcome, Links), HandlerError> {
        let mut links = Links::default();
        let preparation = steps::preparation(&self.db, work.job.job_id).await.map_err(failure::of_store)?;
        let mut notes = preparation.notes.clone();
        let told = told::outcome(outcome);
        let change = match work.job.kind {
            Kind::Change => self.push(ctx, epoch, work, &told, &preparation, &mut notes).await?,
            Kind::Analysis | Kind::Review | Kind::Question => Change::None,
        };
        let outcome = match change {
            Change::Pushed(pushed) => {
                links.branch = Some(pushed.branch.clone());
                links.commit = Some(pushed.commit.to_string());
                let at = match work.job.input.head {
                    Some(_) => self.tell_branch(epoch, work, &told, &pushed, &notes).await?,
                    None => {
                        let url = self.pull_request(epoch, work, &told, &pushed, &notes).await?.url;
                        Told { pull_request: Some(url), comment: None }
                    }
                };
                (links.pull_request, links.comment) = (at.pull_request, at.comment);
                return Ok((outcome.clone(), links));
            }
            Change::Beside(pushed, moved) => {
                links.branch = Some(pushed.branch);
                links.commit = Some(pushed.commit.to_string());
                moved
            }
            Change::Withheld { cause } => {
                links.unpublished = Some(cause.clone());
                Outcome::Failed { cause }
            }
            Change::None => outcome.clone(),
        };
        let told = told::outcome(&outcome);
        if let (Kind::Review, Outcome::Succeeded { finish }, Some(number)) = (work.job.kind, &told, work.job.input.number) {
            links.review = Some(self.review(ctx, epoch, work, finish, number, &preparation).await?);
        } else if let Some(number) = work.job.input.number {
            links.comment = Some(self.comment(epoch, work, &told, number, &notes).await?);
        }
        Ok((outcome, links))
    }

    /// Builds the commit from the last checkpoint and pushes it, unless it holds a secret. What the repository does not
    /// allow to be changed is left out, whatever the job's worker thought of it, and told in `notes`.
    async fn push(
        &self,
        ctx: &Ctx,
        epoch: Epoch,
        work: &Work,
        outcome: &Outcome,
        preparation: &Preparation,
        notes: &mut Vec<String>,
    ) -> Result<Change, HandlerError> {
        let job = &work.job;
        let Some(base) = &job.base_commit else { return Ok(Change::None) };
        let last = work.steps.last().map_or(0, |step| step.step_no);
        let Some((tree, pack)) = steps::checkpoint(&self.db, job.job_id, last).await.map_err(failure::of_store)? else {
            return Ok(Change::None);
        };
        let base: CommitId = base.parse().map_err(failure::of_git)?;
        let tree: TreeId = tree.parse().map_err(failure::of_git)?;
        let remote = config::remote(&*self.forge, &job.repository, job.remote.as_deref(), Access::Write).await?;
        let lease = self.checkouts.join(format!("{}-{epoch}", job.job_id));
        let folder = std::fs::create_dir_all(&lease).and_then(|()| tempfile::Builder::new().prefix("publish-").tempdir_in(&lease));
        let folder = folder.with_context(|| format!("cannot create a folder in {}", lease.display()))?;
        let mirror = self.git.mirror(&remote, &ctx.cancel).await.map_err(failure::of_git)?;
        let against: Option<CommitId> = preparation.against.as_deref().map(str::parse).transpose().map_err(failure::of_git)?;
        if let Some(against) = &against {
            mirror.bring(against, &ctx.cancel).await.map_err(failure::of_git)?;
        }
        let checkout = Checkout::create(&mirror, &base, &folder.path().join("checkout"), &ctx.cancel).await.map_err(failure::of_git)?;
        checkout.restore(&tree, &pack).await.map_err(failure::of_git)?;
        let trusted = against.as_ref().unwrap_or(&base);
        let tree = allowed::part(&checkout, trusted, &tree, notes).await?;
        let stat = checkout.stat(&tree).await.map_err(failure::of_git)?;
        if stat.files == 0 {
            return Ok(Change::None);
        }
        if let Some(cause) = withheld::reason(&checkout, &tree).await? {
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
        let detail = json!({ "branch": branch, "commit": commit.as_str() });
        effects::intend(&self.db, job.job_id, epoch, EffectName::Branch, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterBranchIntent);
        let ours = effects::intended_commits(&self.db, job.job_id).await.map_err(failure::of_store)?;
        let ours = ours.iter().map(|commit| commit.parse()).collect::<Result<Vec<CommitId>, _>>().map_err(failure::of_git)?;
        let landed = match &job.input.head {
            Some(head) => self.push_on(&checkout, (&base, &commit), &remote, (head, &branch), &ours).await?,
            None => {
                self.git.push(&checkout, &commit, &remote, &branch, &ours).await.map_err(failure::of_git)?;
                Landed::OnBranch(branch)
            }
        };
        fail_point!(AfterPush);
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
        let pushed = Pushed { branch, base: base_branch, commit, stat, template };
        match (&landed, &job.input.head) {
            (Landed::Beside { branch, moved_to }, Some(head)) => {
                let moved = follow_up::moved(head, branch, &pushed.commit, moved_to.as_ref());
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

    async fn pull_request(
        &self,
        epoch: Epoch,
        work: &Work,
        outcome: &Outcome,
        pushed: &Pushed,
        notes: &[String],
    ) -> Result<PullRequest, HandlerError> {
        let job = &work.job;
        let new = NewPullRequest {
            head: pushed.branch.clone(),
            base: pushed.base.clone(),
            title: report::title(job, outcome),
            body: report::pull_request(work, outcome, pushed, notes),
            draft: true,
        };
        self.open(epoch, work, &new).await
    }

    /// Opens a pull request, or renews the one that its head has.
    pub(crate) async fn open(&self, epoch: Epoch, work: &Work, new: &NewPullRequest) -> Result<PullRequest, HandlerError> {
        let job = &work.job;
        let detail = json!({ "head": new.head });
        effects::intend(&self.db, job.job_id, epoch, EffectName::PullRequest, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterPullRequestIntent);
        self.forge.put_pull_request(&job.repository, new).await.map_err(failure::of_forge)?;
        fail_point!(AfterPullRequestOpened);
        let there = self.forge.find_pull_request(&job.repository, &new.head).await.map_err(failure::of_forge)?;
        let there = there.ok_or_else(|| missing(format!("the pull request of {}", new.head)))?;
        let detail = json!({ "head": new.head, "number": there.number, "url": there.url });
        effects::confirm(&self.db, job.job_id, epoch, EffectName::PullRequest, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterPullRequest);
        Ok(there)
    }

    async fn comment(&self, epoch: Epoch, work: &Work, outcome: &Outcome, number: u64, notes: &[String]) -> Result<String, HandlerError> {
        self.write_comment(epoch, work, number, &report::comment(work, outcome, notes)).await
    }

    /// Writes the comment of a job, or gives it another body.
    pub(crate) async fn write_comment(&self, epoch: Epoch, work: &Work, number: u64, body: &str) -> Result<String, HandlerError> {
        let job = &work.job;
        let marker = github::job_marker(job.job_id);
        let detail = json!({ "number": number });
        effects::intend(&self.db, job.job_id, epoch, EffectName::Comment, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterCommentIntent);
        let there = match outbox::thread(&self.db, job.job_id).await.map_err(failure::of_store)? {
            // Asked at a line, answered there.
            Some(to) => {
                let written = self.forge.put_reply(&job.repository, number, to, &marker, body).await.map_err(failure::of_forge)?;
                fail_point!(AfterCommentWritten);
                written
            }
            None => {
                self.forge.put_comment(&job.repository, number, &marker, body).await.map_err(failure::of_forge)?;
                fail_point!(AfterCommentWritten);
                let there = self.forge.find_comment(&job.repository, number, &marker).await.map_err(failure::of_forge)?;
                there.ok_or_else(|| missing(format!("the comment on #{number}")))?
            }
        };
        let detail: Value = json!({ "number": number, "id": there.id, "url": there.url });
        effects::confirm(&self.db, job.job_id, epoch, EffectName::Comment, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterComment);
        Ok(there.url)
    }
}

pub(crate) fn missing(what: String) -> HandlerError {
    HandlerError::RetryAfter { after: std::time::Duration::from_secs(2), message: format!("{what} was created and cannot be read back") }
}
