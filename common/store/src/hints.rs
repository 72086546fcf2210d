//! Hints: what a person tells a job while it runs.

use domain::JobId;
use serde::Serialize;

use crate::json::text;
use crate::session::Tx;
use crate::{Db, StoreError, jobs, wake};

/// The longest hint, in characters.
pub const MOST_CHARS: usize = 4_000;

/// A hint that was written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Given {
    /// Its event's number.
    pub seq: i64,
    /// The first step whose model call reads it. One under way when the hint was given cannot any more.
    pub before_step: i32,
}

/// Tells `hint` to a job, on behalf of `by`. Whoever holds the job goes on: nothing of its lease changes.
/// One that waits for an answer has it now, and is ready.
///
/// # Errors
/// [`StoreError::Refused`] for a hint that is empty or too long, or a job that ends or has ended;
/// [`StoreError::NoJob`] when there is none.
pub async fn give(db: &Db, job_id: JobId, hint: &str, by: &str) -> Result<Given, StoreError> {
    let mut tx = db.pool.begin().await?;
    let (given, answered) = write(&mut tx, job_id, hint, by).await?;
    tx.commit().await?;
    if answered {
        wake::notify_all(db).await;
    }
    Ok(given)
}

/// The same within a transaction of the caller's; whether a job that waited is ready now, and its workers are to be woken.
pub(crate) async fn write(tx: &mut Tx, job_id: JobId, hint: &str, by: &str) -> Result<(Given, bool), StoreError> {
    let hint = hint.trim();
    let chars = hint.chars().count();
    if chars == 0 {
        return Err(StoreError::Refused("the hint is empty: say what the next step should know".to_owned()));
    }
    if chars > MOST_CHARS {
        return Err(StoreError::Refused(format!("the hint has {chars} characters: at most {MOST_CHARS}")));
    }
    // The statement below sees what had been committed when it began. Whoever holds the row may be beginning a call, which has to be
    // seen too.
    sqlx::query!("select from queue where job_id = $1 for update", job_id.0).execute(&mut **tx).await?;
    let given = sqlx::query_file!("sql/give_hint.sql", job_id.0, text(hint), text(by)).fetch_optional(&mut **tx).await?;
    if let Some(given) = given {
        return Ok((Given { seq: given.seq, before_step: given.before_step }, given.answered));
    }
    let why = match jobs::read(&mut **tx, job_id).await?.finished {
        Some(finished) => format!("job {job_id} is finished already: {}", finished.outcome.name()),
        None => format!("job {job_id} is about to end: no further step will read a hint"),
    };
    Err(StoreError::Refused(why))
}
