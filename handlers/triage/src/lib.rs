//! Decides whether and how a waiting job runs.

mod ask;
mod decide;
mod place;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{Epoch, JobId, JobInput, Kind, Mode, Outcome, OwnerId, Trigger};
use failpoints::fail_point;
use github::words::{Language, Refusal};
use github::{Forge, ForgeError, Permission, Triggers};
use llm::{Models, Providers};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::jobs::Job;
use store::outbox::{self, NewPart, Part};
use store::{Db, finish, queue, steps};

use ask::{Asked, ask};
use decide::{Decision, Request, decide};

/// How long a job waits for a forge that is away.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Takes a job that waits for triage under a lease, asks the forge what the requester may do, and lets it
/// run or refuses it.
///
/// Harmless twice: the lease fences every write, and a job that is decided no longer waits.
#[derive(Clone)]
pub struct Triage {
    /// Where the jobs are.
    pub db: Db,
    /// Who takes them.
    pub owner: OwnerId,
    /// Who knows the requester's permission.
    pub forge: Arc<dyn Forge>,
    /// Which labels and commands mean which mode.
    pub triggers: Triggers,
    /// The price table.
    pub models: Models,
    /// The models' providers that are configured: one is asked where no rule knows.
    pub providers: Providers,
}

/// Which job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriageRequest {
    /// `None` = the one that waits longest.
    #[serde(default)]
    pub job_id: Option<JobId>,
}

/// What was decided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "decided", rename_all = "snake_case")]
pub enum Triaged {
    /// It may run.
    Ready {
        /// The job.
        job_id: JobId,
        /// What it produces.
        kind: Kind,
        /// Who does it.
        mode: Mode,
        /// Why so.
        reason: String,
    },
    /// It may not.
    Refused {
        /// The job.
        job_id: JobId,
        /// Why not.
        reason: String,
    },
    /// A budget of the day has no room to ask a model: it waits for that, and is looked at again.
    Waits {
        /// The job.
        job_id: JobId,
        /// Which budget.
        reason: String,
    },
    /// Nothing waits (or the job asked for does not).
    Nothing,
}

impl Handler for Triage {
    const NAME: &'static str = "triage";
    type Request = TriageRequest;
    type Response = Triaged;

    async fn handle(&self, ctx: Ctx, request: TriageRequest) -> Result<Triaged, HandlerError> {
        let claimed = queue::claim_triage(&self.db, self.owner, request.job_id, queue::LEASE, None).await.map_err(failure::of_store)?;
        let Some((job_id, epoch)) = claimed else {
            return Ok(Triaged::Nothing);
        };
        fail_point!(AfterTriageClaim);
        match self.triage(&ctx, job_id, epoch).await {
            Err(error @ HandlerError::LeaseLost(_)) => Err(error),
            Err(error) => {
                let cause = error.to_string();
                let given_back = match &error {
                    HandlerError::RetryAfter { after, .. } => queue::wait_out(&self.db, job_id, epoch, &cause, *after, PATIENCE).await,
                    _ => queue::fail_attempt(&self.db, job_id, epoch, &cause).await.map(drop),
                };
                given_back.map_err(failure::of_store)?;
                Err(error)
            }
            triaged => triaged,
        }
    }
}

