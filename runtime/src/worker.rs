//! The worker loop: claim → step* → finalize, as each handler's answer says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use claim::{Claim, ClaimRequest};
use config::{Configured, Services};
use dispatch::{Ctx, HandlerError, call};
use domain::{Epoch, JobId, Mode, Outcome, SystemClock};
use failpoints::fail_point;
use finalize::{Finalize, FinalizeRequest};
use rand::Rng;
use step::{Step, StepRequest, StepResponse};
use store::queue::{self, Claimed};
use store::workers::{self, HEARTBEAT, Present};
use store::{Db, StoreError};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::background;
use crate::leases::{Lease, Leases};
use crate::telemetry::{self, Figures, figures};

/// How long an idle worker waits before it looks again.
const POLL: Duration = Duration::from_secs(1);
/// A step holds a model call and its tools; the job's own clock ends both much earlier.
const STEP_DEADLINE: Duration = Duration::from_secs(30 * 60);
const FINALIZE_DEADLINE: Duration = Duration::from_secs(5 * 60);
const CLAIM_DEADLINE: Duration = Duration::from_secs(30);
/// How long the database may take to hear what became of a job.
const SETTLE_DEADLINE: Duration = Duration::from_secs(5);

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
    patience: Duration,
    present: Present,
    figures: Figures,
}

/// How long a job of a service waits for a provider, a forge or a key that is away.
pub const PATIENCE: Duration = Duration::from_secs(3600);

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
    Failed { cause: String },
    /// It waits for a budget already.
    OverBudget(String),
    /// Something around the job is away for now.
    Waits { cause: String, after: Duration },
}

impl Worker {
    /// A worker for `modes` with `slots` jobs at the same time, each of which waits up to `patience` for what
    /// is away.
    ///
    /// # Errors
    /// What a handler needs and does not find.
    pub async fn new(services: &Services, modes: Vec<Mode>, slots: u16, patience: Duration) -> Result<Self> {
        let db = services.db().await?;
        Ok(Self {
            claim: Claim::configure(services).await?,
            step: Step::configure(services).await?,
            finalize: Finalize::configure(services).await?,
            leases: Leases::new(db.clone(), Arc::new(SystemClock)),
            present: Present {
                owner: services.owner(),
                host: process::host_name(),
                task_arn: None,
                modes: modes.clone(),
                slots,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            figures: Figures::default(),
            db,
            modes,
            slots,
            patience,
        })
    }

    /// The same worker, which tells `figures` of its jobs.
    #[must_use]
    pub fn telling(self, figures: Figures) -> Self {
        Self { figures, ..self }
    }

    /// Works until `shutdown`; with `until_idle`, also until nothing is ready and nothing runs. Jobs under
    /// way are given back, at a point from which any worker continues.
    pub async fn run(&self, shutdown: CancellationToken, until_idle: bool) {
        // In this order: a lease that ran out holds its checkout until it is taken back.
        background::sweep(&self.db).await;
        if let Err(error) = self.step.forget_abandoned().await {
            tracing::warn!("cannot clear away the checkouts of earlier workers: {error:#}");
        }
        let end_of_leases = CancellationToken::new();
        let leases = tokio::spawn({
            let (leases, end) = (self.leases.clone(), end_of_leases.clone());
            async move { leases.run(end).await }
        });
        let heartbeat = tokio::spawn({
            let (db, present, end) = (self.db.clone(), self.present.clone(), end_of_leases.clone());
            async move { beat(&db, &present, &end).await }
        });
        let mut jobs = JoinSet::new();
        while !shutdown.is_cancelled() {
            let idle = self.claim_some(self.slots.saturating_sub(jobs.len() as u16), &shutdown, &mut jobs).await;
            if idle && jobs.is_empty() && until_idle {
                break;
            }
            let pause = POLL.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = jobs.join_next() => log_panic(ended),
                () = tokio::time::sleep(pause) => {}
            }
        }
        while let Some(ended) = jobs.join_next().await {
            log_panic(ended);
        }
        end_of_leases.cancel();
        log_panic(leases.await);
        log_panic(heartbeat.await);
    }

