//! The worker loop: claim → step* → finalize, as each handler's answer says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use claim::{Claim, ClaimRequest};
use config::{Configured, Services};
use dispatch::{Ctx, HandlerError, call};
use domain::{Epoch, JobId, Mode, Outcome, SystemClock};
use finalize::{Finalize, FinalizeRequest};
use rand::Rng;
use step::{Step, StepRequest, StepResponse};
use store::queue::{self, Claimed};
use store::{Db, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::leases::Leases;

/// How long an idle worker waits before it looks again.
const POLL: Duration = Duration::from_secs(1);
/// A step holds a model call and its tools; the job's own clock ends both much earlier.
const STEP_DEADLINE: Duration = Duration::from_secs(30 * 60);
const FINALIZE_DEADLINE: Duration = Duration::from_secs(5 * 60);
const CLAIM_DEADLINE: Duration = Duration::from_secs(30);

/// Works on jobs. Clones share the leases.
#[derive(Clone)]
pub struct Worker {
    db: Db,
    claim: Claim,
    step: Step,
    finalize: Finalize,
    leases: Leases,
    modes: Vec<Mode>,
    slots: u16,
}

/// What a job's worker did with it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Driven {
    /// It ended.
    Finalized,
    /// Somebody else has it.
    Lost,
    /// It was given back, for the reason named.
    Released(&'static str),
    /// The attempt failed; the queue decides when the next follows.
    Failed { cause: String, not_before: Option<Duration> },
}

impl Worker {
    /// A worker for `modes` with `slots` jobs at the same time.
    ///
    /// # Errors
    /// What a handler needs and does not find.
    pub async fn new(services: &Services, modes: Vec<Mode>, slots: u16) -> Result<Self> {
        let db = services.db().await?;
        Ok(Self {
            claim: Claim::configure(services).await?,
            step: Step::configure(services).await?,
            finalize: Finalize::configure(services).await?,
            leases: Leases::new(db.clone(), Arc::new(SystemClock)),
            db,
            modes,
            slots,
        })
    }

    /// Works until `shutdown`; with `until_idle`, also until nothing is ready and nothing runs. Jobs under
    /// way are given back, at a point from which any worker continues.
    pub async fn run(&self, shutdown: CancellationToken, until_idle: bool) {
        if let Err(error) = self.step.forget_abandoned().await {
            tracing::warn!("cannot clear away the checkouts of earlier workers: {error:#}");
        }
        let end_of_leases = CancellationToken::new();
        let leases = tokio::spawn({
            let (leases, end) = (self.leases.clone(), end_of_leases.clone());
            async move { leases.run(end).await }
        });
        let mut jobs = JoinSet::new();
        while !shutdown.is_cancelled() {
            let claimed = self.claim_some(self.slots.saturating_sub(jobs.len() as u16), &shutdown, &mut jobs).await;
            if claimed == 0 && jobs.is_empty() && until_idle {
                break;
            }
            let pause = POLL.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = jobs.join_next() => log_panic(ended),
                () = tokio::time::sleep(pause), if claimed == 0 || jobs.len() >= usize::from(self.slots) => {}
            }
        }
        while let Some(ended) = jobs.join_next().await {
            log_panic(ended);
        }
        end_of_leases.cancel();
        log_panic(leases.await);
    }

    /// Claims as many jobs as there are free slots, and starts them.
    async fn claim_some(&self, mut free: u16, shutdown: &CancellationToken, jobs: &mut JoinSet<()>) -> usize {
        let mut started = 0;
        for mode in &self.modes {
            if free == 0 {
                break;
            }
            let since = self.leases.before_claim();
            let request = ClaimRequest { mode: *mode, job_id: None, worker: None, slots: free };
            match call(&self.claim, Ctx::with_timeout(CLAIM_DEADLINE), request).await {
                Ok(claimed) => {
                    for job in claimed {
                        free -= 1;
                        started += 1;
                        let (worker, shutdown) = (self.clone(), shutdown.clone());
                        jobs.spawn(async move { worker.work(job, since, &shutdown).await });
                    }
                }
                Err(error) => tracing::warn!("cannot claim: {error:#}"),
            }
        }
        started
    }

    /// Takes one claimed job as far as it goes.
    async fn work(&self, job: Claimed, since: Duration, shutdown: &CancellationToken) {
        let (job_id, epoch) = (job.job_id, job.epoch);
        tracing::info!(job.id = %job_id, epoch = epoch.0, attempt = job.attempt, "claimed job {job_id}");
        let lease = self.leases.keep(job_id, epoch, since, shutdown);
        let driven = self.drive(job_id, epoch, &lease.cancel, shutdown).await;
        let settled = match &driven {
            Driven::Finalized | Driven::Lost => Ok(()),
            Driven::Released(reason) => queue::release(&self.db, job_id, epoch, reason).await,
            Driven::Failed { cause, not_before } => queue::fail_attempt(&self.db, job_id, epoch, cause, *not_before).await.map(|_| ()),
        };
        drop(lease);
        self.step.forget(job_id, epoch).await;
        match (settled, driven) {
            (Ok(()), Driven::Finalized) => tracing::info!(job.id = %job_id, "finalized job {job_id}"),
            (Ok(()), Driven::Lost) | (Err(StoreError::LeaseLost { .. }), _) => {
                tracing::warn!(job.id = %job_id, epoch = epoch.0, "lost the lease of job {job_id}; somebody else has it");
            }
            (Ok(()), Driven::Released(reason)) => tracing::info!(job.id = %job_id, "gave job {job_id} back: {reason}"),
            (Ok(()), Driven::Failed { cause, .. }) => tracing::warn!(job.id = %job_id, "an attempt at job {job_id} failed: {cause}"),
            (Err(error), _) => tracing::warn!(job.id = %job_id, "cannot give job {job_id} back, its lease will run out: {error}"),
        }
    }

    async fn drive(&self, job_id: JobId, epoch: Epoch, cancel: &CancellationToken, shutdown: &CancellationToken) -> Driven {
        let outcome = loop {
            if shutdown.is_cancelled() {
                return Driven::Released("the worker shuts down");
            }
            let ctx = Ctx::with_timeout(STEP_DEADLINE).cancelled_by(cancel.clone());
            match call(&self.step, ctx, StepRequest { job_id, epoch }).await {
                Ok(StepResponse::Continue { .. }) => {}
                Ok(StepResponse::Done { outcome }) => break outcome,
                Ok(StepResponse::CapReached { cap }) => break Outcome::Capped { cap },
                Ok(StepResponse::Escalate { reason }) => {
                    break Outcome::Failed {
                        cause: format!("{reason}; `codeteam retry {job_id} --mode genius` gives it to a larger model"),
                    };
                }
                Err(HandlerError::Invalid(cause)) => break Outcome::Failed { cause },
                Err(error) => match self.after(error, job_id, cancel, shutdown).await {
                    Next::End(driven) => return driven,
                    Next::Stop => break Outcome::Stopped,
                },
            }
        };
        let ctx = Ctx::with_timeout(FINALIZE_DEADLINE).cancelled_by(shutdown.clone());
        match call(&self.finalize, ctx, FinalizeRequest { job_id, epoch, outcome }).await {
            Ok(_) => Driven::Finalized,
            Err(error) => match self.after(error, job_id, shutdown, shutdown).await {
                Next::End(driven) => driven,
                Next::Stop => Driven::Failed { cause: "it could not be finalized".to_owned(), not_before: None },
            },
        }
    }

    /// What follows an error of a handler.
    async fn after(&self, error: HandlerError, job_id: JobId, cancel: &CancellationToken, shutdown: &CancellationToken) -> Next {
        if let HandlerError::LeaseLost(_) = error {
            return Next::End(Driven::Lost);
        }
        if shutdown.is_cancelled() {
            return Next::End(Driven::Released("the worker shuts down"));
        }
        if cancel.is_cancelled() {
            // Cancelled, and not by a shutdown: somebody asked to stop, or the lease ran out by our clock.
            return match queue::stop_requested(&self.db, &[job_id]).await {
                Ok(jobs) if jobs.contains(&job_id) => Next::Stop,
                _ => Next::End(Driven::Lost),
            };
        }
        let not_before = match &error {
            HandlerError::RetryAfter { after, .. } => Some(*after),
            _ => None,
        };
        Next::End(Driven::Failed { cause: format!("{error:#}"), not_before })
    }
}

enum Next {
    End(Driven),
    Stop,
}

fn log_panic<T>(ended: Result<T, tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a task of the worker panicked: {error}");
    }
}
