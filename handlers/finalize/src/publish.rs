//! The effects of a job, each in the order intent, look-up, creation, reading back, confirmation.

use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::{Epoch, Kind, Outcome};
use failpoints::fail_point;
use github::words::{self, Language};
use github::{NewPullRequest, PullRequest};
use redact::told;
use serde::Serialize;
use serde_json::{Value, json};
use store::effects::{self, EffectName};
use store::steps::{self, Work};
use store::{StoreError, outbox, queue};

use crate::push::{Change, Pushed};
use crate::{Finalize, report};

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

/// Where it is told that a commit is at the remote.
pub(crate) struct Told {
    pub pull_request: Option<String>,
    pub comment: Option<String>,
}

impl Finalize {
    /// A change goes to a branch with a draft pull request, a review to its pull request; what is neither, or changed
    /// nothing, goes to the issue that asked. What an unfinished job did is kept the same way, and says that it is unfinished. What
    /// was stopped leaves nothing outside: nothing is pushed after a stop, and its checkpoint stays where it is.
    /// Returns how the job ends: a change that must not leave makes it a failure, each time anew and for the same reason.
    pub(crate) async fn publish(&self, ctx: &Ctx, epoch: Epoch, work: &Work, outcome: &Outcome) -> Result<(Outcome, Links), HandlerError> {
        let mut links = Links::default();
        let preparation = steps::preparation(&self.db, work.job.job_id).await.map_err(failure::of_store)?;
        let mut notes = preparation.notes.clone();
        let change = match work.job.kind {
            Kind::Change if *outcome != Outcome::Stopped => {
                self.push(ctx, epoch, work, &told::outcome(outcome), &preparation, &mut notes).await?
            }
            Kind::Change | Kind::Analysis | Kind::Review | Kind::Question => Change::None,
        };
        let outcome = match change {
            Change::Pushed(pushed) => {
                let told = in_its_language(work, outcome);
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
            Change::Stopped => {
                // Of the end that was decided nobody has seen anything.
                if !queue::decide_stopped(&self.db, work.job.job_id, epoch).await.map_err(failure::of_store)? {
                    return Err(failure::of_store(StoreError::LeaseLost { job_id: work.job.job_id, epoch }));
                }
                Outcome::Stopped
            }
            Change::None => outcome.clone(),
        };
        let told = in_its_language(work, &outcome);
        if let (Kind::Review, Outcome::Succeeded { finish }, Some(number)) = (work.job.kind, &told, work.job.input.number) {
            links.review = Some(self.review(ctx, epoch, work, finish, number, &preparation).await?);
        } else if let Some(number) = work.job.input.number
            && !self.is_told(work, &told, notes.len() > preparation.notes.len()).await?
        {
            links.comment = Some(self.comment(epoch, work, &told, number, &notes).await?);
        }
        Ok((outcome, links))
    }

    /// Whether the comment that tells how the job goes says all there is to say: why it ended without a result, and what its
    /// preparation noted. `noted` = there is more, found out now.
    async fn is_told(&self, work: &Work, outcome: &Outcome, noted: bool) -> Result<bool, HandlerError> {
        match outcome {
            Outcome::Succeeded { .. } => return Ok(false),
            Outcome::Stopped => {}
            _ if noted => return Ok(false),
            _ => {}
        }
        // A comment that is there says what is true no more.
        let effects = effects::list(&self.db, work.job.job_id).await.map_err(failure::of_store)?;
        if effects.iter().any(|effect| effect.name == EffectName::Comment) {
            return Ok(false);
        }
        outbox::is_told(&self.db, work.job.job_id).await.map_err(failure::of_store)
    }

    /// Opens the pull request of what was pushed, or renews the one that its branch has.
    pub(crate) async fn pull_request(
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
            title: report::title(job, outcome, Language::of(&job.input)),
            body: report::pull_request(work, outcome, pushed, notes),
            draft: true,
        };
        let detail = json!({ "head": new.head });
        effects::intend(&self.db, job.job_id, epoch, EffectName::PullRequest, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterPullRequestIntent);
        self.forge.put_pull_request(&job.repository, &new).await.map_err(failure::of_forge)?;
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
        // Asked at a line, answered there.
        let thread = outbox::thread(&self.db, job.job_id).await.map_err(failure::of_store)?;
        let written = match thread {
            Some(to) => self.forge.put_reply(&job.repository, number, to, &marker, body).await,
            None => self.forge.put_comment(&job.repository, number, &marker, body).await,
        };
        let written = written.map_err(failure::of_forge)?;
        fail_point!(AfterCommentWritten);
        let there = match thread {
            Some(_) => Some(written),
            None => self.forge.find_comment(&job.repository, number, &marker).await.map_err(failure::of_forge)?,
        };
        let there = there.ok_or_else(|| missing(format!("the comment on #{number}")))?;
        let detail: Value = json!({ "number": number, "id": there.id, "url": there.url });
        effects::confirm(&self.db, job.job_id, epoch, EffectName::Comment, &detail).await.map_err(failure::of_store)?;
        fail_point!(AfterComment);
        Ok(there.url)
    }
}

/// The outcome as people read it who asked for the job.
fn in_its_language(work: &Work, outcome: &Outcome) -> Outcome {
    told::outcome(&words::outcome(outcome, Language::of(&work.job.input)))
}

pub(crate) fn missing(what: String) -> HandlerError {
    HandlerError::RetryAfter { after: std::time::Duration::from_secs(2), message: format!("{what} was created and cannot be read back") }
}
