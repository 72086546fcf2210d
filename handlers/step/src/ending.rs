//! What follows the steps that are stored: another one, an end, a person's answer, or a genius.

use std::time::Duration;

use agent::{ToolsRan, Verdict, account, verdict};
use config::failure;
use dispatch::HandlerError;
use domain::{Finish, Kind, Outcome, Trigger};
use git::{Checkpoint, TreeId};
use github::words::Language;
use redact::told;
use store::effects::{self, EffectName};
use store::hand_over::{self, Refusal};
use store::outbox;
use store::questions::{self, Answer};

use crate::checkouts::JobCheckout;
use crate::{Step, StepResponse, Turn};

/// How long a job waits for a person's answer; then it ends with its question.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Step {
    /// What ends the job after what is stored so far, or leaves it to others; `None` = it goes on.
    pub(crate) async fn ending(&self, turn: &Turn<'_>) -> Result<Option<StepResponse>, HandlerError> {
        match verdict(&turn.history) {
            Verdict::Continue => Ok(None),
            Verdict::Finished(finish) => Ok(Some(StepResponse::Done { outcome: Outcome::Succeeded { finish } })),
            Verdict::Failed { cause } => Ok(Some(StepResponse::Done { outcome: Outcome::Failed { cause } })),
            Verdict::Asked(finish) => self.ask(turn, finish).await,
            Verdict::Escalate { reason } => self.escalate(turn, reason).await.map(Some),
        }
    }

    /// Whether a change has nothing to hand in but a question that somebody can answer: then they are asked first.
    /// What is changed already, or is an answer by itself, is handed in together with its question.
    pub(crate) async fn only_asks(
        &self,
        turn: &Turn<'_>,
        ran: &ToolsRan,
        checkout: &JobCheckout,
        newest: Option<&Checkpoint>,
    ) -> Result<bool, HandlerError> {
        let job = &turn.work.job;
        let asks = ran.finish.as_ref().is_some_and(|finish| finish.needs_human.is_some());
        // The database of `codeteam run` is gone when it ends: there is nobody who could answer later.
        if !asks || job.kind != Kind::Change || job.trigger == Trigger::Cli {
            return Ok(false);
        }
        let stored = turn.work.steps.iter().rev().find_map(|step| step.tree.as_deref());
        let tree: TreeId = match (newest, stored) {
            (Some(newest), _) => newest.tree.clone(),
            (None, Some(stored)) => stored.parse().map_err(failure::of_git)?,
            (None, None) => return Ok(true),
        };
        Ok(checkout.git.stat(&tree).await.map_err(failure::of_git)?.files == 0)
    }

    /// Puts the question of the newest step to people and lets the job wait; once they answered it goes on, and when
    /// nobody did, it ends with the question.
    async fn ask(&self, turn: &Turn<'_>, finish: Finish) -> Result<Option<StepResponse>, HandlerError> {
        let (job_id, epoch, step_no) = (turn.job_id(), turn.epoch, turn.step_no() as i32);
        match questions::answer(&self.db, job_id, step_no).await.map_err(failure::of_store)? {
            Answer::Came => return Ok(None),
            Answer::Missing => return Ok(Some(StepResponse::Done { outcome: Outcome::Succeeded { finish } })),
            Answer::ToBeAsked => {}
        }
        let question = finish.needs_human.clone().unwrap_or_default();
        self.show_question(turn, &finish, &question).await?;
        questions::ask(&self.db, job_id, epoch, step_no, &question, PATIENCE).await.map_err(failure::of_store)?;
        Ok(Some(StepResponse::Waits { reason: format!("it asks: {question}") }))
    }

    /// Writes the question to the issue that asked, into the job's one comment there. Where people are told how it goes, they see it.
    async fn show_question(&self, turn: &Turn<'_>, finish: &Finish, question: &str) -> Result<(), HandlerError> {
        let job = &turn.work.job;
        let Some(number) = job.input.number else { return Ok(()) };
        let (job_id, epoch) = (job.job_id, turn.epoch);
        if outbox::is_told(&self.db, job_id).await.map_err(failure::of_store)? {
            return Ok(());
        }
        let marker = github::job_marker(job_id);
        let (decide, waits) = match Language::of(&job.input) {
            Language::English => ("A person has to decide:", "The job waits for a week. It goes on with the answer:"),
            Language::Portuguese => ("Uma pessoa precisa decidir:", "A tarefa espera por uma semana. Ela continua com a resposta:"),
        };
        let body = format!(
            "{}\n\n**{decide}** {}\n\n{waits} `codeteam hint {job_id} \"…\"`.\n\n{marker}\n",
            told::text(&finish.summary),
            told::text(question)
        );
        let detail = serde_json::json!({ "number": number });
        effects::intend(&self.db, job_id, epoch, EffectName::Comment, &detail).await.map_err(failure::of_store)?;
        let written = self.checkouts.forge().put_comment(&job.repository, number, &marker, &body).await.map_err(failure::of_forge)?;
        let detail = serde_json::json!({ "number": number, "id": written.id, "url": written.url });
        effects::confirm(&self.db, job_id, epoch, EffectName::Comment, &detail).await.map_err(failure::of_store)
    }

    /// Hands the job over to a genius, or ends it with the reason why not.
    async fn escalate(&self, turn: &Turn<'_>, reason: String) -> Result<StepResponse, HandlerError> {
        let (job_id, epoch) = (turn.job_id(), turn.epoch);
        let by_hand = format!("`codeteam retry {job_id} --mode genius` gives it to a larger model");
        let cause = match hand_over::refusal(&self.db, job_id, epoch).await.map_err(failure::of_store)? {
            None => {
                let handed = hand_over::hand_over(&self.db, job_id, epoch, &reason, &account(&turn.history)).await;
                if handed.is_err() && self.stop_requested(job_id).await? {
                    return Ok(StepResponse::Done { outcome: Outcome::Stopped });
                }
                handed.map_err(failure::of_store)?;
                return Ok(StepResponse::Escalate { reason });
            }
            Some(Refusal::NoLargerMode) => reason,
            Some(Refusal::ModeWasNamed) => format!("{reason}; the job asked for a mechanic, so it was not handed over: {by_hand}"),
            Some(Refusal::Budget(scope)) => format!("{reason}; the day's budget of {scope} has no room for a genius: {by_hand}"),
        };
        Ok(StepResponse::Done { outcome: Outcome::Failed { cause } })
    }
}
