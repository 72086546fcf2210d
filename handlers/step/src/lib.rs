//! One model turn with all its tool calls.
//!
//! Two halves, each stored before the next begins: *think* (reserve money, call the model, store the reply
//! and what it cost) and *act* (run the tools, store their results and a checkpoint of the workspace). A
//! step that finds a stored reply without results only acts, so a reply is never bought twice.

mod act;
mod base;
mod checkouts;
mod ending;
mod known;
mod maps;
mod prepare;
mod review;
mod stops;
mod think;
mod walls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::{Brief, HandOver, PastStep, Toolboxes, ToolsRan};
use anyhow::{Context, Result};
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{AllowedPaths, CapReached, Caps, Epoch, JobId, Kind, MicroUsd, Mode, Outcome};
use git::Git;
use github::Forge;
use llm::{Breakers, LlmError, ModelInfo, Models, Provider, Providers, Reply};
use serde::{Deserialize, Serialize};
use store::steps::{self, Work};
use store::{Db, queue};
use tokio::time::Instant;
use tracing::Instrument;

use checkouts::{Checkouts, JobCheckout};
use known::{Known, Memory};
pub use walls::Walls;

/// Takes the next step of a job that the caller holds.
///
/// Harmless twice: every write is fenced by the epoch, and what is stored is not done again.
#[derive(Clone)]
pub struct Step {
    /// Where the job is.
    pub db: Db,
    /// The price table.
    pub models: Models,
    /// The models' providers that are configured.
    pub providers: Providers,
    /// The model of jobs that name none; `None` = the mode's first whose provider is configured and not down.
    pub default_model: Option<String>,
    /// Which providers are down, as far as this process has seen.
    pub breakers: Breakers,
    /// The caps of each mode as this process allows them.
    pub caps: Arc<dyn Fn(Mode) -> Caps + Send + Sync>,
    /// The tools that the model may call.
    pub tools: Arc<Toolboxes>,
    /// Where the tools' commands find programs.
    pub path: String,
    checkouts: Checkouts,
    memory: Memory,
}

/// Which job, held under which epoch.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRequest {
    /// The job.
    pub job_id: JobId,
    /// The epoch of the caller's claim.
    pub epoch: Epoch,
}

/// What follows the step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum StepResponse {
    /// Another step.
    Continue {
        /// The step that ended.
        step_no: u32,
    },
    /// `finalize`, with this outcome.
    Done {
        /// How the job ended.
        outcome: Outcome,
    },
    /// `finalize`: a cap leaves no room for another step.
    CapReached {
        /// Which.
        cap: CapReached,
    },
    /// Nothing: a budget of the day has no room for the next call, or a person was asked. The job waits for that
    /// already, held by nobody.
    Waits {
        /// Which budget, and how it stands; or the question.
        reason: String,
    },
    /// Nothing: it went in circles, and a larger model may do better. It is ready for a genius already, held by nobody.
    Escalate {
        /// What happened.
        reason: String,
    },
}

impl Handler for Step {
    const NAME: &'static str = "step";
    type Request = StepRequest;
    type Response = StepResponse;

    async fn handle(&self, ctx: Ctx, request: StepRequest) -> Result<StepResponse, HandlerError> {
        let mut known = match self.memory.take(request.job_id, request.epoch) {
            // What it does not know, the database tells it before its call begins.
            Some(known) => known,
            None => Known::of(steps::load(&self.db, request.job_id, request.epoch).await.map_err(failure::of_store)?),
        };
        if let Some(outcome) = known.work.outcome_pending {
            return Ok(StepResponse::Done { outcome });
        }
        if known.work.cancel_requested {
            return Ok(StepResponse::Done { outcome: Outcome::Stopped });
        }
        let kept = known.checkout.take();
        let mut turn = self.turn(request.epoch, known)?;
        if kept.is_none()
            && let Some(end) = self.ending(&turn).await?
        {
            return Ok(end);
        }
        let span = tracing::info_span!("prepare", job.id = %request.job_id, epoch = request.epoch.0);
        let checkout = self.checkouts.open(&ctx, &self.db, request.epoch, (&turn.work, kept), &self.path).instrument(span).await?;
        if let Some(end) = turn.heed(&checkout) {
            return Ok(end);
        }
        if turn.next_half() == Half::Think {
            let thought = self.think(&ctx, &mut turn).await?;
            if let think::Thought::End(end) = thought {
                return Ok(end);
            }
        }
        if !self.act(&ctx, &mut turn, &checkout).await? {
            return Ok(StepResponse::Done { outcome: Outcome::Stopped });
        }
        if let Some(end) = self.ending(&turn).await? {
            return Ok(end);
        }
        let step_no = turn.step_no();
        self.memory.keep(turn, checkout);
        Ok(StepResponse::Continue { step_no })
    }
}

