//! The leases that this process holds: renewed together, given up by our own clock before the database
//! would, and told at once when somebody asks a job to stop.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Clock, Epoch, JobId};
use failpoints::fail_point;
use store::queue::{self, LEASE};
use store::wake::Ear;
use store::{Db, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::telemetry::figures::{self, Lost};

/// How often leases are renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often the table is asked whether a job should stop, where nobody heard of a stop: a person is promised that what runs ends
/// within two seconds.
const LOOK: Duration = Duration::from_millis(500);
/// How long one such question may take: a database that hangs must not keep the next from being asked.
const PATIENCE: Duration = Duration::from_secs(4);
/// A worker gives its job up this long before the lease ends.
const MARGIN: Duration = Duration::from_secs(5);

/// The leases of one process. Clones share them.
#[derive(Clone)]
pub struct Leases {
    db: Db,
    clock: Arc<dyn Clock>,
    /// By job and epoch: an old holder in this process must not be taken for the new one.
    held: Arc<Mutex<HashMap<(JobId, Epoch), Held>>>,
    /// Somebody heard that a job was asked to stop: the table is to be looked at now.
    heard: Arc<Notify>,
}

struct Held {
    /// By our clock, from before the claim or renewal was sent: the lease cannot end earlier than
    /// [`LEASE`] after it.
    since: Duration,
    lost: CancellationToken,
    cancel: CancellationToken,
}

/// One job's lease; dropped, it is no longer renewed.
pub struct Lease {
    leases: Leases,
    key: (JobId, Epoch),
    /// Cancelled when the lease is lost, or the worker shuts down.
    pub lost: CancellationToken,
    /// Cancelled then, and when somebody asks the job to stop.
    pub cancel: CancellationToken,
}

impl Lease {
    /// Whether somebody asked the job to stop, while it is still ours.
    pub fn is_stopped(&self) -> bool {
        self.cancel.is_cancelled() && !self.lost.is_cancelled()
    }

    /// Has the table looked at whenever a stop is heard of: once for all jobs of this process, however many hear it.
    pub async fn hear(&self, mut ear: Ear) -> Infallible {
        loop {
            ear.woken().await;
            self.leases.heard.notify_one();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.held().remove(&self.key);
    }
}

impl Leases {
    /// None yet.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, held: Arc::default(), heard: Arc::default() }
    }

    /// The moment to remember before a claim is sent.
    pub fn before_claim(&self) -> Duration {
        self.clock.boottime()
    }

    /// Keeps a job that was claimed at or after `since`.
    pub fn keep(&self, job_id: JobId, epoch: Epoch, since: Duration, shutdown: &CancellationToken) -> Lease {
        let lost = shutdown.child_token();
        let cancel = lost.child_token();
        self.held().insert((job_id, epoch), Held { since, lost: lost.clone(), cancel: cancel.clone() });
        Lease { leases: self.clone(), key: (job_id, epoch), lost, cancel }
    }

    /// Renews, fences and looks for stops, until `end`. Must run beside the jobs, never in one of them.
    pub async fn run(&self, end: CancellationToken) {
        tokio::select! {
            () = end.cancelled() => {}
            () = self.fence() => {}
            () = self.tend() => {}
        }
    }

    /// Gives up, by our own clock, what the database is about to give to somebody else: the one protection
    /// against a database that cannot be reached, so it asks nobody.
    async fn fence(&self) {
        loop {
            let now = self.clock.boottime();
            for ((job_id, _), held) in self.held().iter() {
                if now.saturating_sub(held.since) + MARGIN >= LEASE && !held.lost.is_cancelled() {
                    tracing::warn!(job.id = %job_id, "the lease of job {job_id} was not renewed in time; giving it up");
                    figures::lease_lost(Lost::NotRenewed);
                    held.lost.cancel();
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Renews the leases when it is time, and asks for stops in between: when one is heard of, and now and then.
    async fn tend(&self) {
        loop {
            match tokio::time::timeout(PATIENCE, self.look()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("leases cannot be renewed: {error}"),
                Err(_) => tracing::warn!("leases cannot be renewed: the database does not answer"),
            }
            tokio::select! {
                () = self.heard.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let now = self.clock.boottime();
        let (leases, due): (Vec<_>, bool) = {
            let held = self.held();
            (held.keys().copied().collect(), held.values().any(|held| now.saturating_sub(held.since) >= RENEWAL))
        };
        if leases.is_empty() {
            return Ok(());
        }
        if !due {
            let jobs: Vec<JobId> = leases.iter().map(|(job_id, _)| *job_id).collect();
            let stopped: HashSet<JobId> = queue::stop_requested(&self.db, &jobs).await?.into_iter().collect();
            for (_, held) in self.held().iter().filter(|((job_id, _), _)| stopped.contains(job_id)) {
                held.cancel.cancel();
            }
            return Ok(());
        }
        fail_point!(BeforeRenew);
        let renewed = queue::renew(&self.db, &leases, LEASE, None).await?;
        fail_point!(AfterRenew);
        let lost: HashSet<_> = renewed.lost.into_iter().collect();
        let mut table = self.held();
        for lease in &leases {
            // Dropped while the renewal was under way: nothing to do.
            let Some(held) = table.get_mut(lease) else { continue };
            if lost.contains(lease) {
                figures::lease_lost(Lost::Taken);
                held.lost.cancel();
            } else {
                held.since = now;
            }
        }
        for lease in &renewed.stop {
            if let Some(held) = table.get(lease) {
                held.cancel.cancel();
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(JobId, Epoch), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
