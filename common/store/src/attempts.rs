//! Leases that end without a result: an attempt that failed, a fault around the job, a worker that was lost. What
//! follows is decided in one place, the database's function `after_attempt`.

use std::time::Duration;

use domain::{Epoch, JobId, Mode};
use time::OffsetDateTime;

use crate::json::text;
use crate::queue::held;
use crate::{Db, StoreError, wake};

pub(crate) const MECHANIC: i32 = Mode::Mechanic.max_attempts();
pub(crate) const GENIUS: i32 = Mode::Genius.max_attempts();

pub(crate) const BACKOFF_SECS: f64 = 2.0;
pub(crate) const BACKOFF_MOST_SECS: f64 = 300.0;

/// Ends an attempt that failed: another follows after a backoff, or, after the last ([`Mode::max_attempts`]), the job is ready
/// to be finalized as dead with `cause`. Returns the attempts so far.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn fail_attempt(db: &Db, job_id: JobId, epoch: Epoch, cause: &str) -> Result<i32, StoreError> {
    let attempt =
        sqlx::query_file_scalar!("sql/fail_attempt.sql", job_id.0, epoch.0, text(cause), MECHANIC, GENIUS, BACKOFF_SECS, BACKOFF_MOST_SECS);
    attempt.fetch_optional(&db.pool).await?.ok_or(StoreError::LeaseLost { job_id, epoch })
}

/// Gives a job back because something around it is away for now: a provider, the forge, a key. No attempt is
/// used up. It is tried again after `after`, then less and less often; once that has gone on for `patience`
/// without progress, it is ready to be finalized as dead with `cause`.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn wait_out(db: &Db, job_id: JobId, epoch: Epoch, cause: &str, after: Duration, patience: Duration) -> Result<(), StoreError> {
    let moved = sqlx::query_file!(
        "sql/wait_out.sql",
        job_id.0,
        epoch.0,
        text(cause),
        after.as_secs_f64(),
        patience.as_secs_f64(),
        MECHANIC,
        GENIUS
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// Takes back every lease that ran out, whoever held it. Any process may call this, at any time and as
/// often as it likes.
///
/// # Errors
/// Those of the database.
pub async fn sweep(db: &Db, now: Option<OffsetDateTime>) -> Result<Vec<JobId>, StoreError> {
    let rows = sqlx::query_file_scalar!("sql/sweep.sql", MECHANIC, GENIUS, BACKOFF_SECS, BACKOFF_MOST_SECS, now);
    let swept: Vec<JobId> = rows.fetch_all(&db.pool).await?.into_iter().map(JobId).collect();
    if !swept.is_empty() {
        wake::notify_all(db).await;
    }
    Ok(swept)
}
