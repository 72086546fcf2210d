//! The figures: what is counted, by which name, and when.
//!
//! The macros of `metrics` count wherever something happens; without a registry they do nothing. Names are here,
//! so that there is one list of them.

use std::time::Duration;

use config::Stage;
use domain::{Clock, JobId, Mode, Outcome, OwnerId, Spent, SystemClock};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use opentelemetry::KeyValue;
use serde_json::json;
use store::budgets::{self, Budget};
use store::queue::Claimed;
use store::{Db, StoreError, alarms, leaders, load, queue};
use tokio_util::sync::CancellationToken;

use super::emf::Whose;
use super::{emf, traces};

/// Whether notifications are heard: 1 or 0.
pub(crate) const LISTENING: &str = "codeteam_listen_connected";
/// Whether the wake queue of a mode is reached: 1 or 0.
pub(crate) const WAKE_QUEUE: &str = "codeteam_wake_queue_reachable";
/// Which walls stand around tools, from 0 (none) to 4 (full).
pub(crate) const SANDBOX: &str = "codeteam_sandbox_level";
const JOBS: &str = "codeteam_jobs_finished_total";
const TOKENS: &str = "codeteam_job_tokens_total";
const STEPS: &str = "codeteam_job_steps_total";
const COST: &str = "codeteam_job_cost_microusd_total";
const ACTIVE: &str = "codeteam_job_active_seconds";
const AGE: &str = "codeteam_job_age_seconds";
const WAIT: &str = "codeteam_queue_wait_seconds";
const CLAIM: &str = "codeteam_claim_duration_seconds";
const LOST: &str = "codeteam_leases_lost_total";
const DEPTH: &str = "codeteam_queue_depth";
const STALE: &str = "codeteam_stale_workers";
const STUCK: &str = "codeteam_stuck_jobs";
const BUDGET: &str = "codeteam_budget_used_percent";

/// How often figures of the whole deployment are published, and for how long their publisher is the one.
const PERIOD: Duration = Duration::from_secs(60);
const TERM: Duration = Duration::from_secs(90);
/// The role of whoever publishes them.
const PUBLISHER: &str = "queue_depth";

/// What is told of jobs, and whether to CloudWatch too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// As lines on standard output.
    pub emf: bool,
    /// Whose they are.
    pub stage: Stage,
}

/// How the whole deployment stands.
struct Standing {
    ready: Vec<(Mode, i64)>,
    stale_workers: usize,
    stuck_jobs: u64,
    budget_used_percent: f64,
}

impl Standing {
    async fn now(db: &Db) -> Result<Self, StoreError> {
        let budgets = budgets::list(db).await?;
        Ok(Self {
            ready: queue::depth(db).await?,
            stale_workers: alarms::silent(db, alarms::STALE_AFTER).await?.len(),
            stuck_jobs: load::stuck(db, alarms::STUCK_AFTER).await?,
            budget_used_percent: budgets.iter().map(Budget::used_percent).fold(0.0, f64::max),
        })
    }
}

/// Why a lease was lost.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    /// It was not renewed in time, by our own clock.
    NotRenewed,
    /// The database says that it is somebody else's, or nobody's.
    Taken,
}

/// Says what the names mean, to whoever reads the registry.
pub(super) fn describe() {
    describe_counter!(JOBS, "Jobs that this process brought to their end, by mode and outcome");
    describe_counter!(TOKENS, "New tokens of those jobs");
    describe_counter!(STEPS, "Steps of those jobs");
    describe_counter!(COST, "What those jobs cost, in millionths of a dollar");
    describe_histogram!(ACTIVE, Unit::Seconds, "Model and tool time of those jobs");
    describe_histogram!(AGE, Unit::Seconds, "From the request to the end of those jobs");
    describe_histogram!(WAIT, Unit::Seconds, "From the request to the first claim of a job");
    describe_histogram!(CLAIM, Unit::Seconds, "How long the database took to answer a claim");
    describe_counter!(LOST, "Leases of this process that were lost, by reason");
    describe_gauge!(DEPTH, "Jobs that are ready, by mode; told by one process of all, NaN by one that no longer does");
    describe_gauge!(STALE, "Workers that did not stop and that nobody has seen for two minutes; told by the same process");
    describe_gauge!(STUCK, "Jobs under a lease of which nothing was written for ten minutes; told by the same process");
    describe_gauge!(BUDGET, Unit::Percent, "How much of its daily budget the scope has used that has used most; told by the same process");
    describe_gauge!(LISTENING, "Whether this process hears notifications of new jobs; without, it finds them a second later");
    describe_gauge!(WAKE_QUEUE, "Whether this worker reaches the SQS queue that wakes it, by mode; without, it finds jobs a second later");
    describe_gauge!(SANDBOX, "The walls around tools: 0 none, 1 seccomp, 2 landlock, 3 uid, 4 full");
    describe_histogram!("codeteam_model_call_duration_seconds", Unit::Seconds, "How long a model took, by provider");
    describe_counter!("handler_invocations_total", "Calls of handlers");
    describe_counter!("handler_errors_total", "Calls of handlers that failed, by type");
    describe_histogram!("handler_duration_ms", Unit::Milliseconds, "How long calls of handlers took");
}

