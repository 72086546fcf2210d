//! Durable steps: what a worker loads, and the four writes of a step.
//!
//! reserve → (model call) → store reply and settle → (tools) → store results and checkpoint. A worker that
//! dies between two of them leaves a job that any other continues at that point.

use std::time::Duration;

use domain::ledger::ChainHash;
use domain::{Epoch, JobId, MicroUsd, Outcome, Spent, Usage};
use serde_json::{Value, json as object};
use sqlx::types::Json;

use crate::budgets::BudgetUse;
use crate::hand_over::HandedOver;
use crate::jobs::{self, Job};
use crate::json::{json, verbatim};
use crate::queue::held;
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
}

impl Work {
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
#[derive(Clone, PartialEq, Eq, Debug)]
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
    // One session for all three: the pool asks a session that comes back whether it is still alive.
    let mut session = db.pool.reading().await?;
    let queue = sqlx::query!(
        r#"select step_no, attempt, tokens, cost_microusd, active_ms, cancel_requested,
                  outcome_pending as "outcome_pending: Json<Outcome>",
                  (select data from events where events.job_id = queue.job_id and seq = handed_over) as "handed_over: Json<HandedOver>"
           from queue
           where job_id = $1 and epoch = $2 and state = 'leased'"#,
        job_id.0,
        epoch.0,
    )
    .fetch_optional(&mut session)
    .await?
    .ok_or(StoreError::LeaseLost { job_id, epoch })?;
    let job = jobs::read(&mut session, job_id).await?;
    let steps = sqlx::query_as!(
        StoredStep,
        r#"select reply.step_no as "step_no!", reply.model as "model!", reply.reply as "reply!", done.results as "results?", done.tree as "tree?"
           from steps reply
           left join steps done on done.job_id = reply.job_id and done.step_no = reply.step_no and done.half = 'results'
           where reply.job_id = $1 and reply.half = 'reply'
           order by reply.step_no"#,
        job_id.0,
    )
    .fetch_all(&mut session)
    .await?;
    Ok(Work {
        job,
        spent: Spent {
            steps: steps.len() as u32,
            tokens: queue.tokens.unsigned_abs(),
            cost_microusd: MicroUsd(queue.cost_microusd),
            active_ms: queue.active_ms.unsigned_abs(),
        },
        attempt: queue.attempt,
        cancel_requested: queue.cancel_requested,
        outcome_pending: queue.outcome_pending.map(|outcome| outcome.0),
        handed_over: queue.handed_over.map(|before| before.0),
        steps,
    })
}

/// The hints that people gave a job so far, oldest first. A worker asks right before each model call, not with
/// [`load`]: what came while it checked the repository out is to reach that call.
///
/// # Errors
/// Those of the database.
pub async fn hints(db: &Db, job_id: JobId) -> Result<Vec<StoredHint>, StoreError> {
    let hints = sqlx::query_as!(
        StoredHint,
        r#"select (data ->> 'before_step')::int as "before_step!", data ->> 'text' as "text!"
           from events
           where job_id = $1 and kind = 'hint'
           order by seq"#,
        job_id.0,
    );
    Ok(hints.fetch_all(&db.pool).await?)
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

/// How a checkout was prepared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prepared<'a> {
    /// The commit that it starts from.
    pub base_commit: &'a str,
    /// For a review: the commit that the change under review is compared with.
    pub against: Option<&'a str>,
    /// What a person should know about how the repository was understood.
    pub notes: &'a [String],
    /// How long it took.
    pub took: Duration,
}

/// What the first preparation of a job settled for all later workers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preparation {
    /// See [`Prepared`].
    pub against: Option<String>,
    /// See [`Prepared`].
    pub notes: Vec<String>,
}

