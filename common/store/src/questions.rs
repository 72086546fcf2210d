//! A job that asked a person something: it waits without a worker, and a hint is the answer.

use std::time::Duration;

use domain::{Epoch, JobId, WaitingFor};

use crate::json::text;
use crate::queue::held;
use crate::{Db, StoreError, steer, steps};

/// Where a job stands whose last step, `step_no`, asked a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It has not been asked yet.
    ToBeAsked,
    /// A hint came since.
    Came,
    /// Its wait is over, and nobody answered.
    Missing,
}

/// Whether the question of step `step_no` was answered.
///
/// # Errors
/// Those of the database.
pub async fn answer(db: &Db, job_id: JobId, step_no: i32) -> Result<Answer, StoreError> {
    if steps::hints(db, job_id).await?.iter().any(|hint| hint.before_step > step_no) {
        return Ok(Answer::Came);
    }
    let asked = sqlx::query_scalar!(
        r#"select exists (
               select
               from events
               where job_id = $1 and kind = 'snoozed' and data ? 'question'
                 and seq > coalesce((select max(seq) from events where events.job_id = $1 and kind = 'tools_ran'), 0)
           ) as "asked!""#,
        job_id.0,
    );
    Ok(if asked.fetch_one(&db.pool).await? { Answer::Missing } else { Answer::ToBeAsked })
}

/// Lets a job of ours wait for the answer to `question`, for `patience` at the most; the event `snoozed` tells it.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn ask(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32, question: &str, patience: Duration) -> Result<(), StoreError> {
    let until = sqlx::query_scalar!(r#"select now() + make_interval(secs => $1) as "until!""#, patience.as_secs_f64());
    let until = until.fetch_one(&db.pool).await?;
    let parked = sqlx::query_file!("sql/wait_for.sql", job_id.0, epoch.0, <&str>::from(WaitingFor::Answer), until, text(question));
    held(parked.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)?;
    // A hint that came before the job waited has not woken it.
    if answer(db, job_id, step_no).await? == Answer::Came {
        match steer::wake(db, job_id).await {
            Ok(()) | Err(StoreError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
