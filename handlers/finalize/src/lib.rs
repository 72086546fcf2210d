//! Publishes what a job produced and closes it.

mod allowed;
mod follow_up;
mod publish;
mod push;
mod report;
mod review;
mod template;
mod verified;
mod withheld;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use config::{Configured, Need, Services, failure};
use dispatch::{Ctx, Handler, HandlerError};
use domain::{Epoch, JobId, Mode, Outcome, Spent};
use failpoints::fail_point;
use git::Git;
use github::Forge;
use serde::{Deserialize, Serialize};
use store::queue;
use store::{Db, finish, steps};

pub use publish::Links;

/// Pushes the branch, opens the pull request or writes the review or comment, and ends the job.
///
/// Harmless twice: every effect is written down before and looked up before it is made, commits are
/// deterministic, and the last statement is fenced.
#[derive(Clone)]
pub struct Finalize {
    /// Where the job is.
    pub db: Db,
    /// Builds and pushes the commit.
    pub git: Git,
    /// Where the result goes.
    pub forge: Arc<dyn Forge>,
    /// Where jobs are checked out. What a job needs for a while lies in a folder named after its lease, as
    /// its checkout does, so that the next worker clears away what a killed one left.
    pub checkouts: PathBuf,
}

/// Which job, held under which epoch, and how it ended.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalizeRequest {
    /// The job.
    pub job_id: JobId,
    /// The epoch of the caller's claim.
    pub epoch: Epoch,
    /// How it ended.
    pub outcome: Outcome,
}

/// A job that ended.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finalized {
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Where the result is.
    pub links: Links,
    /// What it took.
    pub spent: Spent,
}

impl Handler for Finalize {
    const NAME: &'static str = "finalize";
    type Request = FinalizeRequest;
    type Response = Finalized;

    async fn handle(&self, ctx: Ctx, request: FinalizeRequest) -> Result<Finalized, HandlerError> {
        let FinalizeRequest { job_id, epoch, outcome } = request;
        fail_point!(BeforeDecide);
        let outcome = queue::decide(&self.db, job_id, epoch, &outcome).await.map_err(failure::of_store)?;
        fail_point!(AfterDecide);
        let work = steps::load(&self.db, job_id, epoch).await.map_err(failure::of_store)?;
        let (outcome, links) = match self.publish(&ctx, epoch, &work, &outcome).await {
            Ok(published) => published,
            Err(lost @ HandlerError::LeaseLost(_)) => return Err(lost),
            // The last attempt is over: the job ends even if nobody can be told.
            Err(error) if work.attempt > work.job.mode.unwrap_or(Mode::Mechanic).max_attempts() => {
                tracing::error!(job.id = %job_id, "the result of job {job_id} could not be published: {error:#}");
                (outcome, Links { unpublished: Some(error.to_string()), ..Links::default() })
            }
            Err(error) => return Err(error),
        };
        let stored = serde_json::to_value(&links).map_err(|error| HandlerError::Internal(error.into()))?;
        fail_point!(BeforeFinish);
        let spent = finish::finish(&self.db, job_id, epoch, &outcome, &stored).await.map_err(failure::of_store)?;
        fail_point!(AfterFinish);
        Ok(Finalized { outcome, links, spent })
    }
}

impl Configured for Finalize {
    const NEEDS: &'static [Need] = &[Need::Database, Need::GitHubApp];

    async fn configure(services: &Services) -> Result<Self> {
        Ok(Self { db: services.db().await?, git: services.git(), forge: services.forge().await?, checkouts: services.checkouts() })
    }
}