/// A job in the middle of its work, with its history decoded.
struct Turn<'a> {
    work: Work,
    epoch: Epoch,
    model: &'a ModelInfo,
    provider: &'a dyn Provider,
    /// Whether another model may take the place of `model`: nobody asked for this one.
    replaceable: bool,
    caps: Caps,
    brief: Brief,
    history: Vec<PastStep>,
    /// Whether the newest reply was asked to be a summary; `None` = it was stored when we came.
    asks_summary: Option<bool>,
    /// Since when the job is surely not to stop, where the database has just said so: one tool may begin on its word.
    unstopped: Option<Instant>,
    /// The request of the newest step, where this process has sent it under the same lease.
    sent: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Think,
    Act,
}

impl Turn<'_> {
    fn job_id(&self) -> JobId {
        self.work.job.job_id
    }

    fn next_half(&self) -> Half {
        match self.history.last() {
            Some(newest) if newest.ran().is_none() => Half::Act,
            _ => Half::Think,
        }
    }

    /// What the job has left of its own clock, for model and tools.
    fn active_left(&self) -> Duration {
        Duration::from_millis(self.caps.active_ms.saturating_sub(self.work.spent_in_mode().active_ms))
    }

    /// The number of the newest step; 0 before the first.
    fn step_no(&self) -> u32 {
        self.history.last().map_or(0, |step| step.step_no)
    }

    /// Takes what the repository says about its jobs into the turn; what that ends the job with, if it does.
    fn heed(&mut self, checkout: &JobCheckout) -> Option<StepResponse> {
        let base = &checkout.base;
        self.brief.network = checkout.network.clone();
        self.caps = base.project.caps.lower(self.caps);
        self.brief.caps = self.caps;
        self.brief.instructions = base.instructions.clone();
        self.brief.test_command = base.test_command.clone();
        self.brief.map = base.map.clone();
        self.brief.diff = base.change.as_ref().map(agent::Change::shown);
        self.brief.allowed_paths = base.project.allowed_paths.clone();
        let cause = base.refuses_changes.clone().filter(|_| self.brief.kind == Kind::Change)?;
        Some(StepResponse::Done { outcome: Outcome::Failed { cause } })
    }

    /// Takes what the tools said into the turn, with the note that the next model call shows: it tells how
    /// little is left, which nobody could compute again later, so it is stored.
    fn ran(&mut self, ran: ToolsRan, took: Duration) {
        self.work.spent.active_ms += u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let Some(newest) = self.history.last_mut() {
            newest.set_ran(Some(ran));
        }
        let nothing = Caps { steps: 0, tokens: 0, cost_microusd: MicroUsd::ZERO, active_ms: 0 };
        let left = self.caps.left(&self.work.spent_in_mode()).unwrap_or(nothing);
        let note = agent::note(&self.brief, &self.history, &left);
        if let Some(newest) = self.history.last_mut() {
            newest.set_note(note);
        }
    }
}

impl Step {
    /// A step with the built-in models, every mode's own caps, the standard tools and the system's programs,
    /// which checks jobs out below `checkouts`.
    pub fn new(db: Db, providers: Providers, git: Git, forge: Arc<dyn Forge>, checkouts: PathBuf) -> Self {
        Self {
            db,
            models: Models::builtin(),
            providers,
            default_model: None,
            breakers: Breakers::default(),
            caps: Arc::new(Caps::of),
            tools: Arc::new(Toolboxes::standard()),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            checkouts: Checkouts::new(git, forge, checkouts),
            memory: Memory::default(),
        }
    }

