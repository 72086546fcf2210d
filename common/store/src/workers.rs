//! Workers: the processes that take jobs, for people to see. Nothing is decided by them: who holds a job says
//! its lease.

use std::time::Duration;

use domain::{Mode, OwnerId};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::json::text;
use crate::{Db, StoreError};

/// How often a worker says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// What a worker says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Present {
    /// Its identity.
    pub owner: OwnerId,
    /// The machine's name.
    pub host: String,
    /// Where it runs on ECS; `None` elsewhere.
    pub task_arn: Option<String>,
    /// Whose jobs it takes.
    pub modes: Vec<Mode>,
    /// Jobs at the same time.
    pub slots: u16,
    /// Its release.
    pub version: String,
}

/// A worker as people see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Worker {
    /// Its identity: what the events of its jobs name as `owner`.
    pub owner: Uuid,
    /// The machine's name.
    pub host: String,
    /// Where it runs on ECS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
    /// Whose jobs it takes.
    pub modes: Vec<String>,
    /// Jobs at the same time.
    pub slots: i32,
    /// Its release.
    pub version: String,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it was seen last.
    #[serde(with = "time::serde::rfc3339")]
    pub seen_at: OffsetDateTime,
    /// When it ended well; `None` = it runs, or was lost.
    #[serde(with = "time::serde::rfc3339::option")]
    pub stopped_at: Option<OffsetDateTime>,
    /// Seconds since then, by the database's clock.
    pub seen_secs_ago: i64,
    /// The jobs that it holds.
    pub jobs: i64,
}

impl Worker {
    /// Whether it missed three beats: it is lost, or cannot reach the database.
    pub fn is_silent(&self) -> bool {
        self.stopped_at.is_none() && self.seen_secs_ago > 3 * HEARTBEAT.as_secs() as i64
    }
}

/// Says that a worker is there: at its start, and every [`HEARTBEAT`], also without work.
///
/// # Errors
/// Those of the database.
pub async fn seen(db: &Db, worker: &Present) -> Result<(), StoreError> {
    let modes: Vec<String> = worker.modes.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "insert into workers (owner, host, task_arn, modes, slots, version)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (owner) do update set seen_at = now(), stopped_at = null",
        worker.owner.0,
        text(&worker.host),
        worker.task_arn,
        &modes,
        i32::from(worker.slots),
        worker.version,
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// Says that a worker ended well.
///
/// # Errors
/// Those of the database.
pub async fn stopped(db: &Db, owner: OwnerId) -> Result<(), StoreError> {
    sqlx::query!("update workers set seen_at = now(), stopped_at = now() where owner = $1", owner.0).execute(&db.pool).await?;
    Ok(())
}

/// The workers of the last day, those seen last first.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db) -> Result<Vec<Worker>, StoreError> {
    let workers = sqlx::query_as!(
        Worker,
        r#"select owner, host, task_arn, modes, slots, version, started_at, seen_at, stopped_at,
                  extract(epoch from now() - seen_at)::bigint as "seen_secs_ago!",
                  (select count(*) from queue where queue.state = 'leased' and queue.owner = workers.owner) as "jobs!"
           from workers
           order by seen_at desc, owner"#
    );
    Ok(workers.fetch_all(&db.pool).await?)
}

/// Forgets the workers that nobody has seen for a day. Returns how many.
///
/// # Errors
/// Those of the database.
pub async fn forget(db: &Db) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!("delete from workers where seen_at < now() - interval '1 day'").execute(&db.pool).await?;
    Ok(forgotten.rows_affected())
}
