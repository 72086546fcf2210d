//! Says on the forge what is due: reactions, the comment and check run of a job, notices.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{Caps, Emotion, JobId, Mode, Outcome, OwnerId, Subject};
use failpoints::fail_point;
use github::words::{self, Language, Progress, Stage};
use github::{Forge, ForgeError, hidden_marker};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::jobs::{self, Job};
use store::outbox::{self, Due, NewPart, Next, Part};
use store::{Db, events};

/// The first pause after a failure and the longest; each is twice the one before.
const BACKOFF: Duration = Duration::from_secs(2);
const BACKOFF_MOST: Duration = Duration::from_secs(300);
/// Failures after which a part is given up: with those pauses, about a day.
const MOST_ATTEMPTS: i32 = 300;

/// Sends the most urgent part of the outbox that is due.
///
/// Harmless twice: a part is held by one sender, the forge is asked for what is there already, and what a part says is made of how
/// its job stands when it is sent.
#[derive(Clone)]
pub struct Converse {
    /// Where the outbox is.
    pub db: Db,
    /// Who sends.
    pub owner: OwnerId,
    /// Where to.
    pub forge: Arc<dyn Forge>,
    /// What a mechanic's job may spend where nobody lowered it.
    pub mechanic: Caps,
    /// The same for a genius's.
    pub genius: Caps,
}

/// Nothing: what is due follows from the outbox.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConverseRequest {}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Conversed {
    /// Nothing is due.
    Nothing,
    /// A part was sent.
    Sent {
        /// Which.
        part: &'static str,
        /// About which job.
        job_id: Option<JobId>,
    },
    /// A part could not be sent; it is tried again unless it was given up.
    Failed {
        /// Which.
        part: &'static str,
        /// About which job.
        job_id: Option<JobId>,
        /// Why.
        problem: String,
        /// Whether it will never be sent.
        given_up: bool,
    },
}

/// A part that was sent.
struct Sent {
    remote_id: Option<u64>,
    next: Next,
    /// What is to be said because of it.
    follow: Option<NewPart>,
}

impl Sent {
    const DONE: Self = Self { remote_id: None, next: Next::Done, follow: None };

    fn living(remote_id: u64) -> Self {
        Self { remote_id: Some(remote_id), next: Next::Lives, follow: None }
    }
}

impl Handler for Converse {
    const NAME: &'static str = "converse";
    type Request = ConverseRequest;
    type Response = Conversed;

    async fn handle(&self, _ctx: Ctx, _request: ConverseRequest) -> Result<Conversed, HandlerError> {
        let Some(due) = outbox::take(&self.db, self.owner).await.map_err(failure::of_store)? else { return Ok(Conversed::Nothing) };
        fail_point!(AfterOutboxTake);
        let (part, job_id) = (due.part.name(), due.job_id);
        match self.send(&due).await {
            Ok(Sent { remote_id, next, follow }) => {
                fail_point!(AfterOutboxSend);
                outbox::sent(&self.db, self.owner, &due, remote_id, next, follow.as_slice()).await.map_err(failure::of_store)?;
                Ok(Conversed::Sent { part, job_id })
            }
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Forge(error)) => {
                let problem = error.to_string();
                let after = again(&error, due.attempt);
                if let ForgeError::RetryAfter { after } = &error {
                    outbox::hold(&self.db, &due.channel, *after).await.map_err(failure::of_store)?;
                }
                outbox::failed(&self.db, self.owner, &due, &problem, after).await.map_err(failure::of_store)?;
                Ok(Conversed::Failed { part, job_id, problem, given_up: after.is_none() })
            }
        }
    }
}

/// Why a part was not sent: the forge's reasons are its own, the store's end the call.
enum Failure {
    Forge(ForgeError),
    Store(HandlerError),
}

impl From<ForgeError> for Failure {
    fn from(error: ForgeError) -> Self {
        Self::Forge(error)
    }
}

impl From<HandlerError> for Failure {
    fn from(error: HandlerError) -> Self {
        Self::Store(error)
    }
}

impl Converse {
    async fn send(&self, due: &Due) -> Result<Sent, Failure> {
        match &due.part {
            Part::Reaction { subject, emotion } => {
                self.forge.react(&due.repository, *subject, *emotion).await?;
                Ok(Sent::DONE)
            }
            Part::Notice { number, thread, body } => {
                let marker = hidden_marker(&format!("notice:{}", hex::encode(&Sha256::digest(&due.key)[..12])));
                self.write(due, *number, *thread, &marker, &format!("{body}\n\n{marker}\n")).await?;
                Ok(Sent::DONE)
            }
            Part::Comment { number, thread, asked } => match self.progress(due).await? {
                Some((job, progress)) => self.comment(due, &job, &progress, (*number, *thread), *asked).await,
                None => Ok(Sent::DONE),
            },
            Part::CheckRun => match self.progress(due).await? {
                Some((job, progress)) => self.check_run(due, &job, &progress).await,
                None => Ok(Sent::DONE),
            },
        }
    }

