//! What an alarm does about jobs: those that stand still are taken from their workers, those that wait are counted.

use std::time::Duration;

use domain::{AlarmAction, JobId, Mode};
use serde::Serialize;

use super::{Held, note};
use crate::attempts::{BACKOFF_MOST_SECS, BACKOFF_SECS, GENIUS, MECHANIC};
use crate::error::parse;
use crate::{Db, StoreError, wake};

/// How long a job may be held without anything being written of it.
pub const STUCK_AFTER: Duration = Duration::from_secs(600);

/// Takes every job from its worker of which nothing was written for `idle`, though its lease is renewed: an event for each half of
/// a step, for a preparation, for an effect. What others say to a job (a hint, a stop) is no progress. The attempt counts, as one
/// that failed does: another follows after a pause, or, after the last, the job is only finalized, as dead.
/// `None` = somebody else has taken the alarm up.
///
/// # Errors
/// Those of the database.
pub async fn take_stuck(db: &Db, held: &Held, idle: Duration) -> Result<Option<Vec<AlarmAction>>, StoreError> {
    let mut tx = db.pool.begin().await?;
    // First of all, so that two of us never take jobs at the same time.
    if !note(&mut tx, held, &[]).await? {
        return Ok(None);
    }
    let rows =
        sqlx::query_file!("sql/take_stuck.sql", held.alarm_id, idle.as_secs_f64(), MECHANIC, GENIUS, BACKOFF_SECS, BACKOFF_MOST_SECS);
    let taken = rows.fetch_all(&mut *tx).await?.into_iter().map(|row| {
        Ok(AlarmAction::Unstuck {
            job_id: JobId(row.job_id),
            repository: row.repository,
            mode: row.mode.as_deref().map(|mode| parse("queue.mode", mode)).transpose()?,
            owner: row.owner,
            idle_secs: row.idle_secs,
            attempt: row.attempt,
            given_up: row.given_up,
        })
    });
    let taken: Vec<AlarmAction> = taken.collect::<Result<_, StoreError>>()?;
    note(&mut tx, held, &taken).await?;
    tx.commit().await?;
    if !taken.is_empty() {
        wake::notify_all(db).await;
    }
    Ok(Some(taken))
}

/// Jobs of one mode and repository that are ready and that nobody has taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Waiting {
    /// Their mode.
    pub mode: Mode,
    /// `owner/name`.
    pub repository: String,
    /// How many.
    pub jobs: i64,
    /// How long the one that waits longest does.
    pub oldest_secs: i64,
    /// How many of the repository run at this moment, in whatever mode.
    pub running: i64,
    /// How many of the repository may; `None` = no limit.
    pub max_running: Option<i32>,
}

/// What waits for a worker, the largest part first, up to `limit` parts.
///
/// # Errors
/// Those of the database.
pub async fn waiting(db: &Db, limit: u32) -> Result<Vec<Waiting>, StoreError> {
    let rows = sqlx::query!(
        r#"select groups.mode, groups.lane as repository, sum(of_lane.jobs)::bigint as "jobs!",
                  extract(epoch from now() - min(of_lane.oldest_at))::bigint as "oldest_secs!", lanes.max_running,
                  (select count(*)
                   from queue as running
                   where running.lane = groups.lane and running.state = 'leased' and running.outcome_pending is null
                     and running.waiting_for is distinct from 'triage') as "running!"
           from lane_queues as groups
           join lanes on lanes.lane = groups.lane
           cross join lateral (
               select count(*) as jobs, min(run_at) as oldest_at
               from queue
               where queue.state = 'ready' and queue.mode = groups.mode and queue.lane = groups.lane and queue.priority = groups.priority
                 and queue.run_at <= now()
           ) as of_lane
           where groups.active and of_lane.jobs > 0
           group by groups.mode, groups.lane, lanes.max_running
           order by sum(of_lane.jobs) desc, groups.mode, groups.lane
           limit $1"#,
        i64::from(limit),
    );
    let waiting = rows.fetch_all(&db.pool).await?.into_iter().map(|row| {
        Ok(Waiting {
            mode: parse("lane_queues.mode", &row.mode)?,
            repository: row.repository,
            jobs: row.jobs,
            oldest_secs: row.oldest_secs,
            running: row.running,
            max_running: row.max_running,
        })
    });
    waiting.collect()
}

/// The workers that take jobs of one mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Workers {
    /// So many were seen within half a minute.
    pub alive: i64,
    /// So many jobs they take together.
    pub slots: i64,
}

/// The workers that take jobs of `mode`.
///
/// # Errors
/// Those of the database.
pub async fn workers(db: &Db, mode: Mode) -> Result<Workers, StoreError> {
    let workers = sqlx::query_as!(
        Workers,
        r#"select count(*) as "alive!", coalesce(sum(slots), 0)::bigint as "slots!"
           from workers
           where stopped_at is null and seen_at > now() - interval '30 seconds' and $1 = any(modes)"#,
        <&str>::from(mode),
    );
    Ok(workers.fetch_one(&db.pool).await?)
}