    /// Claims as many jobs as there are free slots, and starts them. `true` = nothing was ready.
    async fn claim_some(&self, mut free: u16, shutdown: &CancellationToken, jobs: &mut JoinSet<()>) -> bool {
        let mut idle = true;
        for mode in &self.modes {
            if free == 0 {
                break;
            }
            let since = self.leases.before_claim();
            let asked = Instant::now();
            let request = ClaimRequest { mode: *mode, job_id: None, worker: None, slots: free };
            match call(&self.claim, Ctx::with_timeout(CLAIM_DEADLINE), request).await {
                Ok(claimed) => {
                    figures::claimed(*mode, asked.elapsed(), &claimed);
                    for job in claimed {
                        free -= 1;
                        idle = false;
                        let (worker, shutdown) = (self.clone(), shutdown.clone());
                        jobs.spawn(async move { worker.work(job, since, &shutdown).await });
                    }
                }
                Err(error) => {
                    idle = false;
                    tracing::warn!("cannot claim: {error:#}");
                }
            }
        }
        idle
    }

    /// Takes one claimed job as far as it goes, in the span and the trace of the job.
    async fn work(&self, job: Claimed, since: Duration, shutdown: &CancellationToken) {
        let span = tracing::info_span!("job", job.id = %job.job_id, epoch = job.epoch.0);
        telemetry::in_trace(job.job_id, self.take(job, since, shutdown).instrument(span)).await;
    }

    async fn take(&self, job: Claimed, since: Duration, shutdown: &CancellationToken) {
        let (job_id, epoch) = (job.job_id, job.epoch);
        // A moment, not a period: a worker that is killed would never end it.
        drop(
            tracing::info_span!("claim", job.id = %job_id, epoch = epoch.0, attempt = job.attempt, mode = %job.mode, owner = %self.present.owner.0),
        );
        tracing::info!(job.id = %job_id, epoch = epoch.0, attempt = job.attempt, "claimed job {job_id}");
        let lease = self.leases.keep(job_id, epoch, since, shutdown);
        let driven = self.drive(&job, &lease, shutdown).await;
        let settled = tokio::time::timeout(SETTLE_DEADLINE, self.settle(job_id, epoch, &driven)).await;
        drop(lease);
        self.step.forget(job_id, epoch).await;
        match (settled, driven) {
            (Ok(Ok(())), Driven::Finalized) => tracing::info!(job.id = %job_id, "finalized job {job_id}"),
            (Ok(Ok(())), Driven::Lost) | (Ok(Err(StoreError::LeaseLost { .. })), _) => {
                tracing::warn!(job.id = %job_id, epoch = epoch.0, "lost the lease of job {job_id}");
            }
            (Ok(Ok(())), Driven::Released(reason)) => tracing::info!(job.id = %job_id, "gave job {job_id} back: {reason}"),
            (Ok(Ok(())), Driven::Failed { cause }) => tracing::warn!(job.id = %job_id, "an attempt at job {job_id} failed: {cause}"),
            (Ok(Ok(())), Driven::OverBudget(reason)) => tracing::warn!(job.id = %job_id, "job {job_id} waits: {reason}"),
            (Ok(Ok(())), Driven::Waits { cause, .. }) => tracing::warn!(job.id = %job_id, "job {job_id} waits: {cause}"),
            (Ok(Err(error)), _) => tracing::warn!(job.id = %job_id, "cannot give job {job_id} back, its lease will run out: {error}"),
            (Err(_), _) => tracing::warn!(job.id = %job_id, "cannot give job {job_id} back in time, its lease will run out"),
        }
    }

    /// Says in the queue what became of a job that did not end.
    async fn settle(&self, job_id: JobId, epoch: Epoch, driven: &Driven) -> Result<(), StoreError> {
        match driven {
            Driven::Finalized | Driven::Lost | Driven::OverBudget(_) => Ok(()),
            Driven::Released(reason) => {
                fail_point!(BeforeRelease);
                queue::release(&self.db, job_id, epoch, reason).await?;
                fail_point!(AfterRelease);
                Ok(())
            }
            Driven::Failed { cause } => {
                fail_point!(BeforeFailure);
                queue::fail_attempt(&self.db, job_id, epoch, cause).await?;
                fail_point!(AfterFailure);
                Ok(())
            }
            Driven::Waits { cause, after } => {
                fail_point!(BeforeWait);
                queue::wait_out(&self.db, job_id, epoch, cause, *after, self.patience).await?;
                fail_point!(AfterWait);
                Ok(())
            }
        }
    }

