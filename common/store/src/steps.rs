//! Durable steps: what a worker loads, and the four writes of a step.
//!
//! reserve → (model call) → store reply and settle → (tools) → store results and checkpoint. A worker that
//! dies between two of them leaves a job that any other continues at that point.

mod calls;
mod parts;
mod preparation;

use std::time::Duration;

use domain::ledger::ChainHash;
use domain::{Epoch, JobId, MicroUsd, Outcome, Spent};
use serde::Deserialize;
use serde_json::{Value, json as object};
use sqlx::types::Json;

pub(crate) use self::calls::tokens;
pub use self::calls::{Answered, Granted, Replied, Reserve, give_back, release_reservation, reserve, settle_call, spent_time, store_reply};
pub use self::preparation::{Preparation, Prepared, preparation, prepared};
use crate::hand_over::HandedOver;
use crate::jobs::{self, Job};
use crate::json::json;
use crate::{Db, StoreError};

/// What a worker needs to take the next half-step.
#[derive(Clone, Debug)]
pub struct Work {
    /// The job.
    pub job: Job,
    /// What it has spent; open reservations count in full.
    pub spent: Spent,
    /// Attempts without progress, this one included.
    pub attempt: i32,
    /// Somebody asked it to stop.
    pub cancel_requested: bool,
    /// How it will end, where that is decided already: only `finalize` is left.
    pub outcome_pending: Option<Outcome>,
    /// What a mechanic left behind, where one handed it over.
    pub handed_over: Option<HandedOver>,
    /// Its steps so far, in order; only the last may lack results.
    pub steps: Vec<StoredStep>,
    /// The hints that people gave it so far, oldest first.
    pub hints: Vec<StoredHint>,
    /// The last event of which the holder knows what it said: nobody said anything before it that is not here.
    pub heard: i64,
}

impl Work {
    /// Takes note that the holder itself wrote the event `seq`. Events have no gaps: where it is not the next one, somebody said
    /// something before, which is not known until the job is loaded again.
    pub fn wrote(&mut self, seq: i64) {
        if seq == self.heard + 1 {
            self.heard = seq;
        }
    }

    /// Takes in that the holder ended its newest step with `tree`, as a load would find it.
    pub fn ended(&mut self, end: StepEnd, tree: Option<&str>) {
        self.wrote(end.event_seq);
        self.spent = Spent { steps: self.spent.steps, ..end.spent };
        self.attempt = 0;
        if let Some(newest) = self.steps.last_mut() {
            (newest.results, newest.tree) = (Some(end.results), tree.map(str::to_owned));
        }
    }

    /// What it has spent since its present mode has it: what the caps of that mode are compared with.
    pub fn spent_in_mode(&self) -> Spent {
        let before = self.handed_over.as_ref().map(|before| before.spent).unwrap_or_default();
        Spent {
            steps: self.spent.steps.saturating_sub(before.steps),
            tokens: self.spent.tokens.saturating_sub(before.tokens),
            // A call of the mechanic that turned out cheaper than what was held back makes nothing cheaper here.
            cost_microusd: self.spent.cost_microusd.saturating_sub(before.cost_microusd),
            active_ms: self.spent.active_ms.saturating_sub(before.active_ms),
        }
    }
}

/// One step as the database has it.
#[derive(Clone, Debug)]
pub struct StoredStep {
    /// From 1.
    pub step_no: i32,
    /// The model's name in the price table.
    pub model: String,
    /// The model's reply, verbatim.
    pub reply: String,
    /// What the tools said (the agent's own JSON); `None` = they have not run to their end.
    pub results: Option<Value>,
    /// The workspace's tree after this step; `None` = as before it.
    pub tree: Option<String>,
}

/// A person's hint.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct StoredHint {
    /// The first step that reads it.
    pub before_step: i32,
    /// Its text.
    pub text: String,
}

/// Loads a job for the worker that holds it under `epoch`.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn load(db: &Db, job_id: JobId, epoch: Epoch) -> Result<Work, StoreError> {
    read(db, job_id, epoch, None).await
}

/// The same for a worker that has loaded it under this epoch before: only what may have changed since is read. What is
/// `known` of its steps is complete, and what is stored of a step never changes.
///
/// # Errors
/// As above.
pub async fn load_since(db: &Db, job_id: JobId, epoch: Epoch, known: Work) -> Result<Work, StoreError> {
    read(db, job_id, epoch, Some(known)).await
}