/// A claim was answered.
pub fn claimed(mode: Mode, took: Duration, jobs: &[Claimed]) {
    let name: &'static str = mode.into();
    histogram!(CLAIM, "mode" => name).record(took.as_secs_f64());
    for job in jobs.iter().filter(|job| job.attempt == 1 && job.step_no == 0) {
        histogram!(WAIT, "mode" => name).record(age(job.job_id));
    }
}

/// A lease was lost.
pub fn lease_lost(why: Lost) {
    let reason = match why {
        Lost::NotRenewed => "not_renewed",
        Lost::Taken => "taken",
    };
    counter!(LOST, "reason" => reason).increment(1);
}

fn age(job_id: JobId) -> f64 {
    (SystemClock.now() - job_id.created_at()).as_seconds_f64().max(0.0)
}

impl Figures {
    /// A job ended: counts it, and sends the root of its trace.
    pub fn ended(&self, job: &Claimed, outcome: &Outcome, spent: &Spent) {
        let (mode, name): (&'static str, &'static str) = (job.mode.into(), outcome.name().into());
        let succeeded = matches!(outcome, Outcome::Succeeded { .. });
        counter!(JOBS, "mode" => mode, "outcome" => name).increment(1);
        counter!(TOKENS, "mode" => mode).increment(spent.tokens);
        counter!(STEPS, "mode" => mode).increment(spent.steps.into());
        counter!(COST, "mode" => mode).increment(spent.cost_microusd.0.unsigned_abs());
        histogram!(ACTIVE, "mode" => mode).record(spent.active_ms as f64 / 1_000.0);
        histogram!(AGE, "mode" => mode).record(age(job.job_id));
        let attributes = vec![
            KeyValue::new("job.id", job.job_id.to_string()),
            KeyValue::new("mode", mode),
            KeyValue::new("outcome", name),
            KeyValue::new("steps", i64::from(spent.steps)),
            KeyValue::new("tokens", i64::try_from(spent.tokens).unwrap_or(i64::MAX)),
            KeyValue::new("cost_microusd", spent.cost_microusd.0),
        ];
        traces::ended(job.job_id, attributes, !succeeded);
        if self.emf {
            let count = |yes: bool| if yes { 1.0 } else { 0.0 };
            let figures = [
                ("JobDuration", "Milliseconds", spent.active_ms as f64),
                ("JobSuccesses", "Count", count(succeeded)),
                ("JobFailures", "Count", count(!succeeded)),
                ("TokensUsed", "Count", spent.tokens as f64),
                ("StepsUsed", "Count", f64::from(spent.steps)),
            ];
            let properties = json!({ "job_id": job.job_id, "outcome": name, "cost_microusd": spent.cost_microusd });
            let whose = Whose { stage: self.stage, mode: Some(job.mode) };
            emf::print(SystemClock.now(), whose, &figures, properties.as_object().cloned().unwrap_or_default());
        }
    }

    /// Publishes once a minute how the whole deployment stands, if no other process does, until `shutdown`.
    pub(super) async fn publish(&self, db: Db, owner: OwnerId, shutdown: CancellationToken) {
        let mut led = false;
        while !shutdown.is_cancelled() {
            match self.publish_if_leader(&db, owner, led).await {
                Ok(leads) => led = leads,
                Err(error) => tracing::warn!("the figures of the queue, the workers and the budgets cannot be told: {error}"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        if led && let Err(error) = leaders::resign(&db, PUBLISHER, owner).await {
            tracing::warn!("another process tells the figures of the queue only in {} s: {error}", TERM.as_secs());
        }
    }

    async fn publish_if_leader(&self, db: &Db, owner: OwnerId, led: bool) -> Result<bool, StoreError> {
        let leads = leaders::lead(db, PUBLISHER, owner, TERM).await?;
        if leads {
            self.tell(&Standing::now(db).await?);
        } else if led {
            for mode in [Mode::Mechanic, Mode::Genius] {
                gauge!(DEPTH, "mode" => <&'static str>::from(mode)).set(f64::NAN);
            }
            [STALE, STUCK, BUDGET].into_iter().for_each(|name| gauge!(name).set(f64::NAN));
        }
        Ok(leads)
    }

    fn tell(&self, standing: &Standing) {
        let Standing { ready, stale_workers, stuck_jobs, budget_used_percent } = standing;
        for (mode, ready) in ready {
            gauge!(DEPTH, "mode" => <&'static str>::from(*mode)).set(*ready as f64);
        }
        gauge!(STALE).set(*stale_workers as f64);
        gauge!(STUCK).set(*stuck_jobs as f64);
        gauge!(BUDGET).set(*budget_used_percent);
        if !self.emf {
            return;
        }
        let print = |mode, figures: &[emf::Figure]| {
            emf::print(SystemClock.now(), Whose { stage: self.stage, mode }, figures, serde_json::Map::new());
        };
        for (mode, ready) in ready {
            print(Some(*mode), &[("QueueDepth", "Count", *ready as f64)]);
        }
        // Alarms go by these.
        let totals = [
            ("QueueDepth", "Count", ready.iter().map(|(_, ready)| *ready as f64).sum()),
            ("StaleWorkers", "Count", *stale_workers as f64),
            ("StuckJobs", "Count", *stuck_jobs as f64),
            ("BudgetUsedPercent", "Percent", *budget_used_percent),
        ];
        print(None, &totals);
    }
}
