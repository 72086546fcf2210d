//! Decides whether and how a waiting job runs.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use config::{Configured, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{Epoch, JobId, Mode, Outcome, OwnerId};
use failpoints::fail_point;
use github::{Forge, ForgeError, Permission, Triggers};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Db;
use store::{finish, queue, steps};

use decide::{Decision, decide};

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
        /// Who does it.
        mode: Mode,
        /// Why that mode.
        reason: String,
    },
    /// It may not.
    Refused {
        /// The job.
        job_id: JobId,
        /// Why not.
        reason: String,
    },
    /// Nothing waits (or the job asked for does not).
    Nothing,
}

impl Handler for Triage {
    const NAME: &'static str = "triage";
    type Request = TriageRequest;
    type Response = Triaged;

    async fn handle(&self, _ctx: Ctx, request: TriageRequest) -> Result<Triaged, HandlerError> {
        let claimed = queue::claim_triage(&self.db, self.owner, request.job_id, queue::LEASE, None).await.map_err(failure::of_store)?;
        let Some((job_id, epoch)) = claimed else {
            return Ok(Triaged::Nothing);
        };
        fail_point!(AfterTriageClaim);
        match self.triage(job_id, epoch).await {
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
    async fn triage(&self, job_id: JobId, epoch: Epoch) -> Result<Triaged, HandlerError> {
        let work = steps::load(&self.db, job_id, epoch).await.map_err(failure::of_store)?;
        if work.cancel_requested {
            finish::finish(&self.db, job_id, epoch, &Outcome::Stopped, &json!({})).await.map_err(failure::of_store)?;
            return Ok(Triaged::Refused { job_id, reason: "stopped on request".to_owned() });
        }
        let permission = self.permission(&work.job.repository, work.job.input.requester.as_deref()).await?;
        match decide(&work.job.trigger, work.job.mode, work.job.input.requester.as_deref(), permission, &self.triggers) {
            Decision::Run { mode, reason } => {
                queue::triaged(&self.db, job_id, epoch, mode, &reason).await.map_err(failure::of_store)?;
                fail_point!(AfterTriage);
                Ok(Triaged::Ready { job_id, mode, reason })
            }
            Decision::Refuse { reason } => {
                let outcome = Outcome::Refused { reason: reason.clone() };
                finish::finish(&self.db, job_id, epoch, &outcome, &json!({})).await.map_err(failure::of_store)?;
                Ok(Triaged::Refused { job_id, reason })
            }
        }
    }

    /// What the forge lets the requester do; nobody in particular may do nothing in particular.
    async fn permission(&self, repository: &str, requester: Option<&str>) -> Result<Permission, HandlerError> {
        let Some(login) = requester else {
            return Ok(Permission::None);
        };
        match self.forge.permission(repository, login).await {
            Ok(permission) => Ok(permission),
            Err(ForgeError::NotFound(_)) => Ok(Permission::None),
            Err(error) => Err(failure::of_forge(error)),
        }
    }
}

impl Configured for Triage {
    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self { db: services.db().await?, owner: services.owner(), forge: services.forge().await?, triggers: Triggers::default() })
    }
}
