//! Lanes: the queue of one repository. They take turns, the one that was served longest ago first.

use serde::Serialize;

use crate::{Db, StoreError, wake};

/// A lane, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lane {
    /// The repository, `owner/name`.
    pub repository: String,
    /// The most jobs that run at the same time; `None` = no limit.
    pub max_running: Option<i32>,
    /// Jobs that could run, now or later.
    pub ready: i64,
    /// Jobs that a worker holds.
    pub running: i64,
    /// Jobs that wait for triage, a budget, an answer or a time.
    pub waiting: i64,
    /// Jobs that were given up and rest.
    pub dead: i64,
}

/// Every lane, by name.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db) -> Result<Vec<Lane>, StoreError> {
    let lanes = sqlx::query_as!(
        Lane,
        r#"select coalesce(lanes.lane, jobs.lane) as "repository!", max_running,
                  coalesce(ready, 0) as "ready!", coalesce(running, 0) as "running!",
                  coalesce(waiting, 0) as "waiting!", coalesce(dead, 0) as "dead!"
           from lanes
           full join (
               select lane,
                      count(*) filter (where state = 'ready') as ready,
                      count(*) filter (where state = 'leased') as running,
                      count(*) filter (where state = 'waiting') as waiting,
                      count(*) filter (where state = 'dead') as dead
               from queue
               group by lane
           ) as jobs using (lane)
           order by 1"#,
    );
    Ok(lanes.fetch_all(&db.pool).await?)
}

/// Lets at most `max_running` jobs of `repository` run at the same time; `None` = as many as there are workers.
/// Jobs under way go on. A repository that had no job yet can have a limit too.
///
/// # Errors
/// [`StoreError::Refused`] for a limit of 0 (pause the repository instead), or those of the database.
pub async fn limit(db: &Db, repository: &str, max_running: Option<u16>) -> Result<(), StoreError> {
    if max_running == Some(0) {
        return Err(StoreError::Refused(format!("a limit of 0 would stop {repository}: pause repository:{repository} instead")));
    }
    let limited = sqlx::query!(
        "insert into lanes (lane, max_running) values ($1, $2)
         on conflict (lane) do update set max_running = excluded.max_running, served_at = clock_timestamp()",
        repository,
        max_running.map(i32::from),
    );
    limited.execute(&db.pool).await?;
    wake::notify_all(db).await;
    Ok(())
}

/// Lets lanes rest that have had no work for an hour, and moves up where claims begin to look. Any process may
/// call it, every few seconds.
///
/// # Errors
/// Those of the database.
pub async fn tend(db: &Db) -> Result<(), StoreError> {
    sqlx::query!("select tend_lanes()").execute(&db.pool).await?;
    Ok(())
}
