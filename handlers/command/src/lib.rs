//! Does what people ask of jobs that are there: stop, retry, hint, status, cost.

mod answer;
mod choose;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{Command, CommandId, JobId, Mode, NewCommand, Outcome, Trigger};
use failpoints::fail_point;
use github::{Forge, Permission, Triggers};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::commands::{self, Candidate, HeldCommand, Retried};
use store::{Db, StoreError, hints, jobs, queue};

use answer::Answer;
use choose::{Choice, choose};

/// Takes a command under a lease, asks the forge what its person may do, does it and answers.
///
/// Harmless twice: to stop twice is to stop once, a retry has the command as its key, a hint is written with the command's end,
/// and every answer has a key of its own.
#[derive(Clone)]
pub struct CommandHandler {
    /// Where commands and jobs are.
    pub db: Db,
    /// Who knows what people may do.
    pub forge: Arc<dyn Forge>,
    /// What can be asked, for whoever asks for something else.
    pub triggers: Triggers,
}

/// Which command.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// `None` = the one that waits longest.
    #[serde(default)]
    pub command_id: Option<CommandId>,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "handled", rename_all = "snake_case")]
pub enum Handled {
    /// It was done.
    Done {
        /// The command.
        command_id: CommandId,
        /// Its name.
        command: &'static str,
        /// To these jobs: those that were stopped, told or shown, and the new one of a retry.
        jobs: Vec<JobId>,
    },
    /// Its person may not ask for it.
    Refused {
        /// The command.
        command_id: CommandId,
        /// Who.
        actor: String,
    },
    /// It failed for good: it was tried often enough.
    GivenUp {
        /// The command.
        command_id: CommandId,
        /// The last cause.
        cause: String,
    },
    /// Nothing waits (or the command asked for does not).
    Nothing,
}

impl Handler for CommandHandler {
    const NAME: &'static str = "command";
    type Request = CommandRequest;
    type Response = Handled;

    async fn handle(&self, _ctx: Ctx, request: CommandRequest) -> Result<Handled, HandlerError> {
        let held = commands::claim(&self.db, request.command_id, commands::HELD).await.map_err(failure::of_store)?;
        let Some(held) = held else { return Ok(Handled::Nothing) };
        fail_point!(AfterCommandClaim);
        let handled = self.command(&held).await;
        fail_point!(AfterCommandDone);
        let error = match handled {
            Err(error) if !matches!(error, HandlerError::LeaseLost(_)) => error,
            handled => return handled,
        };
        let (cause, command_id) = (error.to_string(), held.command_id);
        let after = match &error {
            HandlerError::RetryAfter { after, .. } => *after,
            _ => Duration::ZERO,
        };
        match commands::failed(&self.db, &held, &cause, after).await.map_err(failure::of_store)? {
            Retried::GivenUp => Ok(Handled::GivenUp { command_id, cause }),
            Retried::Later | Retried::Lost => Err(error),
        }
    }
}