    /// Decodes of the history what is not yet, and settles who thinks.
    fn turn(&self, epoch: Epoch, known: Known) -> Result<Turn<'_>, HandlerError> {
        let Known { work, mut history, sent, .. } = known;
        let handed_over = work.handed_over.as_ref().map(|before| HandOver {
            after_step: before.spent.steps,
            reason: before.reason.clone(),
            account: before.account.clone(),
        });
        let job = &work.job;
        let mode = job.mode.ok_or_else(|| HandlerError::Invalid(format!("job {} has not been through triage", job.job_id)))?;
        // What was asked of a mechanic does not fit a genius.
        let asked = job.model.as_ref().filter(|_| handed_over.is_none());
        let named = asked.or(self.default_model.as_ref());
        let model = match named {
            Some(name) => self.models.lookup(name).map_err(|error| failure::of_worker(&error))?,
            None => self.first_that_is_up(mode)?,
        };
        let replaceable = named.is_none();
        let provider = self.providers.provider_for(model).map_err(|error| failure::of_worker(&error))?;
        let before = history.last().map(|step| step.step_no).or(handed_over.as_ref().map(|before| before.after_step)).unwrap_or(0);
        for step in work.steps.iter().filter(|step| step.step_no.unsigned_abs() > before) {
            // A reply belongs to the provider that gave it, which another worker may have chosen.
            let by = self.models.lookup(&step.model).map_err(|error| failure::of_worker(&error))?;
            let decoder = self.providers.provider_for(by).map_err(|error| failure::of_worker(&error))?;
            let reply = decode(decoder, by, &step.reply).with_context(|| format!("the stored reply of step {}", step.step_no))?;
            let ran = step.results.clone().map(serde_json::from_value).transpose();
            let ran = ran.with_context(|| format!("the stored results of step {}", step.step_no))?;
            history.push(PastStep::new(step.step_no.unsigned_abs(), reply, ran));
        }
        let caps = (self.caps)(mode).lowered_by(job.caps);
        let brief = Brief {
            kind: job.kind,
            mode,
            repository: job.repository.clone(),
            title: job.input.title.clone(),
            body: job.input.body.clone(),
            number: job.input.number,
            instructions: None,
            caps,
            test_command: None,
            map: None,
            diff: None,
            allowed_paths: AllowedPaths::all(),
            network: None,
            handed_over,
        };
        Ok(Turn { epoch, model, provider, replaceable, caps, brief, history, asks_summary: None, unstopped: None, sent, work })
    }

    /// The mode's first model whose provider is configured and not down.
    fn first_that_is_up(&self, mode: Mode) -> Result<&ModelInfo, HandlerError> {
        let first = self.models.default_for(mode, &self.providers).map_err(|error| failure::of_worker(&error))?;
        let configured = self.models.of(mode).filter(|model| self.providers.has(model.provider));
        self.breakers.choose(configured, Instant::now()).map_err(|after| {
            let message = format!("every provider that is set up for a {mode} is down, {} among them", first.provider);
            HandlerError::RetryAfter { after, message }
        })
    }

    /// The same step, whose tools run behind these walls.
    #[must_use]
    pub fn behind(mut self, walls: Walls) -> Self {
        self.checkouts.walls = walls;
        self
    }

    /// Drops what processes that died left on disk: every checkout whose job is held under another epoch, or
    /// by nobody.
    ///
    /// # Errors
    /// When the folder or the database cannot be read.
    pub async fn forget_abandoned(&self) -> Result<()> {
        let on_disk = self.checkouts.list().await?;
        let held = queue::still_held(&self.db, &on_disk).await?;
        for (job_id, epoch) in on_disk.into_iter().filter(|lease| !held.contains(lease)) {
            self.checkouts.remove(job_id, epoch).await;
        }
        Ok(())
    }

    /// Drops what this process keeps of a job under an epoch, on disk and in memory.
    pub async fn forget(&self, job_id: JobId, epoch: Epoch) {
        self.memory.drop(job_id);
        self.checkouts.remove(job_id, epoch).await;
    }
}

/// Reads a reply that was asked of `model`. Servers of one's own call their models what they like, and not
/// every provider says who answered: then it was the one that was asked.
fn decode(provider: &dyn Provider, model: &ModelInfo, raw: &str) -> Result<Reply, LlmError> {
    let mut reply = provider.decode(raw)?;
    if !reply.model.starts_with(model.name_at_provider()) {
        reply.model = model.name_at_provider().to_owned();
    }
    Ok(reply)
}

impl Configured for Step {
    const NEEDS: &'static [Need] = &[Need::Database, Need::Models, Need::GitHubApp];

    fn work() -> process::spawner::Work {
        agent::work_as_slot
    }

    async fn configure(services: &Services) -> Result<Self> {
        let settings = services.settings.clone();
        let walls = Walls::new(settings.sandbox_level(), settings.readable()).allowing(settings.networks.clone());
        let step = Self::new(services.db().await?, services.providers()?, services.git(), services.forge().await?, services.checkouts());
        Ok(Self {
            models: services.models()?,
            breakers: services.breakers(),
            default_model: settings.model.clone(),
            path: settings.path.clone(),
            caps: Arc::new(move |mode| settings.caps(mode)),
            ..step.behind(walls)
        })
    }
}
