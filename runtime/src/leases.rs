//! The leases that this process holds: renewed together, given up by our own clock before the database
//! would, and told at once when somebody asks a job to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock, Epoch, JobId};
use store::queue::{self, LEASE};
use store::{Db, StoreError};
use tokio_util::sync::CancellationToken;

/// How often leases are renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often the table is asked whether a job should stop.
const LOOK: Duration = Duration::from_secs(1);
/// A worker gives its job up this long before the lease ends.
const MARGIN: Duration = Duration::from_secs(5);

/// The leases of one process. Clones share them.
#[derive(Clone)]
pub struct Leases {
    db: Db,
    clock: Arc<dyn Clock>,
    held: Arc<Mutex<HashMap<JobId, Held>>>,
}

struct Held {
    epoch: Epoch,
    /// By our clock, from before the claim or renewal was sent: the lease cannot end earlier than
    /// [`LEASE`] after it.
    since: Duration,
    cancel: CancellationToken,
}

/// One job's lease; dropped, it is no longer renewed.
pub struct Lease {
    leases: Leases,
    job_id: JobId,
    /// Cancelled when the lease is lost, or somebody asked the job to stop.
    pub cancel: CancellationToken,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.held().remove(&self.job_id);
    }
}

impl Leases {
    /// None yet.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, held: Arc::default() }
    }

    /// The moment to remember before a claim is sent.
    pub fn before_claim(&self) -> Duration {
        self.clock.boottime()
    }

    /// Keeps a job that was claimed at or after `since`; its token is a child of `shutdown`.
    pub fn keep(&self, job_id: JobId, epoch: Epoch, since: Duration, shutdown: &CancellationToken) -> Lease {
        let cancel = shutdown.child_token();
        self.held().insert(job_id, Held { epoch, since, cancel: cancel.clone() });
        Lease { leases: self.clone(), job_id, cancel }
    }

    /// Renews, fences and looks for stops, until `end`. Must run beside the jobs, never in one of them.
    pub async fn run(&self, end: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.give_up_what_runs_out();
            if let Err(error) = self.tend().await {
                tracing::warn!("leases cannot be renewed: {error}");
            }
            self.give_up_what_runs_out();
        }
    }

    async fn tend(&self) -> Result<(), StoreError> {
        let now = self.clock.boottime();
        let (jobs, due): (Vec<_>, bool) = {
            let held = self.held();
            let due = held.values().any(|held| now.saturating_sub(held.since) >= RENEWAL);
            (held.iter().map(|(job_id, held)| (*job_id, held.epoch)).collect(), due)
        };
        if jobs.is_empty() {
            return Ok(());
        }
        if !due {
            let ids: Vec<JobId> = jobs.iter().map(|(job_id, _)| *job_id).collect();
            self.cancel(&queue::stop_requested(&self.db, &ids).await?);
            return Ok(());
        }
        let renewed = queue::renew(&self.db, &jobs, LEASE, None).await?;
        {
            let mut held = self.held();
            for (job_id, epoch) in &jobs {
                if let Some(held) = held.get_mut(job_id).filter(|held| held.epoch == *epoch && !renewed.lost.contains(job_id)) {
                    held.since = now;
                }
            }
        }
        self.cancel(&renewed.lost);
        self.cancel(&renewed.stop);
        Ok(())
    }

    /// Gives up, by our own clock, what the database is about to give to somebody else: the one protection
    /// against a worker that cannot reach it.
    fn give_up_what_runs_out(&self) {
        let now = self.clock.boottime();
        for (job_id, held) in self.held().iter() {
            if now.saturating_sub(held.since) + MARGIN >= LEASE && !held.cancel.is_cancelled() {
                tracing::warn!(job.id = %job_id, "the lease of job {job_id} was not renewed in time; giving it up");
                held.cancel.cancel();
            }
        }
    }

    fn cancel(&self, jobs: &[JobId]) {
        let held = self.held();
        for job_id in jobs {
            if let Some(held) = held.get(job_id) {
                held.cancel.cancel();
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