impl CommandHandler {
    async fn command(&self, held: &HeldCommand) -> Result<Handled, HandlerError> {
        let asked = &held.asked;
        let jobs = self.jobs(asked).await?;
        let answer = Answer::new(self, held, jobs.first().map(|job| job.job_id)).await?;
        if !asked.command.follows_from_an_event()
            && config::permission(&*self.forge, &asked.repository, &asked.actor).await? < Permission::Write
        {
            answer.refuse().await?;
            self.done(held, &json!({ "refused": "no permission" })).await?;
            return Ok(Handled::Refused { command_id: held.command_id, actor: asked.actor.clone() });
        }
        let touched = match (&asked.command, self.choose(held, &jobs).await?) {
            (Command::Help, _) => answer.help(None).await.map(|()| Vec::new())?,
            (Command::Unknown { word }, _) => answer.help(Some(word)).await.map(|()| Vec::new())?,
            (Command::Status, Choice::Jobs(jobs)) => answer.status(&jobs).await.map(|()| jobs)?,
            (Command::Cost, Choice::Jobs(jobs)) => answer.cost(&jobs).await.map(|()| jobs)?,
            (Command::Stop { .. }, Choice::Jobs(jobs)) => self.stop(&answer, asked, jobs).await?,
            (Command::Hint { text }, Choice::Jobs(jobs)) => return self.hint(held, &answer, text, &jobs).await,
            (Command::HeadMoved { to }, Choice::Jobs(jobs)) => {
                let text = moved(asked.number, to.as_deref());
                return self.hint(held, &answer, &text, &jobs).await;
            }
            (Command::Retry { mode }, Choice::Ended(job_id)) => {
                let again = self.again(held, job_id, *mode).await?;
                answer.seen().await?;
                vec![again]
            }
            (_, Choice::StillRuns) => answer.still_runs().await.map(|()| Vec::new())?,
            (Command::Retry { .. }, _) => answer.nothing_to_repeat().await.map(|()| Vec::new())?,
            (_, Choice::None | Choice::Ended(_)) => answer.nothing_runs().await.map(|()| Vec::new())?,
        };
        self.done(held, &json!({ "done": asked.command.name(), "jobs": touched })).await?;
        Ok(Handled::Done { command_id: held.command_id, command: asked.command.name(), jobs: touched })
    }

    /// What is to be done, fixed before it is: who comes after a holder that died does the same, though by then the newest job may
    /// be another one.
    async fn choose(&self, held: &HeldCommand, jobs: &[Candidate]) -> Result<Choice, HandlerError> {
        if let Some(chosen) = &held.chosen {
            return Ok(serde_json::from_value(chosen.clone()).context("the choice of a command is stored in a shape of another release")?);
        }
        let choice = choose(&held.asked.command, jobs);
        let stored = serde_json::to_value(&choice).context("a choice is not JSON")?;
        match commands::choose(&self.db, held, &stored).await.map_err(failure::of_store)? {
            true => Ok(choice),
            false => Err(lost(held)),
        }
    }

    /// The jobs that it may be about, newest first: those that were there when it was asked.
    async fn jobs(&self, asked: &NewCommand) -> Result<Vec<Candidate>, HandlerError> {
        let mut jobs = match (asked.job_id, asked.number) {
            (Some(job_id), _) => {
                commands::job_of(&self.db, &asked.repository, job_id).await.map_err(failure::of_store)?.into_iter().collect()
            }
            (None, Some(number)) => commands::jobs_of(&self.db, &asked.repository, number).await.map_err(failure::of_store)?,
            (None, None) => Vec::new(),
        };
        jobs.retain(|job| commands::is_meant(job.job_id, asked.asked_at));
        Ok(jobs)
    }

    /// Writes `job_id` again, once for this command. What was refused goes through triage again, as its person's own request: their
    /// permission counts now.
    async fn again(&self, held: &HeldCommand, job_id: JobId, mode: Option<Mode>) -> Result<JobId, HandlerError> {
        let key = format!("command:{}", held.command_id);
        let job = jobs::get(&self.db, job_id).await.map_err(failure::of_store)?.job;
        let was_refused = job.finished.as_ref().is_some_and(|finished| matches!(finished.outcome, Outcome::Refused { .. }));
        let again = if was_refused {
            let trigger = asked_anew(&job.trigger, mode, &held.asked, &self.triggers);
            commands::ask_again(&self.db, job_id, trigger, &held.asked.actor, &key).await
        } else {
            jobs::retry_once(&self.db, job_id, mode, Some(&key)).await
        };
        again.map_err(failure::of_store)
    }

