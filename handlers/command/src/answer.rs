//! What a command's person is told, through the outbox: each answer has a key, so that it is said once.

use config::failure;
use dispatch::HandlerError;
use domain::{Emotion, JobId};
use github::words::{self, Language, Line, Place, Refusal};
use store::commands::HeldCommand;
use store::hints;
use store::jobs::{self, Standing};
use store::outbox::{self, NewPart, Part};

use crate::CommandHandler;

/// The most jobs of an issue that are listed.
const MOST_LINES: usize = 10;

/// The place where a command is answered, and the language.
pub(crate) struct Answer<'a> {
    handler: &'a CommandHandler,
    held: &'a HeldCommand,
    language: Language,
    number: Option<u64>,
}

impl<'a> Answer<'a> {
    /// In the language of what `job` was asked in; without one, and without an issue, nobody is answered.
    pub(crate) async fn new(handler: &'a CommandHandler, held: &'a HeldCommand, job: Option<JobId>) -> Result<Self, HandlerError> {
        let input = match job {
            Some(job) => Some(jobs::get(&handler.db, job).await.map_err(failure::of_store)?.job.input),
            None => None,
        };
        let language = input.as_ref().map(Language::of).unwrap_or_default();
        let number = held.asked.number.or(input.and_then(|input| input.number));
        Ok(Self { handler, held, language, number })
    }

    /// It was heard and is done: no words, since the job's own comment tells the rest.
    pub(crate) async fn seen(&self) -> Result<(), HandlerError> {
        let Some(comment) = self.held.asked.comment else { return Ok(()) };
        self.part("reaction", Part::Reaction { subject: comment.subject(), emotion: Emotion::Eyes }).await
    }

    pub(crate) async fn help(&self, unknown: Option<&str>) -> Result<(), HandlerError> {
        self.say(words::help(self.language, &self.handler.triggers, unknown)).await
    }

    pub(crate) async fn status(&self, jobs: &[JobId]) -> Result<(), HandlerError> {
        let lines = self.lines(jobs).await?;
        self.say(words::status(self.language, &lines)).await
    }

    pub(crate) async fn cost(&self, jobs: &[JobId]) -> Result<(), HandlerError> {
        let lines = self.lines(jobs).await?;
        self.say(words::cost(self.language, &lines)).await
    }

    pub(crate) async fn nothing_runs(&self) -> Result<(), HandlerError> {
        self.say(words::nothing_runs(self.language).to_owned()).await
    }

    pub(crate) async fn nothing_to_repeat(&self) -> Result<(), HandlerError> {
        self.say(words::nothing_to_repeat(self.language).to_owned()).await
    }

    pub(crate) async fn still_runs(&self) -> Result<(), HandlerError> {
        self.say(words::still_runs(self.language).to_owned()).await
    }

    /// Why no step will read a hint.
    pub(crate) async fn hint_not_read(&self, hint: &str) -> Result<(), HandlerError> {
        self.say(words::hint_not_read(self.language, hint.trim().chars().count(), hints::MOST_CHARS)).await
    }

    /// Once for each person on each issue, jobs that were refused them included.
    pub(crate) async fn refuse(&self) -> Result<(), HandlerError> {
        let asked = &self.held.asked;
        let Some(number) = self.number else { return Ok(()) };
        let body = Refusal::MayNotPush { login: asked.actor.clone() }.sentence(self.language);
        let key = outbox::refusal_key(&asked.repository, number, &asked.actor);
        self.write(key, Part::Notice { number, thread: self.thread(), body }).await
    }

    /// Words of this command.
    pub(crate) async fn say(&self, body: String) -> Result<(), HandlerError> {
        let Some(number) = self.number else { return Ok(()) };
        self.part("answer", Part::Notice { number, thread: self.thread(), body }).await
    }

    async fn part(&self, name: &str, part: Part) -> Result<(), HandlerError> {
        self.write(format!("{name}:{}", self.held.command_id), part).await
    }

    async fn write(&self, key: String, part: Part) -> Result<(), HandlerError> {
        let new = NewPart { repository: self.held.asked.repository.clone(), job_id: None, key, part };
        outbox::say(&self.handler.db, &[new]).await.map_err(failure::of_store)
    }

    fn thread(&self) -> Option<u64> {
        self.held.asked.comment?.thread()
    }

    async fn lines(&self, jobs: &[JobId]) -> Result<Vec<Line>, HandlerError> {
        let mut lines = Vec::new();
        for job_id in jobs.iter().take(MOST_LINES) {
            lines.push(line(&jobs::get(&self.handler.db, *job_id).await.map_err(failure::of_store)?));
        }
        Ok(lines)
    }
}

fn line(standing: &Standing) -> Line {
    let Standing { job, queue } = standing;
    let (place, spent) = match (&job.finished, queue) {
        (Some(finished), _) => (Place::Ended(finished.outcome.name()), finished.spent),
        (None, Some(queue)) if queue.cancel_requested => (Place::Stopping, queue.spent),
        (None, Some(queue)) => (Place::Queued(queue.state, queue.waiting_for.as_deref().and_then(|waits| waits.parse().ok())), queue.spent),
        // It ended between the two looks.
        (None, None) => (Place::Stopping, domain::Spent::default()),
    };
    Line { job_id: job.job_id, kind: job.kind, mode: job.mode, place, spent }
}