    /// The job of `due` and how it stands; `None` where there is none.
    async fn progress(&self, due: &Due) -> Result<Option<(Job, Progress)>, HandlerError> {
        let Some(job_id) = due.job_id else { return Ok(None) };
        let standing = jobs::get(&self.db, job_id).await.map_err(failure::of_store)?;
        let news = events::latest(&self.db, job_id, progress::NEWS).await.map_err(failure::of_store)?;
        let mode = standing.job.mode.unwrap_or(Mode::Mechanic);
        let caps = match mode {
            Mode::Mechanic => self.mechanic,
            Mode::Genius => self.genius,
        };
        let progress = progress::of(&standing, &news, mode, caps);
        Ok(Some((standing.job, progress)))
    }

    async fn comment(
        &self,
        due: &Due,
        job: &Job,
        progress: &Progress,
        (number, thread): (u64, Option<u64>),
        asked: Subject,
    ) -> Result<Sent, Failure> {
        let marker = hidden_marker(&format!("progress:{}", progress.job_id));
        let body = words::comment(progress, Language::of(&job.input), &marker);
        if let Stage::Ended { outcome } = &progress.stage {
            // The last word looks for doubles, which a sender that was frozen may have left.
            self.write(due, number, thread, &marker, &body).await?;
            let emotion = if matches!(outcome, Outcome::Succeeded { .. }) { Emotion::Rocket } else { Emotion::Confused };
            let reaction = Part::Reaction { subject: asked, emotion }.of(progress.job_id, &due.repository);
            return Ok(Sent { follow: Some(reaction), ..Sent::DONE });
        }
        match (due.remote_id, thread) {
            (Some(id), None) => match self.forge.edit_comment(&due.repository, number, id, &body).await {
                Ok(()) => Ok(Sent::living(id)),
                // Whoever deleted it does not want it.
                Err(ForgeError::NotFound(why)) => {
                    tracing::info!(job.id = %progress.job_id, "the comment of job {} is gone and not written again: {why}", progress.job_id);
                    Ok(Sent::DONE)
                }
                Err(error) => Err(error.into()),
            },
            _ => Ok(Sent::living(self.write(due, number, thread, &marker, &body).await?)),
        }
    }

    async fn check_run(&self, due: &Due, job: &Job, progress: &Progress) -> Result<Sent, Failure> {
        // A job that ended before it had a commit has none to check.
        let Some(commit) = &job.base_commit else { return Ok(Sent::DONE) };
        let run = words::check_run(progress, Language::of(&job.input), commit);
        let id = self.forge.put_check_run(&due.repository, due.remote_id, &run).await?;
        let next = if matches!(progress.stage, Stage::Ended { .. }) { Next::Done } else { Next::Lives };
        Ok(Sent { next, ..Sent::living(id) })
    }

    async fn write(&self, due: &Due, number: u64, thread: Option<u64>, marker: &str, body: &str) -> Result<u64, ForgeError> {
        let written = match thread {
            Some(to) => self.forge.put_reply(&due.repository, number, to, marker, body).await?,
            None => self.forge.put_comment(&due.repository, number, marker, body).await?,
        };
        Ok(written.id)
    }
}

/// When to try again; `None` = never.
fn again(error: &ForgeError, attempt: i32) -> Option<Duration> {
    let backoff = BACKOFF.saturating_mul(1 << attempt.clamp(0, 8)).min(BACKOFF_MOST);
    match error {
        ForgeError::NotFound(_) | ForgeError::Invalid(_) => None,
        _ if attempt >= MOST_ATTEMPTS => None,
        ForgeError::RetryAfter { after } => Some(*after),
        ForgeError::Denied(_) | ForgeError::Unavailable(_) => Some(backoff),
    }
}

impl Configured for Converse {
    const NEEDS: &'static [Need] = &[Need::Database, Need::GitHubApp];

    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self {
            db: services.db().await?,
            owner: services.owner(),
            forge: services.forge().await?,
            mechanic: services.settings.caps(Mode::Mechanic),
            genius: services.settings.caps(Mode::Genius),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_tried_ever_less_often_for_a_day_and_what_cannot_be_is_given_up() {
        let away = || ForgeError::Unavailable(anyhow::anyhow!("502"));
        let pauses: Vec<u64> = [0, 1, 2, 7, 8, 299].map(|attempt| again(&away(), attempt).unwrap().as_secs()).to_vec();
        assert_eq!(pauses, [2, 4, 8, 256, 300, 300]);
        assert_eq!(again(&away(), 300), None);
        let asked = ForgeError::RetryAfter { after: Duration::from_secs(61) };
        assert_eq!(again(&asked, 3), Some(Duration::from_secs(61)));
        assert_eq!(again(&ForgeError::NotFound("gone".to_owned()), 0), None);
        assert_eq!(again(&ForgeError::Invalid("422".to_owned()), 0), None);
    }
}