impl Triage {
    async fn triage(&self, ctx: &Ctx, job_id: JobId, epoch: Epoch) -> Result<Triaged, HandlerError> {
        let work = steps::load(&self.db, job_id, epoch).await.map_err(failure::of_store)?;
        if work.cancel_requested {
            return self.stopped(job_id, epoch).await;
        }
        let job = &work.job;
        let permission = match job.input.requester.as_deref() {
            Some(login) => config::permission(&*self.forge, &job.repository, login).await?,
            // Nobody in particular may do nothing in particular.
            None => Permission::None,
        };
        let request = Request { trigger: &job.trigger, kind: job.kind, mode: job.mode, input: &job.input };
        let decision = decide(request, permission, &self.triggers);
        let kind = match &decision {
            Decision::Refuse { reason, told } => return self.refuse(job, epoch, reason.clone(), told).await,
            Decision::Run { kind, .. } => *kind,
            Decision::Ask { kind, .. } => kind.unwrap_or_default(),
        };
        let input = match self.place(job, kind).await? {
            Ok(input) => input,
            Err(told) => return self.refuse(job, epoch, told.sentence(Language::English), &told).await,
        };
        // Before a model is asked: the person sees at once that somebody heard.
        outbox::open(&self.db, job).await.map_err(failure::of_store)?;
        let request = input.as_ref().unwrap_or(&job.input);
        let (kind, mode, reason) = match decision {
            Decision::Run { kind, mode, reason } => (kind, mode, reason),
            Decision::Ask { kind, mode } => match ask(ctx, &self.db, (&self.models, &self.providers), (job_id, epoch), request).await? {
                Asked::Sorted(sorted) => {
                    let said = format!("a model was asked: {}", sorted.reason);
                    (kind.unwrap_or(sorted.kind), mode.unwrap_or(sorted.mode), said)
                }
                Asked::Nothing(why) => {
                    let reason = format!("no rule says more, and {why}");
                    (kind.unwrap_or_default(), mode.unwrap_or(Mode::Mechanic), reason)
                }
                Asked::Waits(reason) => return Ok(Triaged::Waits { job_id, reason }),
                Asked::Stopped => return self.stopped(job_id, epoch).await,
            },
            Decision::Refuse { reason, told } => return self.refuse(job, epoch, reason, &told).await,
        };
        queue::triaged(&self.db, job_id, epoch, (kind, mode), input.as_ref(), &reason).await.map_err(failure::of_store)?;
        fail_point!(AfterTriage);
        Ok(Triaged::Ready { job_id, kind, mode, reason })
    }

    async fn stopped(&self, job_id: JobId, epoch: Epoch) -> Result<Triaged, HandlerError> {
        finish::finish(&self.db, job_id, epoch, &Outcome::Stopped, &json!({})).await.map_err(failure::of_store)?;
        Ok(Triaged::Refused { job_id, reason: "stopped on request".to_owned() })
    }

    /// Ends a job that may not run, and tells its requester so, once on each issue.
    async fn refuse(&self, job: &Job, epoch: Epoch, reason: String, told: &Refusal) -> Result<Triaged, HandlerError> {
        let asked = job.trigger.is_of_forge().then_some(job.input.number.zip(job.input.requester.as_deref())).flatten();
        if let Some((number, login)) = asked {
            let (_, thread) = outbox::asked(&job.trigger, number);
            let body = told.sentence(Language::of(&job.input));
            let notice = NewPart {
                repository: job.repository.clone(),
                job_id: Some(job.job_id),
                key: outbox::refusal_key(&job.repository, number, login),
                part: Part::Notice { number, thread, body },
            };
            outbox::say(&self.db, &[notice]).await.map_err(failure::of_store)?;
        }
        let outcome = Outcome::Refused { reason: reason.clone() };
        finish::finish(&self.db, job.job_id, epoch, &outcome, &json!({})).await.map_err(failure::of_store)?;
        Ok(Triaged::Refused { job_id: job.job_id, reason })
    }

    /// What the pull request adds to the request of `job`, if it is about one; `None` = nothing.
    async fn place(&self, job: &Job, kind: Kind) -> Result<Result<Option<JobInput>, Refusal>, HandlerError> {
        let (true, Some(number)) = (job.input.is_pull_request, job.input.number) else { return Ok(Ok(None)) };
        let pull = match self.forge.pull_request(&job.repository, number).await {
            Ok(pull) => pull,
            Err(ForgeError::NotFound(_)) => None,
            Err(error) => return Err(failure::of_forge(error)),
        };
        let input = match place::placed(&job.input, kind, number, pull.as_ref()) {
            Ok(input) => input,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Trigger::Review { review_id } = job.trigger else { return Ok(Ok(Some(input))) };
        let comments = match self.forge.review_comments(&job.repository, number, review_id).await {
            Ok(comments) => comments,
            Err(ForgeError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(failure::of_forge(error)),
        };
        Ok(place::reviewed(&input, &comments, &self.triggers).map(Some).ok_or(Refusal::NothingAsked { number }))
    }
}

impl Configured for Triage {
    const NEEDS: &'static [Need] = &[Need::Database, Need::Models, Need::GitHubApp];

    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self {
            db: services.db().await?,
            owner: services.owner(),
            forge: services.forge().await?,
            triggers: services.triggers()?,
            models: services.models()?,
            providers: services.providers()?,
        })
    }
}
