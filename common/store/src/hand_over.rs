//! A job that a mechanic cannot get done goes on with a genius: the same job, once, with fresh caps.

use domain::{Epoch, JobId, Mode, Spent};
use serde::{Deserialize, Serialize};
use serde_json::json as object;

use crate::error::parse;
use crate::json::json;
use crate::queue::held;
use crate::{Db, StoreError, wake};

/// What the mode before left behind, as the event tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HandedOver {
    /// Why it did not go on.
    pub reason: String,
    /// What was tried, for whoever goes on.
    pub account: String,
    /// What the job had spent by then. Of the steps, as many were taken.
    pub spent: Spent,
}

/// Why a job is not handed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is a genius's already.
    NoLargerMode,
    /// Who asked for it named the mode.
    ModeWasNamed,
    /// This budget of the day has no room for more.
    Budget(String),
}

/// Whether the job that is held under `epoch` may be handed over; `None` = it may.
///
/// A label, a command or triage chose the mode as a first guess. Who names it with the job itself (through the API, the
/// command line or a schedule) gets what was asked for, and pays no more.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn refusal(db: &Db, job_id: JobId, epoch: Epoch) -> Result<Option<Refusal>, StoreError> {
    let row = sqlx::query!(
        r#"select queue.mode, queue.handed_over,
                  exists (select from events where events.job_id = $1 and kind = 'enqueued' and data ->> 'mode' is not null) as "named!",
                  (select scope
                   from gates
                   where reason = 'budget' and until > now() and scope in ('all', 'mode:genius', 'repository:' || queue.lane)
                   order by scope
                   limit 1) as closed
           from queue
           where job_id = $1 and epoch = $2 and state = 'leased'"#,
        job_id.0,
        epoch.0,
    );
    let row = row.fetch_optional(&db.pool).await?.ok_or(StoreError::LeaseLost { job_id, epoch })?;
    let mode: Option<Mode> = row.mode.map(|mode| parse("queue.mode", &mode)).transpose()?;
    Ok(match mode {
        Some(Mode::Mechanic) if row.handed_over.is_none() && row.named => Some(Refusal::ModeWasNamed),
        Some(Mode::Mechanic) if row.handed_over.is_none() => row.closed.map(Refusal::Budget),
        _ => Some(Refusal::NoLargerMode),
    })
}

/// Hands the job to a genius: it is ready and nobody's. `reason` says why, `account` what was tried.
///
/// # Errors
/// [`StoreError::LeaseLost`], also for a job that was asked to stop or that [`refusal`] refuses; or those of the database.
pub async fn hand_over(db: &Db, job_id: JobId, epoch: Epoch, reason: &str, account: &str) -> Result<(), StoreError> {
    let data = json(&object!({ "reason": reason, "account": account }));
    let moved = sqlx::query_file!("sql/hand_over.sql", job_id.0, epoch.0, data).fetch_optional(&db.pool).await?;
    held(moved.is_some(), job_id, epoch)?;
    wake::notify(db, Mode::Genius).await;
    Ok(())
}
