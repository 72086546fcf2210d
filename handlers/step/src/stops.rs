//! Stops: a person's word, after whose commit no model call and no tool call begins.
//!
//! Whoever holds the job hears of it and cancels what runs. But nobody may have heard yet, so everything that begins asks first: a
//! call by its reservation, which the database refuses to a job that is to stop, the first tool by the storing of its reply, every
//! further one by its gate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent::Gate;
use async_trait::async_trait;
use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::JobId;
use store::{Db, queue};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Step;

/// How long what the database said is believed: a machine that is busy, or a process that was frozen, may come to the call much
/// later.
const FRESH: Duration = Duration::from_millis(500);
/// How often a database that is away is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// Why a call does not begin that was granted.
pub(crate) enum Objection {
    /// A person asked the job to stop.
    Stopped,
    /// The worker shuts down, or has lost the job.
    Interrupted,
}

impl Step {
    /// Whether a person asked this job to stop: the one reason to abort what is paid for already.
    pub(crate) async fn stop_requested(&self, job_id: JobId) -> Result<bool, HandlerError> {
        Ok(!queue::stop_requested(&self.db, &[job_id]).await.map_err(failure::of_store)?.is_empty())
    }

    /// What speaks against beginning a call that was asked for at `asked` and granted.
    pub(crate) async fn objection(&self, ctx: &Ctx, job_id: JobId, mut asked: Instant) -> Option<Objection> {
        // A database that does not answer has not said stop.
        let stopped = async || self.stop_requested(job_id).await.unwrap_or(false);
        while asked.elapsed() > FRESH && !ctx.cancel.is_cancelled() {
            asked = Instant::now();
            if stopped().await {
                return Some(Objection::Stopped);
            }
        }
        if !ctx.cancel.is_cancelled() {
            return None;
        }
        Some(if stopped().await { Objection::Stopped } else { Objection::Interrupted })
    }
}

/// The gate before each tool of a job.
#[derive(Debug)]
pub(crate) struct Unstopped<'a> {
    pub(crate) db: &'a Db,
    pub(crate) job_id: JobId,
    pub(crate) cancel: &'a CancellationToken,
    /// When the database was asked what it answered with a word for one tool.
    pub(crate) granted: Mutex<Option<Instant>>,
}

#[async_trait]
impl Gate for Unstopped<'_> {
    /// Waits for a database that is away: what a tool does could not be stored anyway, and the lease ends soon.
    async fn is_open(&self) -> bool {
        let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner).take();
        if granted.is_some_and(|asked| asked.elapsed() < FRESH) && !self.cancel.is_cancelled() {
            return true;
        }
        while !self.cancel.is_cancelled() {
            match queue::stop_requested(self.db, &[self.job_id]).await {
                Ok(stopped) => return stopped.is_empty(),
                Err(error) => tracing::warn!(job.id = %self.job_id, "whether job {} goes on is not known: {error}", self.job_id),
            }
            tokio::time::sleep(AGAIN).await;
        }
        false
    }
}
