//! What there is to do in a mode: what workers are counted and woken by.

use std::time::Duration;

use domain::scale::{Load, PATIENCE};
use domain::{JobId, Mode};

use crate::{Db, StoreError};

/// What is ready and leased in `mode`, by the rules of a claim: what a worker would not get is not ready. Of each repository
/// and priority no more than `most` are counted, since beyond what all workers together can take it makes no difference.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &Db, mode: Mode, most: u32) -> Result<Load, StoreError> {
    let row = sqlx::query_file!("sql/load.sql", <&str>::from(mode), i64::from(most)).fetch_one(&db.pool).await?;
    Ok(Load { ready: row.ready.unsigned_abs(), leased: row.leased.unsigned_abs(), held_back: row.held_back.unsigned_abs() })
}

/// How long ago `mode` was last seen with work; `load` = what it was just seen with, which is written down. A mode that was
/// never seen with any has been idle for as long as it takes.
///
/// # Errors
/// Those of the database.
pub async fn idle_for(db: &Db, mode: Mode, load: Load) -> Result<Duration, StoreError> {
    let mode = <&str>::from(mode);
    if load.total() > 0 {
        let seen =
            sqlx::query!("insert into scaling (mode, busy_at) values ($1, now()) on conflict (mode) do update set busy_at = now()", mode);
        seen.execute(&db.pool).await?;
        return Ok(Duration::ZERO);
    }
    let idle =
        sqlx::query_scalar!(r#"select extract(epoch from now() - busy_at)::float8 as "seconds!" from scaling where mode = $1"#, mode);
    let seconds = idle.fetch_optional(&db.pool).await?;
    // Two services may look in the same instant, and a clock may be set back.
    Ok(seconds.map_or(PATIENCE, |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// A job of `mode` that is ready now, for a message that says so; `None` = none is, or not any more.
///
/// # Errors
/// Those of the database.
pub async fn example(db: &Db, mode: Mode) -> Result<Option<JobId>, StoreError> {
    let ready = sqlx::query_scalar!(
        "select job_id from queue
         where state = 'ready' and mode = $1 and run_at <= now()
         order by lane, priority, run_at, job_id
         limit 1",
        <&str>::from(mode)
    );
    Ok(ready.fetch_optional(&db.pool).await?.map(JobId))
}

/// How many jobs somebody holds of which nothing was written for `idle`, though their leases are renewed; by the rule of
/// [`crate::alarms::take_stuck`] (the database's function `last_moved`), so that the alarm finds what was counted.
///
/// # Errors
/// Those of the database.
pub async fn stuck(db: &Db, idle: Duration) -> Result<u64, StoreError> {
    let stuck = sqlx::query_scalar!(
        r#"select count(*) as "stuck!"
           from queue
           cross join lateral last_moved(queue.job_id)
           where queue.state = 'leased' and moved_at < now() - make_interval(secs => $1)"#,
        idle.as_secs_f64(),
    );
    Ok(stuck.fetch_one(&db.pool).await?.unsigned_abs())
}
