//! One job, with all that belongs to it.

use domain::{JobId, Kind, Mode, OutcomeName, Spent, Trigger};
use redact::Redactor;
use serde::Serialize;
use serde_json::{Map, Value};
use store::effects::Effect;
use store::jobs::{Finished, InQueue, Standing};
use store::listing::State;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::job::{Input, JobCaps, JobKind, JobMode, JobOutcome, JobState};
use super::record::Step;

/// Everything about a job but its events, its ledger and what its tools said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobDetail {
    job_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    repository: String,
    /// Where it is cloned from and pushed to; null = where the forge says.
    #[schema(required)]
    remote: Option<String>,
    #[schema(value_type = JobKind)]
    kind: Kind,
    /// null until triage decides.
    #[schema(value_type = Option<JobMode>, required)]
    mode: Option<Mode>,
    /// The model asked for.
    #[schema(required)]
    model: Option<String>,
    trigger: StartedBy,
    input: Input,
    /// Lower caps than the mode's.
    #[schema(required)]
    caps: Option<JobCaps>,
    /// The job that this one repeats.
    #[schema(required)]
    retry_of: Option<Uuid>,
    /// The commit that it starts from, once prepared.
    #[schema(required)]
    base_commit: Option<String>,
    state: JobState,
    /// Its place in the queue; null once it has left it.
    #[schema(required)]
    queue: Option<Place>,
    /// How it ended; null while it has not.
    #[schema(required)]
    finished: Option<End>,
    /// What it has spent so far.
    spent: Spending,
    steps: Vec<Step>,
    /// What it does outside: branch, pull request, comment.
    effects: Vec<JobEffect>,
}

impl JobDetail {
    pub(crate) fn new(standing: Standing, steps: Vec<Step>, effects: Vec<Effect>) -> Self {
        let Standing { job, queue, .. } = standing;
        let state = queue.as_ref().map_or(State::Finished, |queue| State::Queued(queue.state));
        let spent = match (&job.finished, &queue) {
            (Some(finished), _) => finished.spent,
            (None, Some(queue)) => queue.spent,
            (None, None) => Spent::default(),
        };
        let effect =
            |effect: Effect| JobEffect { name: effect.name.to_string(), confirmed: effect.confirmed, detail: object(effect.detail) };
        Self {
            job_id: job.job_id.0,
            created_at: job.created_at,
            repository: job.repository,
            // It may hold a password that git needs.
            remote: job.remote.map(|remote| Redactor::of_process().text(&remote).into_owned()),
            kind: job.kind,
            mode: job.mode,
            model: job.model,
            trigger: (&job.trigger).into(),
            input: job.input.into(),
            caps: job.caps.map(Into::into),
            retry_of: job.retry_of.map(|JobId(id)| id),
            base_commit: job.base_commit,
            state: state.into(),
            queue: queue.as_ref().map(Place::from),
            finished: job.finished.as_ref().map(End::from),
            spent: spent.into(),
            steps,
            effects: effects.into_iter().map(effect).collect(),
        }
    }
}

/// What started a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StartedBy {
    /// label, command, api, cli, retry, schedule; more may come.
    by: String,
    /// The label.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The first line of the comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

impl From<&Trigger> for StartedBy {
    fn from(trigger: &Trigger) -> Self {
        // Through JSON, so that a trigger that is new in the product is named here at once.
        let fields = serde_json::to_value(trigger).unwrap_or_default();
        let field = |name: &str| fields[name].as_str().map(str::to_owned);
        Self { by: field("by").unwrap_or_default(), label: field("label"), command: field("command") }
    }
}

/// A job's place in the queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = QueuePlace)]
pub(crate) struct Place {
    /// What it waits for.
    #[schema(required)]
    waiting_for: Option<String>,
    /// Not before then.
    #[serde(with = "time::serde::rfc3339")]
    run_at: OffsetDateTime,
    /// Attempts without progress.
    attempt: i32,
    /// How often it changed hands.
    epoch: i64,
    /// When the lease of its worker ends.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    lease_until: Option<OffsetDateTime>,
    /// Somebody asked it to stop.
    cancel_requested: bool,
}

impl From<&InQueue> for Place {
    fn from(queue: &InQueue) -> Self {
        Self {
            waiting_for: queue.waiting_for.clone(),
            run_at: queue.run_at,
            attempt: queue.attempt,
            epoch: queue.epoch,
            lease_until: queue.lease_until,
            cancel_requested: queue.cancel_requested,
        }
    }
}

/// The end of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobEnd)]
pub(crate) struct End {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[schema(value_type = JobOutcome)]
    outcome: OutcomeName,
    /// One sentence for people.
    sentence: String,
    /// What belongs to this outcome: what the model handed in, the cap, the cause.
    #[schema(value_type = Object)]
    detail: Value,
    /// Where the result is: branch, pull request, comment.
    #[schema(value_type = Object)]
    links: Value,
}

impl From<&Finished> for End {
    fn from(finished: &Finished) -> Self {
        Self {
            at: finished.at,
            outcome: finished.outcome.name(),
            sentence: finished.outcome.sentence(),
            detail: object(serde_json::to_value(&finished.outcome).unwrap_or_default()),
            links: object(finished.links.clone()),
        }
    }
}

/// What a job has spent.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Spending {
    steps: u32,
    /// New tokens of all settled calls.
    tokens: u64,
    /// Settled cost and open reservations, in millionths of a US dollar.
    cost_microusd: i64,
    /// Model and tool time.
    active_ms: u64,
}

impl From<Spent> for Spending {
    fn from(spent: Spent) -> Self {
        Self { steps: spent.steps, tokens: spent.tokens, cost_microusd: spent.cost_microusd.0, active_ms: spent.active_ms }
    }
}

/// Something that a job does outside.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobEffect {
    /// branch, pull_request, review, comment; more may come.
    name: String,
    /// Whether it was read back.
    confirmed: bool,
    /// What was intended, then what is there.
    #[schema(value_type = Object)]
    detail: Value,
}

/// `value` where it is an object, else an empty one: what the schema promises.
fn object(value: Value) -> Value {
    if value.is_object() { value } else { Value::Object(Map::new()) }
}