/// Fixes the commit that a job starts from; every later worker starts from the same.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn prepared(db: &Db, job_id: JobId, epoch: Epoch, prepared: Prepared<'_>) -> Result<(), StoreError> {
    let Prepared { base_commit, against, notes, took } = prepared;
    let moved = sqlx::query!(
        "with fenced as (
             update queue set event_seq = event_seq + 1 where job_id = $1 and epoch = $2 and state = 'leased' returning job_id, event_seq
         ), based as (
             update jobs set base_commit = $3 from fenced where jobs.job_id = fenced.job_id and base_commit is null
         ), noted as (
             insert into events (job_id, seq, kind, data)
             select job_id, event_seq, 'prepared', $4 from fenced
         )
         select job_id from fenced",
        job_id.0,
        epoch.0,
        base_commit,
        json(&object!({ "base": base_commit, "against": against, "duration_ms": took.as_millis() as u64, "notes": notes })),
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// The first preparation of a job; nothing in it before there was one.
///
/// # Errors
/// Those of the database.
pub async fn preparation(db: &Db, job_id: JobId) -> Result<Preparation, StoreError> {
    let first = sqlx::query!(
        r#"select data ->> 'against' as against, coalesce(data -> 'notes', '[]') as "notes!: Json<Vec<String>>"
           from events
           where job_id = $1 and kind = 'prepared'
           order by seq
           limit 1"#,
        job_id.0,
    );
    let first = first.fetch_optional(&db.pool).await?;
    Ok(first.map(|first| Preparation { against: first.against, notes: first.notes.0 }).unwrap_or_default())
}

/// A call about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Reserve<'a> {
    /// The step it belongs to, from 1; 0 = a call of triage.
    pub step_no: i32,
    /// The model's name in the price table.
    pub model: &'a str,
    /// The most it can cost.
    pub cost_microusd: MicroUsd,
    /// The output limit that will be sent.
    pub max_output: u64,
}

/// Holds money back before a model call, in the job and in every budget that it belongs to; returns the
/// reservation's number in the ledger.
///
/// # Errors
/// [`StoreError::OverBudget`] when a budget has no room for it: the job waits then and is nobody's.
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn reserve(db: &Db, job_id: JobId, epoch: Epoch, call: Reserve<'_>) -> Result<i64, StoreError> {
    let data = object!({
        "step_no": call.step_no, "model": call.model, "max_output": call.max_output, "reserved_microusd": call.cost_microusd,
    });
    let row = sqlx::query_file!("sql/reserve.sql", job_id.0, epoch.0, call.step_no, call.model, call.cost_microusd.0, data);
    let row = row.fetch_optional(&db.pool).await?.ok_or(StoreError::LeaseLost { job_id, epoch })?;
    for BudgetUse { scope, used_microusd, limit_microusd, .. } in &row.warnings.0 {
        tracing::warn!(
            job.id = %job_id, %scope, used_microusd = used_microusd.0, limit_microusd = limit_microusd.0,
            "{used_microusd} of the day's budget of {limit_microusd} of {scope} are used"
        );
    }
    match row.refused {
        Some(refused) => Err(StoreError::OverBudget(refused.0)),
        None => Ok(row.number),
    }
}

/// A model's reply and what it cost.
#[derive(Clone, Debug)]
pub struct Answered<'a> {
    /// The step.
    pub step_no: i32,
    /// The model's name in the price table.
    pub model: &'a str,
    /// The request body, verbatim.
    pub request: &'a str,
    /// The reply body, verbatim.
    pub reply: &'a str,
    /// How long the call took.
    pub took: Duration,
    /// The reservation that it closes: number and amount.
    pub reservation: (i64, MicroUsd),
    /// Tokens used.
    pub usage: Usage,
    /// What they cost.
    pub cost_microusd: MicroUsd,
    /// Names of the tools it calls, for people who watch.
    pub tools: Vec<String>,
}

