//! What is recorded of a job: events, steps, ledger.

use domain::ledger::Entry;
use serde::Serialize;
use serde_json::{Map, Value};
use store::events::Recorded;
use store::feed::Fed;
use store::listing::StepLine;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Events of one job, in order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<JobEvent>,
    /// Whether more follow: go on with `after` = the last `seq`.
    pub(crate) more: bool,
}

/// Something that happened to a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobEvent {
    /// 1, 2, 3 … without gaps within the job.
    seq: i64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// enqueued, claimed, model_replied, finalized …; more may come.
    kind: String,
    /// Its fields, which depend on the kind.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<Recorded> for JobEvent {
    fn from(event: Recorded) -> Self {
        Self { seq: event.seq, created_at: event.created_at, kind: event.kind, data: event.data }
    }
}

/// The data of an event in the live stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StreamedEvent<'a> {
    job_id: Uuid,
    repository: &'a str,
    /// 1, 2, 3 … within the job: the order in which things happened to it.
    seq: i64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// enqueued, claimed, model_replied, finalized …; more may come.
    kind: &'a str,
    /// Its fields, which depend on the kind.
    #[schema(value_type = Object)]
    data: &'a Value,
}

impl<'a> From<&'a Fed> for StreamedEvent<'a> {
    fn from(event: &'a Fed) -> Self {
        Self {
            job_id: event.job_id.0,
            repository: &event.repository,
            seq: event.seq,
            created_at: event.created_at,
            kind: &event.kind,
            data: &event.data,
        }
    }
}

/// Steps of one job, in order, with what the tools said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StepPage {
    pub(crate) steps: Vec<Step>,
    /// Whether more follow: go on with `after` = the last `step_no`.
    pub(crate) more: bool,
}

/// One turn of the model with all its tool calls.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    /// From 1.
    step_no: i32,
    /// Its name in the price table.
    model: String,
    /// When the reply was stored.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// How long the model took.
    model_ms: i64,
    /// How long its tools took; null = they have not run to their end.
    #[schema(required)]
    tools_ms: Option<i64>,
    /// What it cost, in millionths of a US dollar.
    cost_microusd: i64,
    /// The tools that it called.
    tools: Vec<String>,
    /// Tokens by kind: uncached_input, cache_read, cache_write, output.
    #[schema(value_type = Object)]
    usage: Value,
    /// The workspace's git tree after it; null = as before.
    #[schema(required)]
    tree: Option<String>,
    /// What the tools said; only where steps are asked for by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Value>,
}

impl From<StepLine> for Step {
    fn from(line: StepLine) -> Self {
        let replied = line.replied.unwrap_or_default();
        let tools = replied["tools"].as_array().into_iter().flatten();
        Self {
            step_no: line.step_no,
            model: line.model,
            created_at: line.created_at,
            model_ms: line.model_ms,
            tools_ms: line.tools_ms,
            cost_microusd: replied["cost_microusd"].as_i64().unwrap_or_default(),
            tools: tools.filter_map(|tool| tool.as_str().map(str::to_owned)).collect(),
            usage: if replied["usage"].is_object() { replied["usage"].clone() } else { Value::Object(Map::new()) },
            tree: line.tree,
            results: line.results,
        }
    }
}

/// The ledger of one job, in order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LedgerEntries {
    pub(crate) entries: Vec<LedgerEntry>,
}

/// A row of the ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LedgerEntry {
    /// 1, 2, 3 … without gaps within the job.
    seq: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// reserved, settled, released, settled_late.
    kind: String,
    /// The step that the call belongs to.
    step_no: i32,
    /// The reservation that this row closes; null for reservations.
    #[schema(required)]
    reservation_seq: Option<i64>,
    model: String,
    uncached_input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    /// Held back (reserved) or spent (settled), in millionths of a US dollar.
    cost_microusd: i64,
}

impl From<Entry> for LedgerEntry {
    fn from(entry: Entry) -> Self {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(entry.at_us) * 1_000);
        Self {
            seq: entry.seq,
            at: at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            kind: entry.kind.to_string(),
            step_no: entry.step_no,
            reservation_seq: entry.reservation_seq,
            model: entry.model,
            uncached_input: entry.usage.uncached_input,
            cache_read: entry.usage.cache_read,
            cache_write: entry.usage.cache_write,
            output: entry.usage.output,
            cost_microusd: entry.cost_microusd.0,
        }
    }
}
