//! The rows that the checks look at, read once.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::caps;
use crate::model::script::Script;
use crate::world::World;

/// A job.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its id.
    pub job_id: String,
    title: String,
    /// Its name in the model's book.
    #[serde(skip)]
    pub tag: String,
    /// `mechanic` or `genius`; `None` before triage.
    pub mode: Option<String>,
    /// The cap of tokens that was in force for it: its mode's, or a lower one of its processes.
    #[serde(skip)]
    pub token_cap: i64,
    /// How it ended.
    pub outcome: Option<String>,
    /// The same in full.
    pub outcome_detail: Option<Value>,
    /// What it took.
    pub steps: Option<i64>,
    /// New tokens.
    pub tokens: Option<i64>,
    /// Money, open reservations in full.
    pub cost_microusd: Option<i64>,
}

/// An event.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Its job.
    pub job_id: String,
    /// Its number.
    pub seq: i64,
    /// What happened.
    pub kind: String,
    /// With which values.
    pub data: Value,
}

/// A row of the ledger.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// Its job.
    pub job_id: String,
    /// Its number.
    pub seq: i64,
    /// What it says.
    pub kind: String,
    /// The step that it belongs to.
    pub step_no: i64,
    /// What it closes.
    pub reservation_seq: Option<i64>,
    /// Input tokens that were charged in full.
    pub uncached_input: i64,
    /// Input tokens that the cache had.
    pub cache_read: i64,
    /// Input tokens that the cache got.
    pub cache_write: i64,
    /// Output tokens.
    pub output: i64,
    /// In microseconds since 1970.
    pub at_us: i64,
}

/// Half a step.
#[derive(Clone, Debug, Deserialize)]
pub struct Half {
    /// Its job.
    pub job_id: String,
    /// Its number.
    pub step_no: i64,
    /// `reply` or `results`.
    pub half: String,
    /// Under which epoch it was written.
    pub epoch: i64,
    /// In microseconds since 1970.
    pub at_us: i64,
}

/// Everything in the tables, in order.
pub struct Facts {
    /// All jobs, by id.
    pub jobs: BTreeMap<String, Job>,
    /// Their events.
    pub events: BTreeMap<String, Vec<Event>>,
    /// Their ledger.
    pub ledger: BTreeMap<String, Vec<Entry>>,
    /// Their half-steps.
    pub halves: BTreeMap<String, Vec<Half>>,
    /// Rows of `queue`: job and state.
    pub queue: BTreeMap<String, String>,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of(world: &World) -> Result<Self> {
        #[derive(Deserialize)]
        struct Queued {
            job_id: String,
            state: String,
        }
        let sql = &world.database.sql;
        let jobs: Vec<Job> = sql
            .rows(
                "select job_id, input ->> 'title' as title, mode, outcome, outcome_detail, steps, tokens, cost_microusd
                 from jobs order by job_id",
            )
            .await?;
        let events = sql.rows("select job_id, seq, kind, data from events order by job_id, seq").await?;
        let ledger = sql
            .rows(
                "select job_id, seq, kind, step_no, reservation_seq, uncached_input, cache_read, cache_write, output,
                        (extract(epoch from at) * 1000000)::bigint as at_us
                 from ledger order by job_id, seq",
            )
            .await?;
        let halves = sql
            .rows(
                "select job_id, step_no, half, epoch, (extract(epoch from created_at) * 1000000)::bigint as at_us
                 from steps order by job_id, step_no, half",
            )
            .await?;
        let queue: Vec<Queued> = sql.rows("select job_id, state from queue").await?;
        let named = |job: Job| {
            let tag = Script::named_in(&job.title).map(|script| script.tag).unwrap_or_default();
            let token_cap = caps::of(&job).tokens.min(world.token_cap.unwrap_or(i64::MAX));
            (job.job_id.clone(), Job { tag, token_cap, ..job })
        };
        Ok(Self {
            jobs: jobs.into_iter().map(named).collect(),
            events: by_job(events, |event: &Event| &event.job_id),
            ledger: by_job(ledger, |entry: &Entry| &entry.job_id),
            halves: by_job(halves, |half: &Half| &half.job_id),
            queue: queue.into_iter().map(|row| (row.job_id, row.state)).collect(),
        })
    }
}

fn by_job<T>(rows: Vec<T>, job: impl Fn(&T) -> &String) -> BTreeMap<String, Vec<T>> {
    let mut sorted: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for row in rows {
        sorted.entry(job(&row).clone()).or_default().push(row);
    }
    sorted
}