/// Stores a reply, verbatim, together with the settlement of its call, before anything acts on it.
///
/// # Errors
/// [`StoreError::LeaseLost`] (then only [`crate::ledger::settle_late`] is left to do), or those of the
/// database.
pub async fn store_reply(db: &Db, job_id: JobId, epoch: Epoch, answer: &Answered<'_>) -> Result<(), StoreError> {
    let took_ms = millis(answer.took);
    let data = json(&object!({
        "step_no": answer.step_no, "model": answer.model, "usage": answer.usage, "cost_microusd": answer.cost_microusd,
        "duration_ms": took_ms, "tools": answer.tools,
    }));
    let [uncached_input, cache_read, cache_write, output] = tokens(&answer.usage);
    let moved = sqlx::query_file!(
        "sql/store_reply.sql",
        job_id.0,
        epoch.0,
        answer.step_no,
        answer.model,
        verbatim(answer.request),
        verbatim(answer.reply),
        took_ms,
        answer.reservation.0,
        answer.reservation.1.0,
        answer.cost_microusd.0,
        uncached_input,
        cache_read,
        cache_write,
        output,
        data,
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// Closes a reservation whose call was refused before it could cost anything; the time it took counts.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn release_reservation(
    db: &Db,
    job_id: JobId,
    epoch: Epoch,
    step_no: i32,
    model: &str,
    reservation: (i64, MicroUsd),
    took: Duration,
) -> Result<(), StoreError> {
    let (number, reserved, took_ms) = (reservation.0, reservation.1.0, millis(took));
    let moved = sqlx::query_file!("sql/close_reservation.sql", job_id.0, epoch.0, step_no, model, number, reserved, took_ms);
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// Closes the reservation of a call that belongs to no step: triage's own. Its reply is not kept, only what it cost.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn settle_call(
    db: &Db,
    job_id: JobId,
    epoch: Epoch,
    model: &str,
    reservation: (i64, MicroUsd),
    usage: &Usage,
    cost: MicroUsd,
) -> Result<(), StoreError> {
    let [uncached_input, cache_read, cache_write, output] = tokens(usage);
    let moved = sqlx::query_file!(
        "sql/settle_call.sql",
        job_id.0,
        epoch.0,
        model,
        reservation.0,
        reservation.1.0,
        cost.0,
        uncached_input,
        cache_read,
        cache_write,
        output,
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// Counts the time of a call that ended without a reply and may have cost something: its reservation stays
/// open and counts in full.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn spent_time(db: &Db, job_id: JobId, epoch: Epoch, took: Duration) -> Result<(), StoreError> {
    let moved = sqlx::query!(
        "update queue set active_ms = active_ms + $3 where job_id = $1 and epoch = $2 and state = 'leased' returning job_id",
        job_id.0,
        epoch.0,
        millis(took),
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
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

/// Stores what the tools did and ends the step; attempts count from zero again.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn store_results(db: &Db, job_id: JobId, epoch: Epoch, acted: &Acted<'_>) -> Result<(), StoreError> {
    let took_ms = millis(acted.took);
    let mut data = json(&object!({
        "step_no": acted.step_no, "duration_ms": took_ms, "checkpoint": acted.checkpoint.map(|(tree, _)| tree),
        "left_out": acted.left_out,
    }));
    if let Some(cleaned) = acted.results.get("cleaned") {
        data["cleaned"] = cleaned.clone();
    }
    let moved = sqlx::query_file!(
        "sql/store_results.sql",
        job_id.0,
        epoch.0,
        acted.step_no,
        json(acted.results),
        acted.checkpoint.map(|(tree, _)| tree),
        acted.checkpoint.map(|(_, pack)| pack),
        took_ms,
        data,
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn tokens(usage: &Usage) -> [i64; 4] {
    [usage.uncached_input, usage.cache_read, usage.cache_write, usage.output].map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

pub(crate) fn chain_hash(bytes: &[u8]) -> Result<ChainHash, StoreError> {
    let hash =
        <[u8; 32]>::try_from(bytes).map_err(|_| StoreError::Corrupt { column: "ledger.hash", value: format!("{} bytes", bytes.len()) })?;
    Ok(ChainHash(hash))
}