    async fn drive(&self, job: &Claimed, lease: &Lease, shutdown: &CancellationToken) -> Driven {
        let (job_id, epoch) = (job.job_id, job.epoch);
        let outcome = loop {
            if shutdown.is_cancelled() {
                return Driven::Released("the worker shuts down");
            }
            let ctx = Ctx::with_timeout(STEP_DEADLINE).cancelled_by(lease.cancel.clone());
            let span = tracing::info_span!(
                "step",
                job.id = %job_id,
                epoch = epoch.0,
                step_no = Empty,
                error.kind = Empty,
                otel.status_code = Empty
            );
            let stepped = call(&self.step, ctx, StepRequest { job_id, epoch }).instrument(span.clone()).await;
            match &stepped {
                Ok(StepResponse::Continue { step_no }) => {
                    span.record("step_no", step_no);
                }
                Ok(_) => {}
                Err(error) => failed(&span, error),
            }
            drop(span);
            match stepped {
                Ok(StepResponse::Continue { .. }) => {}
                Ok(StepResponse::Done { outcome }) => break outcome,
                Ok(StepResponse::CapReached { cap }) => break Outcome::Capped { cap },
                Ok(StepResponse::Escalate { reason }) => {
                    break Outcome::Failed {
                        cause: format!("{reason}; `codeteam retry {job_id} --mode genius` gives it to a larger model"),
                    };
                }
                Ok(StepResponse::Waits { reason }) => return Driven::OverBudget(reason),
                Err(HandlerError::Invalid(cause)) => break Outcome::Failed { cause },
                Err(error) if lease.is_stopped() && !matches!(error, HandlerError::LeaseLost(_)) => break Outcome::Stopped,
                Err(error) => return after(error, lease, shutdown),
            }
        };
        let ctx = Ctx::with_timeout(FINALIZE_DEADLINE).cancelled_by(lease.lost.clone());
        let span = tracing::info_span!("finalize", job.id = %job_id, epoch = epoch.0, error.kind = Empty, otel.status_code = Empty);
        let finalized = call(&self.finalize, ctx, FinalizeRequest { job_id, epoch, outcome }).instrument(span.clone()).await;
        match finalized {
            Ok(finalized) => {
                self.figures.ended(job, &finalized.outcome, &finalized.spent);
                Driven::Finalized
            }
            Err(error) => {
                failed(&span, &error);
                after(error, lease, shutdown)
            }
        }
    }
}

/// Marks a span of the trace. Only the kind: an error's words may quote what a tool or a model said.
fn failed(span: &Span, error: &HandlerError) {
    span.record("error.kind", error.error_type());
    span.record("otel.status_code", "ERROR");
}

/// Says that this worker is there, with work or without, until `end`.
async fn beat(db: &Db, present: &Present, end: &CancellationToken) {
    while !end.is_cancelled() {
        match tokio::time::timeout(SETTLE_DEADLINE, workers::seen(db, present)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("cannot say that this worker is there: {error}"),
            Err(_) => tracing::warn!("cannot say that this worker is there: the database does not answer"),
        }
        tokio::select! {
            () = end.cancelled() => {}
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
    let stopped = tokio::time::timeout(SETTLE_DEADLINE, workers::stopped(db, present.owner)).await;
    if !matches!(stopped, Ok(Ok(()))) {
        tracing::warn!("cannot say that this worker ended");
    }
}

/// What an error of a handler means for the job.
fn after(error: HandlerError, lease: &Lease, shutdown: &CancellationToken) -> Driven {
    match error {
        HandlerError::LeaseLost(_) => Driven::Lost,
        _ if shutdown.is_cancelled() => Driven::Released("the worker shuts down"),
        _ if lease.lost.is_cancelled() => Driven::Lost,
        HandlerError::RetryAfter { after, message } => Driven::Waits { cause: message, after },
        error => Driven::Failed { cause: format!("{error:#}") },
    }
}

fn log_panic<T>(ended: Result<T, tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a task of the worker panicked: {error}");
    }
}
