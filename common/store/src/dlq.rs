//! The dead-letter queue: jobs that were given up. The person was told; here they rest until somebody tries them again
//! or puts them away.

use std::time::Duration;

use domain::{JobId, MicroUsd, Mode};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::parse;
use crate::json::text;
use crate::steer::standing;
use crate::{Db, StoreError, wake};

/// The most jobs that one statement moves: it holds their rows, and nobody should wait long for those.
const BATCH: i64 = 1_000;

/// Which dead jobs. All conditions must hold; none = every one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of this repository, `owner/name`.
    pub repository: Option<String>,
    /// Of this mode.
    pub mode: Option<Mode>,
    /// Whose cause contains this, whatever its case.
    pub cause: Option<String>,
    /// That have been dead for so long.
    pub dead_for: Option<Duration>,
}

impl Filter {
    fn mode(&self) -> Option<&'static str> {
        self.mode.map(<&str>::from)
    }

    fn dead_for_secs(&self) -> Option<f64> {
        self.dead_for.map(|dead_for| dead_for.as_secs_f64())
    }
}

/// A dead job, for people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Dead {
    /// The job.
    pub job_id: JobId,
    /// `owner/name`.
    pub repository: String,
    /// Its mode.
    pub mode: Option<Mode>,
    /// The request's first line.
    pub title: String,
    /// What happened at its last attempt.
    pub cause: String,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339")]
    pub died_at: OffsetDateTime,
    /// Steps whose results are kept.
    pub steps: i32,
    /// What it cost.
    pub cost_microusd: MicroUsd,
}

/// Up to `limit` dead jobs that match, the oldest first, after `after` if given.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db, filter: &Filter, after: Option<JobId>, limit: u32) -> Result<Vec<Dead>, StoreError> {
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let (repository, cause) = (filter.repository.as_deref(), filter.cause.as_deref().map(text));
    let rows = sqlx::query_file!("sql/dead.sql", after, repository, filter.mode(), cause, filter.dead_for_secs(), i64::from(limit));
    let dead = rows.fetch_all(&db.pool).await?.into_iter().map(|row| {
        Ok(Dead {
            job_id: JobId(row.job_id),
            repository: row.repository,
            mode: row.mode.as_deref().map(|mode| parse("queue.mode", mode)).transpose()?,
            title: row.title,
            cause: row.cause,
            died_at: row.died_at,
            steps: row.step_no,
            cost_microusd: MicroUsd(row.cost_microusd),
        })
    });
    dead.collect()
}

/// Tries a dead job again from where it stood: it is unfinished and ready, its attempts count from zero. What it spent
/// counts on.
///
/// # Errors
/// [`StoreError::Refused`] when it is not dead, [`StoreError::NoJob`] when there is none.
pub async fn redrive(db: &Db, job_id: JobId) -> Result<(), StoreError> {
    let moved = move_batch(db, Move::Redrive, &Filter::default(), job_id.0, job_id.0).await?;
    one(db, job_id, &moved).await
}

/// Puts a dead job away for good: it leaves the queue and stays dead.
///
/// # Errors
/// [`StoreError::Refused`] when it is not in the dead-letter queue, [`StoreError::NoJob`] when there is none.
pub async fn discard(db: &Db, job_id: JobId) -> Result<(), StoreError> {
    let moved = move_batch(db, Move::Discard, &Filter::default(), job_id.0, job_id.0).await?;
    one(db, job_id, &moved).await
}

/// [`redrive`]s every dead job that matches, in the database, a thousand a statement. Returns how many; after an
/// error some are done, and the same call does the rest.
///
/// # Errors
/// Those of the database.
pub async fn redrive_all(db: &Db, filter: &Filter) -> Result<u64, StoreError> {
    move_all(db, Move::Redrive, filter).await
}

/// [`discard`]s every dead job that matches, likewise.
///
/// # Errors
/// Those of the database.
pub async fn discard_all(db: &Db, filter: &Filter) -> Result<u64, StoreError> {
    move_all(db, Move::Discard, filter).await
}

#[derive(Clone, Copy)]
enum Move {
    Redrive,
    Discard,
}

/// Moves batch after batch, each beginning behind the one before; returns how many jobs moved.
async fn move_all(db: &Db, what: Move, filter: &Filter) -> Result<u64, StoreError> {
    let (mut from, mut done) = (Uuid::nil(), 0);
    loop {
        let moved = move_batch(db, what, filter, from, Uuid::max()).await?;
        done += moved.len() as u64;
        match following(&moved) {
            Some(next) => from = next,
            None => return Ok(done),
        }
    }
}

/// Moves the dead jobs that match, from the id `from` to `to`, up to a batch of them; returns which.
async fn move_batch(db: &Db, what: Move, filter: &Filter, from: Uuid, to: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let (repository, mode, cause) = (filter.repository.as_deref(), filter.mode(), filter.cause.as_deref().map(text));
    let (secs, redrive) = (filter.dead_for_secs(), matches!(what, Move::Redrive));
    let moved = sqlx::query_file_scalar!("sql/move_dead.sql", from, to, repository, mode, cause, secs, BATCH, redrive);
    let moved = moved.fetch_all(&db.pool).await?;
    if redrive {
        wake::notify_all(db).await;
    }
    Ok(moved)
}

/// Where the next batch begins; `None` when this one was the last.
fn following(moved: &[Uuid]) -> Option<Uuid> {
    let full = i64::try_from(moved.len()).is_ok_and(|moved| moved >= BATCH);
    let last = moved.iter().max().filter(|_| full)?;
    last.as_u128().checked_add(1).map(Uuid::from_u128)
}

async fn one(db: &Db, job_id: JobId, moved: &[Uuid]) -> Result<(), StoreError> {
    if !moved.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(match standing(db, job_id).await? {
        (Some(state), _) => format!("job {job_id} is {state}, not dead"),
        (None, Some(outcome)) => format!("job {job_id} is finished and not in the dead-letter queue: {outcome}"),
        (None, None) => format!("job {job_id} ended just now"),
    }))
}
