//! What an alarm does about workers that nobody has seen for long.

use std::time::Duration;

use domain::{AlarmAction, JobId};
use serde::Serialize;
use uuid::Uuid;

use super::{Held, note};
use crate::attempts::{BACKOFF_MOST_SECS, BACKOFF_SECS, GENIUS, MECHANIC};
use crate::{Db, StoreError, wake};

/// How long a worker may be silent: twelve beats.
pub const STALE_AFTER: Duration = Duration::from_secs(120);

/// A worker that did not stop and that nobody sees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Silent {
    /// Its identity.
    pub owner: Uuid,
    /// Its machine.
    pub host: String,
    /// Where it runs, by the name that whoever started it knows; `None` = a person started it.
    pub task: Option<String>,
    /// How long nobody has seen it.
    pub silent_secs: i64,
}

/// The workers that nobody has seen for `silent_for`, the longest first.
///
/// # Errors
/// Those of the database.
pub async fn silent(db: &Db, silent_for: Duration) -> Result<Vec<Silent>, StoreError> {
    let silent = sqlx::query_as!(
        Silent,
        r#"select owner, host, task_arn as task, extract(epoch from now() - seen_at)::bigint as "silent_secs!"
           from workers
           where stopped_at is null and seen_at < now() - make_interval(secs => $1)
           order by seen_at, owner"#,
        silent_for.as_secs_f64(),
    );
    Ok(silent.fetch_all(&db.pool).await?)
}

/// Takes back every lease of a worker that nobody has seen for `silent_for`, as if it had run out: a first loss is ready at once,
/// further ones pause, and after the last attempt the job is only finalized. `None` = the worker was seen meanwhile, or somebody
/// else has taken the alarm up.
///
/// # Errors
/// Those of the database.
pub async fn take_back(db: &Db, held: &Held, owner: Uuid, silent_for: Duration) -> Result<Option<Vec<AlarmAction>>, StoreError> {
    let mut tx = db.pool.begin().await?;
    let is_silent = sqlx::query_scalar!(
        "select owner from workers
         where owner = $1 and stopped_at is null and seen_at < now() - make_interval(secs => $2)
         for update",
        owner,
        silent_for.as_secs_f64(),
    );
    if !note(&mut tx, held, &[]).await? || is_silent.fetch_optional(&mut *tx).await?.is_none() {
        return Ok(None);
    }
    let rows =
        sqlx::query_file!("sql/take_back.sql", owner, held.alarm_id, MECHANIC, GENIUS, BACKOFF_SECS, BACKOFF_MOST_SECS).fetch_all(&mut *tx);
    let taken: Vec<AlarmAction> = rows
        .await?
        .into_iter()
        .map(|row| AlarmAction::TookBack { job_id: JobId(row.job_id), owner, attempt: row.attempt, given_up: row.given_up })
        .collect();
    note(&mut tx, held, &taken).await?;
    tx.commit().await?;
    if !taken.is_empty() {
        wake::notify_all(db).await;
    }
    Ok(Some(taken))
}

/// Crosses a worker off that nobody has seen for `silent_for`: it counts as stopped, unless it says that it is there after all.
/// `None` = it was seen meanwhile, or somebody else has taken the alarm up.
///
/// # Errors
/// Those of the database.
pub async fn cross_off(db: &Db, held: &Held, worker: &Silent, silent_for: Duration) -> Result<Option<AlarmAction>, StoreError> {
    let Silent { owner, host, silent_secs, .. } = worker;
    let mut tx = db.pool.begin().await?;
    let crossed = sqlx::query!(
        "update workers set stopped_at = now()
         where owner = $1 and stopped_at is null and seen_at < now() - make_interval(secs => $2)",
        owner,
        silent_for.as_secs_f64(),
    );
    let action = AlarmAction::CrossedOff { owner: *owner, host: host.clone(), silent_secs: *silent_secs };
    let crossed = crossed.execute(&mut *tx).await?.rows_affected() == 1;
    if !crossed || !note(&mut tx, held, std::slice::from_ref(&action)).await? {
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(action))
}