async fn read(db: &Db, job_id: JobId, epoch: Epoch, known: Option<Work>) -> Result<Work, StoreError> {
    let (job, mut steps, mut hints, heard) = match known {
        Some(known) => (Some(known.job), known.steps, known.hints, known.heard),
        None => (None, Vec::new(), Vec::new(), 0),
    };
    let after = steps.last().map_or(0, |step| step.step_no);
    let mut rows = sqlx::query_file!("sql/read.sql", job_id.0, epoch.0, after, heard).fetch_all(&db.pool).await?;
    let Some(queue) = rows.first_mut() else { return Err(StoreError::LeaseLost { job_id, epoch }) };
    let outcome_pending = queue.outcome_pending.take().map(|outcome| outcome.0);
    let handed_over = queue.handed_over.take().map(|before| before.0);
    hints.extend(queue.hints.take().map_or_else(Vec::new, |hints| hints.0));
    let (heard, attempt, cancel_requested) = (queue.event_seq, queue.attempt, queue.cancel_requested);
    let mut spent = spent(queue.tokens, queue.cost_microusd, queue.active_ms);
    steps.extend(rows.into_iter().filter_map(|row| {
        let (step_no, model, reply) = (row.further?, row.model?, row.reply?);
        Some(StoredStep { step_no, model, reply, results: row.results, tree: row.tree })
    }));
    spent.steps = steps.len() as u32;
    // Under one epoch nothing of a job changes but this, once.
    let job = match job.filter(|job: &Job| job.base_commit.is_some()) {
        Some(job) => job,
        None => jobs::read(&db.pool, job_id).await?,
    };
    Ok(Work { job, spent, attempt, cancel_requested, outcome_pending, handed_over, steps, hints, heard })
}

/// What a job has spent beside its steps, as the queue counts it.
fn spent(tokens: i64, cost_microusd: i64, active_ms: i64) -> Spent {
    let (tokens, active_ms) = (tokens.unsigned_abs(), active_ms.unsigned_abs());
    Spent { steps: 0, tokens, cost_microusd: MicroUsd(cost_microusd), active_ms }
}

/// The hints that people gave a job so far, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn hints(db: &Db, job_id: JobId) -> Result<Vec<StoredHint>, StoreError> {
    let hints = sqlx::query_scalar!(
        r#"select data as "hint: Json<StoredHint>" from events where job_id = $1 and kind = 'hint' order by seq"#,
        job_id.0,
    );
    Ok(hints.fetch_all(&db.pool).await?.into_iter().map(|hint| hint.0).collect())
}

/// The last checkpoint of a job up to `step_no`: tree and thin pack; `None` = the workspace is still as it
/// was at the base commit.
///
/// # Errors
/// Those of the database.
pub async fn checkpoint(db: &Db, job_id: JobId, step_no: i32) -> Result<Option<(String, Vec<u8>)>, StoreError> {
    let row = sqlx::query!(
        r#"select tree as "tree!", pack as "pack!" from steps
           where job_id = $1 and step_no <= $2 and half = 'results' and tree is not null
           order by step_no desc
           limit 1"#,
        job_id.0,
        step_no,
    );
    Ok(row.fetch_optional(&db.pool).await?.map(|row| (row.tree, row.pack)))
}

/// What the tools of a step did.
#[derive(Clone, Debug)]
pub struct Acted<'a> {
    /// The step.
    pub step_no: i32,
    /// What they said: the agent's own JSON. Its field `cleaned`, where there is one, goes into the event too.
    pub results: &'a Value,
    /// Tree and thin pack of the workspace, where it changed.
    pub checkpoint: Option<(&'a str, &'a [u8])>,
    /// Paths that a checkpoint does not keep: nested repositories.
    pub left_out: &'a [String],
    /// How long they took.
    pub took: Duration,
}

/// A step that is stored to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct StepEnd {
    /// The last event now: what this wrote.
    pub event_seq: i64,
    /// What the job has spent, but for the number of its steps.
    pub spent: Spent,
    /// The results as they are stored: without secrets.
    pub results: Value,
}

/// Stores what the tools did and ends the step; attempts count from zero again.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn store_results(db: &Db, job_id: JobId, epoch: Epoch, acted: &Acted<'_>) -> Result<StepEnd, StoreError> {
    let took_ms = millis(acted.took);
    let mut data = json(&object!({
        "step_no": acted.step_no, "duration_ms": took_ms, "checkpoint": acted.checkpoint.map(|(tree, _)| tree),
        "left_out": acted.left_out,
    }));
    if let Some(cleaned) = acted.results.get("cleaned") {
        data["cleaned"] = cleaned.clone();
    }
    let results = json(acted.results);
    let moved = sqlx::query_file!(
        "sql/store_results.sql",
        job_id.0,
        epoch.0,
        acted.step_no,
        results,
        acted.checkpoint.map(|(tree, _)| tree),
        acted.checkpoint.map(|(_, pack)| pack),
        took_ms,
        data,
    );
    let row = moved.fetch_optional(&db.pool).await?.ok_or(StoreError::LeaseLost { job_id, epoch })?;
    Ok(StepEnd { event_seq: row.event_seq, spent: spent(row.tokens, row.cost_microusd, row.active_ms), results })
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn chain_hash(bytes: &[u8]) -> Result<ChainHash, StoreError> {
    let hash =
        <[u8; 32]>::try_from(bytes).map_err(|_| StoreError::Corrupt { column: "ledger.hash", value: format!("{} bytes", bytes.len()) })?;
    Ok(ChainHash(hash))
}
