//! Takes ready jobs under a lease.

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{JobId, Mode, OwnerId};
use failpoints::fail_point;
use serde::Deserialize;
use store::Db;
use store::queue::{self, Claimed, LEASE};

/// The most jobs that one call may take.
const MOST_SLOTS: u16 = 1024;

/// Takes up to `slots` ready jobs of a mode, or one job by its id.
///
/// Harmless twice: the second call takes other jobs, or none; every claim has an epoch of its own.
#[derive(Clone)]
pub struct Claim {
    /// Where the jobs are.
    pub db: Db,
    /// Who takes them.
    pub owner: OwnerId,
}

/// What to take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// Whose jobs.
    pub mode: Mode,
    /// This job only, whatever its mode.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// On whose behalf; `None` = this process.
    #[serde(default)]
    pub worker: Option<OwnerId>,
    /// How many, from 1 to 1024; never more than there are free hands for.
    #[serde(default = "one")]
    pub slots: u16,
}

fn one() -> u16 {
    1
}

impl Handler for Claim {
    const NAME: &'static str = "claim";
    type Request = ClaimRequest;
    type Response = Vec<Claimed>;

    async fn handle(&self, _ctx: Ctx, request: ClaimRequest) -> Result<Vec<Claimed>, HandlerError> {
        if !(1..=MOST_SLOTS).contains(&request.slots) {
            return Err(HandlerError::Invalid(format!("slots is {}: expected 1 to {MOST_SLOTS}", request.slots)));
        }
        let owner = request.worker.unwrap_or(self.owner);
        fail_point!(BeforeClaim);
        let claimed = match request.job_id {
            Some(job_id) => queue::claim_one(&self.db, owner, job_id, LEASE, None).await.map(Vec::from_iter),
            None => queue::claim(&self.db, owner, request.mode, request.slots, LEASE, None).await,
        };
        let claimed = claimed.map_err(failure::of_store)?;
        if !claimed.is_empty() {
            fail_point!(AfterClaim);
        }
        Ok(claimed)
    }
}

impl Configured for Claim {
    const NEEDS: &'static [Need] = &[Need::Database];

    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self { db: services.db().await?, owner: services.owner() })
    }
}
