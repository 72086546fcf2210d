//! What a worker does with a job that it holds: step by step through the handlers, then finalize.

use std::time::Duration;

use config::{Configured, Services};
use dispatch::{Ctx, HandlerError, call};
use domain::{Epoch, JobId, Outcome};
use finalize::{Finalize, FinalizeRequest};
use step::{Step, StepRequest, StepResponse};
use store::queue::Claimed;
use store::wake::{Listener, Signal};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::leases::Lease;
use crate::telemetry::Figures;

/// A step holds a model call and its tools; the job's own clock ends both much earlier.
const STEP_DEADLINE: Duration = Duration::from_secs(30 * 60);
const FINALIZE_DEADLINE: Duration = Duration::from_secs(5 * 60);

/// What was done with a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Performed {
    /// It ended.
    Finalized,
    /// Somebody else has it.
    Lost,
    /// It is to be given back, for the reason named.
    Released(&'static str),
    /// The attempt failed; the queue decides when the next follows.
    Failed {
        /// Why.
        cause: String,
    },
    /// It waits for a budget or an answer already.
    Parked(String),
    /// It is ready for a genius already.
    HandedOver(String),
    /// Something around the job is away for now.
    Waits {
        /// What.
        cause: String,
        /// How long it should be left alone.
        after: Duration,
    },
}

/// Who performs claimed jobs. Claiming, leases, fences and giving back are the worker's own and the same for all:
/// [`Handlers`] is the product, and a benchmark of the queue brings jobs that do nothing.
pub trait Perform: Clone + Send + Sync + 'static {
    /// Called before the first claim, after expired leases were taken back.
    fn begin(&self) -> impl Future<Output = ()> + Send;

    /// Takes one job as far as it goes; `shutdown` and `lease` say when to let go of it.
    fn perform(&self, job: &Claimed, lease: &Lease, shutdown: &CancellationToken) -> impl Future<Output = Performed> + Send;

    /// Called when the job is no longer held: what was kept for it on this machine may go.
    fn forget(&self, job_id: JobId, epoch: Epoch) -> impl Future<Output = ()> + Send;
}

/// The product's handlers: step, step, …, finalize, as each answer says.
#[derive(Clone)]
pub struct Handlers {
    step: Step,
    finalize: Finalize,
    listener: Listener,
    pub(crate) figures: Figures,
}

impl Handlers {
    /// Both, configured.
    ///
    /// # Errors
    /// What a handler needs and does not find.
    pub async fn new(services: &Services) -> anyhow::Result<Self> {
        Ok(Self {
            step: Step::configure(services).await?,
            finalize: Finalize::configure(services).await?,
            listener: services.listener().await?,
            figures: Figures::default(),
        })
    }

    /// The same, which ask the providers of `services` and no others.
    ///
    /// # Errors
    /// When those cannot be made: a file of replies that cannot be read, say.
    pub(crate) fn asking(&self, services: &Services) -> anyhow::Result<Self> {
        let mut handlers = self.clone();
        handlers.step.providers = services.providers()?;
        Ok(handlers)
    }
}

impl Perform for Handlers {
    async fn begin(&self) {
        if let Err(error) = self.step.forget_abandoned().await {
            tracing::warn!("cannot clear away the checkouts of earlier workers: {error:#}");
        }
    }

    async fn perform(&self, job: &Claimed, lease: &Lease, shutdown: &CancellationToken) -> Performed {
        // Subscribed before the first look at the job, so that no stop falls between.
        let ear = self.listener.subscribe([Signal::Stop]);
        tokio::select! {
            performed = self.take_through(job, lease, shutdown) => performed,
            never = lease.hear(ear) => match never {},
        }
    }

    async fn forget(&self, job_id: JobId, epoch: Epoch) {
        self.step.forget(job_id, epoch).await;
    }
}

impl Handlers {
    async fn take_through(&self, job: &Claimed, lease: &Lease, shutdown: &CancellationToken) -> Performed {
        let (job_id, epoch) = (job.job_id, job.epoch);
        let outcome = loop {
            if shutdown.is_cancelled() {
                return Performed::Released("the worker shuts down");
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
                Ok(StepResponse::Escalate { reason }) => return Performed::HandedOver(reason),
                Ok(StepResponse::Waits { reason }) => return Performed::Parked(reason),
                Err(HandlerError::Invalid(cause)) => break Outcome::Failed { cause },
                Err(error) if lease.is_stopped() && !matches!(error, HandlerError::LeaseLost(_)) => break Outcome::Stopped,
                Err(error) => return after(error, lease, shutdown),
            }
        };
        let ctx = Ctx::with_timeout(FINALIZE_DEADLINE).cancelled_by(lease.lost.clone());
        let span = tracing::info_span!("finalize", job.id = %job_id, epoch = epoch.0, error.kind = Empty, otel.status_code = Empty);
        match call(&self.finalize, ctx, FinalizeRequest { job_id, epoch, outcome }).instrument(span.clone()).await {
            Ok(finalized) => {
                self.figures.ended(job, &finalized.outcome, &finalized.spent);
                Performed::Finalized
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

/// What an error of a handler means for the job.
fn after(error: HandlerError, lease: &Lease, shutdown: &CancellationToken) -> Performed {
    match error {
        HandlerError::LeaseLost(_) => Performed::Lost,
        _ if shutdown.is_cancelled() => Performed::Released("the worker shuts down"),
        _ if lease.lost.is_cancelled() => Performed::Lost,
        HandlerError::RetryAfter { after, message } => Performed::Waits { cause: message, after },
        error => Performed::Failed { cause: format!("{error:#}") },
    }
}
