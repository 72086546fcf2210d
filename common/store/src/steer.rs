//! What people and clocks do to a job: stop it, make it ready again, let it wait, wake it.

use domain::{Epoch, JobId, QueueState, WaitingFor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::parse;
use crate::queue::held;
use crate::wake::Signal;
use crate::{Db, StoreError, dlq, wake};

/// The most jobs that one look wakes.
const MOST_WOKEN: i64 = 1_000;

/// Asks a job to stop. From the commit on no model call is reserved for it and no push begins; who holds it is rung, and finds it by
/// [`crate::queue::stop_requested`] or its next renewal. One that nobody holds becomes ready to be finalized as stopped. Asking
/// twice changes nothing.
///
/// # Errors
/// [`StoreError::Refused`] when it is finished, [`StoreError::NoJob`] when there is none.
pub async fn stop(db: &Db, job_id: JobId) -> Result<(), StoreError> {
    let stopped = sqlx::query!(
        r#"with asked as (
             update queue
             set cancel_requested = true,
                 state = case when state = 'leased' then state else 'ready' end,
                 mode = case when state = 'leased' then mode else coalesce(mode, 'mechanic') end,
                 waiting_for = case when state = 'leased' then waiting_for end,
                 outcome_pending = case when state = 'leased' then outcome_pending else coalesce(outcome_pending, '{"outcome": "stopped"}') end,
                 run_at = case when state = 'leased' then run_at else now() end,
                 epoch = case when state = 'leased' then epoch else epoch + 1 end,
                 event_seq = event_seq + 1
             where job_id = $1 and not cancel_requested and state <> 'dead'
             returning job_id, event_seq, state
         ), noted as (
             insert into events (job_id, seq, kind, data) select job_id, event_seq, 'stop_requested', '{}' from asked
         )
         select state from asked"#,
        job_id.0,
    );
    if let Some(asked) = stopped.fetch_optional(&db.pool).await? {
        match asked.state.as_str() {
            "leased" => wake::notify(db, Signal::Stop).await,
            _ => wake::notify_all(db).await,
        }
        return Ok(());
    }
    let job = sqlx::query!(
        r#"select jobs.outcome as "outcome?", queue.cancel_requested as "asked?" from jobs left join queue using (job_id) where job_id = $1"#,
        job_id.0
    )
    .fetch_optional(&db.pool)
    .await?;
    match job {
        None => Err(StoreError::NoJob(job_id.to_string())),
        Some(job) => match job.outcome {
            Some(outcome) => Err(StoreError::Refused(format!("job {job_id} is finished already: {outcome}"))),
            None if job.asked == Some(true) => Ok(()),
            None => Err(StoreError::Refused(format!("job {job_id} ended while it was being stopped"))),
        },
    }
}

/// Lets a job of ours wait for `what`, until `until` at the latest, without holding a worker; the attempt does not
/// count. One that was asked to stop, or whose end is decided, does not wait: it is ready to be finalized.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn wait_for(db: &Db, job_id: JobId, epoch: Epoch, what: WaitingFor, until: OffsetDateTime) -> Result<(), StoreError> {
    let parked = sqlx::query_file!("sql/wait_for.sql", job_id.0, epoch.0, <&str>::from(what), until, None::<String>);
    held(parked.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// A job that waited and is ready now (or waits for triage, where it never passed that).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Woken {
    /// The job.
    pub job_id: JobId,
    /// What it had waited for.
    pub waited_for: WaitingFor,
}

/// Ends the wait of a job: its answer came, or somebody does not want to wait longer.
///
/// # Errors
/// [`StoreError::Refused`] when it does not wait (for anything but triage), [`StoreError::NoJob`] when there is none.
pub async fn wake(db: &Db, job_id: JobId) -> Result<(), StoreError> {
    if let [_, ..] = woken(db, Some(job_id.0), None).await?[..] {
        return Ok(());
    }
    match standing(db, job_id).await? {
        (_, Some(outcome)) => Err(StoreError::Refused(format!("job {job_id} is finished already: {outcome}"))),
        (Some(state), None) => Err(StoreError::Refused(format!("job {job_id} is {state}: only what waits can be woken"))),
        (None, None) => Err(StoreError::Refused(format!("job {job_id} ended while it was being woken"))),
    }
}

/// Wakes every job whose wait is over. Any process may call this, every few seconds; up to a thousand a call.
///
/// # Errors
/// Those of the database.
pub async fn wake_due(db: &Db, now: Option<OffsetDateTime>) -> Result<Vec<Woken>, StoreError> {
    woken(db, None, now).await
}

async fn woken(db: &Db, job_id: Option<Uuid>, now: Option<OffsetDateTime>) -> Result<Vec<Woken>, StoreError> {
    let rows = match job_id {
        Some(job_id) => sqlx::query_file_as!(WokenRow, "sql/wake.sql", job_id).fetch_all(&db.pool).await?,
        None => sqlx::query_file_as!(WokenRow, "sql/wake_due.sql", now, MOST_WOKEN).fetch_all(&db.pool).await?,
    };
    let woken = rows.into_iter().map(|row| {
        let waited_for = parse("queue.waiting_for", &row.waited_for)?;
        Ok(Woken { job_id: JobId(row.job_id), waited_for })
    });
    let woken: Vec<Woken> = woken.collect::<Result<_, StoreError>>()?;
    if !woken.is_empty() {
        wake::notify_all(db).await;
    }
    Ok(woken)
}

struct WokenRow {
    job_id: Uuid,
    waited_for: String,
}

/// Makes a job ready at once and lets its attempts count from zero: one that waits, backs off or rests as dead, and
/// also one that a worker holds, which loses it. An operator's act. A job whose end is decided is only finalized.
/// Returns the state it was in.
///
/// # Errors
/// [`StoreError::Refused`] when it is finished, [`StoreError::NoJob`] when there is none.
pub async fn requeue(db: &Db, job_id: JobId) -> Result<QueueState, StoreError> {
    let requeued = sqlx::query_file_scalar!("sql/requeue.sql", job_id.0).fetch_optional(&db.pool).await?;
    if let Some(state) = requeued {
        wake::notify_all(db).await;
        return parse("queue.state", &state);
    }
    match standing(db, job_id).await? {
        (Some(state), _) if state == "dead" => dlq::redrive(db, job_id).await.map(|()| QueueState::Dead),
        (_, Some(outcome)) => {
            Err(StoreError::Refused(format!("job {job_id} is finished already: {outcome}; `codeteam retry {job_id}` repeats it")))
        }
        _ => Err(StoreError::Refused(format!("job {job_id} ended while it was being requeued"))),
    }
}

/// A job's state in the queue and how it ended.
pub(crate) async fn standing(db: &Db, job_id: JobId) -> Result<(Option<String>, Option<String>), StoreError> {
    let row = sqlx::query!(
        r#"select queue.state as "state?", jobs.outcome from jobs left join queue using (job_id) where jobs.job_id = $1"#,
        job_id.0
    );
    let row = row.fetch_optional(&db.pool).await?.ok_or_else(|| StoreError::NoJob(job_id.to_string()))?;
    Ok((row.state, row.outcome))
}
