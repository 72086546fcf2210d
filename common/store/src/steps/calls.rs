//! A model call and its money: held back before it, settled with its reply, or given back.

use std::time::Duration;

use domain::{Epoch, JobId, MicroUsd, Usage};
use serde_json::json as object;
use sqlx::types::Json;

use super::millis;
use super::parts::Part;
use crate::budgets::BudgetUse;
use crate::json::{json, verbatim};
use crate::ledger::{LateSettlement, settle_late};
use crate::queue::{held, refused};
use crate::{Db, StoreError};

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
    /// The last event that the caller has heard of ([`super::Work::heard`]); `None` = the call is the same, whatever was said.
    pub heard: Option<i64>,
}

/// A call that may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    /// The reservation's number in the ledger.
    pub number: i64,
    /// The last event now: what this wrote.
    pub event_seq: i64,
}

/// Holds money back before a model call, in the job and in every budget that it belongs to.
///
/// # Errors
/// [`StoreError::Stopped`] when somebody asked the job to stop before, [`StoreError::Unheard`] when something else was said to it.
/// [`StoreError::OverBudget`] when a budget has no room for it: the job waits then and is nobody's. [`StoreError::LeaseLost`], or
/// those of the database.
pub async fn reserve(db: &Db, job_id: JobId, epoch: Epoch, call: Reserve<'_>) -> Result<Granted, StoreError> {
    let data = object!({
        "step_no": call.step_no, "model": call.model, "max_output": call.max_output, "reserved_microusd": call.cost_microusd,
    });
    let row = sqlx::query_file!("sql/reserve.sql", job_id.0, epoch.0, call.step_no, call.model, call.cost_microusd.0, data, call.heard);
    let Some(row) = row.fetch_optional(&db.pool).await? else { return Err(refused(db, job_id, epoch, call.heard).await?) };
    for BudgetUse { scope, used_microusd, limit_microusd, .. } in &row.warnings.0 {
        tracing::warn!(
            job.id = %job_id, %scope, used_microusd = used_microusd.0, limit_microusd = limit_microusd.0,
            "{used_microusd} of the day's budget of {limit_microusd} of {scope} are used"
        );
    }
    match row.refused {
        Some(refused) => Err(StoreError::OverBudget(refused.0)),
        None => Ok(Granted { number: row.number, event_seq: row.event_seq }),
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
    /// The request body of the step before, where the caller has stored it: what the two have in common is not stored again.
    pub before: Option<&'a str>,
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

/// A reply that is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replied {
    /// The last event now: what this wrote.
    pub event_seq: i64,
    /// Somebody asked the job to stop meanwhile: nothing may act on the reply.
    pub cancel_requested: bool,
}

/// Stores a reply, verbatim, together with the settlement of its call, before anything acts on it.
///
/// # Errors
/// [`StoreError::LeaseLost`] (then only [`crate::ledger::settle_late`] is left to do), or those of the
/// database.
pub async fn store_reply(db: &Db, job_id: JobId, epoch: Epoch, answer: &Answered<'_>) -> Result<Replied, StoreError> {
    let took_ms = millis(answer.took);
    let data = json(&object!({
        "step_no": answer.step_no, "model": answer.model, "usage": answer.usage, "cost_microusd": answer.cost_microusd,
        "duration_ms": took_ms, "tools": answer.tools,
    }));
    let [uncached_input, cache_read, cache_write, output] = tokens(&answer.usage);
    let request = verbatim(answer.request);
    let part = Part::of(&request, &verbatim(answer.before.unwrap_or_default()));
    let moved = sqlx::query_file!(
        "sql/store_reply.sql",
        job_id.0,
        epoch.0,
        answer.step_no,
        answer.model,
        part.middle,
        &*verbatim(answer.reply),
        took_ms,
        answer.reservation.0,
        answer.reservation.1.0,
        answer.cost_microusd.0,
        uncached_input,
        cache_read,
        cache_write,
        output,
        data,
        part.head,
        part.tail,
    );
    let row = moved.fetch_optional(&db.pool).await?.ok_or(StoreError::LeaseLost { job_id, epoch })?;
    Ok(Replied { event_seq: row.event_seq, cancel_requested: row.cancel_requested })
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

/// Closes a reservation whose call was refused before it could cost anything: under the lease or, where that is lost, as the
/// late settlement that needs none.
///
/// # Errors
/// [`StoreError::LeaseLost`], also when it was closed late, or those of the database.
pub async fn give_back(
    db: &Db,
    job_id: JobId,
    epoch: Epoch,
    (step_no, model): (i32, &str),
    reservation: (i64, MicroUsd),
    took: Duration,
) -> Result<(), StoreError> {
    let released = release_reservation(db, job_id, epoch, step_no, model, reservation, took).await;
    if matches!(released, Err(StoreError::LeaseLost { .. })) {
        let late =
            LateSettlement { step_no, model, reservation_seq: reservation.0, usage: Usage::default(), cost_microusd: MicroUsd::ZERO };
        settle_late(db, job_id, late).await?;
    }
    released
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

pub(crate) fn tokens(usage: &Usage) -> [i64; 4] {
    [usage.uncached_input, usage.cache_read, usage.cache_write, usage.output].map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}