    /// Asks each to stop; those that were stopped. One that ended meanwhile needs no stop.
    async fn stop(&self, answer: &Answer<'_>, asked: &NewCommand, jobs: Vec<JobId>) -> Result<Vec<JobId>, HandlerError> {
        let mut stopped = Vec::new();
        for job_id in jobs {
            match queue::stop(&self.db, job_id).await {
                Ok(()) => stopped.push(job_id),
                Err(StoreError::Refused(_) | StoreError::NoJob(_)) => {}
                Err(error) => return Err(failure::of_store(error)),
            }
        }
        if !asked.command.follows_from_an_event() {
            answer.seen().await?;
        }
        Ok(stopped)
    }

    /// Tells a text to each job. The last one is told together with the end of the command; there is more than one only where the
    /// text follows from an event, and such a text may be told twice.
    async fn hint(&self, held: &HeldCommand, answer: &Answer<'_>, text: &str, jobs: &[JobId]) -> Result<Handled, HandlerError> {
        let by = &held.asked.actor;
        let (command_id, command) = (held.command_id, held.asked.command.name());
        let Some((last, others)) = jobs.split_last() else {
            if !held.asked.command.follows_from_an_event() {
                answer.nothing_runs().await?;
            }
            self.done(held, &json!({ "done": command, "jobs": [] })).await?;
            return Ok(Handled::Done { command_id, command, jobs: Vec::new() });
        };
        for job_id in others {
            match hints::give(&self.db, *job_id, text, by).await {
                Ok(_) | Err(StoreError::Refused(_) | StoreError::NoJob(_)) => {}
                Err(error) => return Err(failure::of_store(error)),
            }
        }
        if !held.asked.command.follows_from_an_event() {
            answer.seen().await?;
        }
        match commands::hint(&self.db, held, *last, text, by).await {
            Ok(Some(_)) => Ok(Handled::Done { command_id, command, jobs: jobs.to_vec() }),
            Ok(None) => Err(lost(held)),
            Err(StoreError::Refused(why)) => {
                if !held.asked.command.follows_from_an_event() {
                    answer.hint_not_read(text).await?;
                }
                self.done(held, &json!({ "done": command, "jobs": others, "refused": why })).await?;
                Ok(Handled::Done { command_id, command, jobs: others.to_vec() })
            }
            Err(error) => Err(failure::of_store(error)),
        }
    }

    async fn done(&self, held: &HeldCommand, result: &serde_json::Value) -> Result<(), HandlerError> {
        match commands::done(&self.db, held, result).await.map_err(failure::of_store)? {
            true => Ok(()),
            false => Err(lost(held)),
        }
    }
}

/// What starts a job that was refused, when somebody else asks for it: their command, for the mode that it names or the first one
/// asked for. A review says itself what it wants.
fn asked_anew(first: &Trigger, mode: Option<Mode>, asked: &NewCommand, triggers: &Triggers) -> Trigger {
    if !first.is_of_forge() || matches!(first, Trigger::Review { .. }) {
        return first.clone();
    }
    let mode = match mode.or_else(|| triggers.mode(first)) {
        Some(Mode::Mechanic) => format!(" {}", triggers.mechanic),
        Some(Mode::Genius) => format!(" {}", triggers.genius),
        None => String::new(),
    };
    Trigger::Command { command: format!("/codeteam retry{mode}"), comment: asked.comment }
}

fn lost(held: &HeldCommand) -> HandlerError {
    HandlerError::LeaseLost(format!("command {} is no longer held under epoch {}", held.command_id, held.epoch))
}

/// What a review that runs should know.
fn moved(number: Option<u64>, to: Option<&str>) -> String {
    let what = number.map_or_else(|| "the pull request".to_owned(), |number| format!("pull request #{number}"));
    let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
    format!(
        "The head of {what} has moved{to} since this review began. The checkout stays at the commit that it began with: say in the \
         summary which commit was reviewed, and that the newest changes were not."
    )
}

impl Configured for CommandHandler {
    const NEEDS: &'static [Need] = &[Need::Database, Need::GitHubApp];

    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self { db: services.db().await?, forge: services.forge().await?, triggers: services.triggers()? })
    }
}
