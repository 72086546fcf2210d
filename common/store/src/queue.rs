//! The queue: claims and leases. What follows a lease that ended without a result is in `attempts.rs`, what people
//! do to a job in `steer.rs`; both are named here too.

use std::collections::HashMap;
use std::time::Duration;

use domain::{Epoch, JobId, JobInput, Kind, Mode, Outcome, OwnerId};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::parse;
use crate::json::{json, text};
use crate::{Db, StoreError, wake};

pub use crate::attempts::{fail_attempt, sweep, wait_out};
pub use crate::steer::{Woken, requeue, stop, wait_for, wake, wake_due};

/// How long a lease runs from the database's clock.
pub const LEASE: Duration = Duration::from_secs(30);

/// A job that this process holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claimed {
    /// The job.
    pub job_id: JobId,
    /// `owner/name`.
    pub repository: String,
    /// Its mode.
    pub mode: Mode,
    /// The epoch that every write must name.
    pub epoch: Epoch,
    /// Attempts without progress, this one included: 1 = the first.
    pub attempt: i32,
    /// The last step whose results are stored.
    pub step_no: i32,
}

struct ClaimedRow {
    job_id: Uuid,
    lane: String,
    mode: String,
    epoch: i64,
    attempt: i32,
    step_no: i32,
}

impl TryFrom<ClaimedRow> for Claimed {
    type Error = StoreError;

    fn try_from(row: ClaimedRow) -> Result<Self, StoreError> {
        let ClaimedRow { job_id, lane, mode, epoch, attempt, step_no } = row;
        let mode = parse("queue.mode", &mode)?;
        Ok(Self { job_id: JobId(job_id), repository: lane, mode, epoch: Epoch(epoch), attempt, step_no })
    }
}

/// Claims up to `slots` ready jobs of `mode` for this process; empty when nothing is ready.
///
/// Repositories take turns, the one that was served longest ago first, each for an equal share of the slots;
/// inside a repository it goes by priority, then time. A closed gate or a full lane holds its jobs back, unless
/// their outcome is decided already. Fewer than `slots` does not mean that nothing is left: shares may stay unused.
///
/// Each claim raises the job's epoch, and every later write must name it. The lease runs for `lease`
/// from the database's clock (`now` replaces it in tests), so workers' clocks never matter. Many
/// workers may call this at once: rows that another claim has locked are skipped.
///
/// # Errors
/// Those of the database.
pub async fn claim(
    db: &Db,
    owner: OwnerId,
    mode: Mode,
    slots: u16,
    lease: Duration,
    now: Option<OffsetDateTime>,
) -> Result<Vec<Claimed>, StoreError> {
    let rows = sqlx::query_file_as!(ClaimedRow, "sql/claim.sql", owner.0, <&str>::from(mode), i64::from(slots), lease.as_secs_f64(), now);
    rows.fetch_all(&db.pool).await?.into_iter().map(Claimed::try_from).collect()
}

/// Which of `modes` have a ready job, in their order: one question for a worker that looks now and then. A
/// claim may find less, since others claim too.
///
/// # Errors
/// Those of the database.
pub async fn ready_modes(db: &Db, modes: &[Mode]) -> Result<Vec<Mode>, StoreError> {
    let names: Vec<String> = modes.iter().map(|mode| <&str>::from(*mode).to_owned()).collect();
    let ready = sqlx::query_scalar!(
        r#"select mode as "mode!" from unnest($1::text[]) as asked (mode)
           where exists (select from queue where queue.state = 'ready' and queue.mode = asked.mode and queue.run_at <= now())"#,
        &names,
    );
    let ready = ready.fetch_all(&db.pool).await?;
    Ok(modes.iter().copied().filter(|mode| ready.iter().any(|name| name == <&str>::from(*mode))).collect())
}

/// Claims the job `job_id` if it is ready now.
///
/// # Errors
/// Those of the database.
pub async fn claim_one(
    db: &Db,
    owner: OwnerId,
    job_id: JobId,
    lease: Duration,
    now: Option<OffsetDateTime>,
) -> Result<Option<Claimed>, StoreError> {
    let row = sqlx::query_file_as!(ClaimedRow, "sql/claim_one.sql", owner.0, job_id.0, lease.as_secs_f64(), now);
    row.fetch_optional(&db.pool).await?.map(Claimed::try_from).transpose()
}

/// Claims the next job that waits for triage, or `job_id` if that one does.
///
/// # Errors
/// Those of the database.
pub async fn claim_triage(
    db: &Db,
    owner: OwnerId,
    job_id: Option<JobId>,
    lease: Duration,
    now: Option<OffsetDateTime>,
) -> Result<Option<(JobId, Epoch)>, StoreError> {
    let row = sqlx::query_file!("sql/claim_triage.sql", owner.0, lease.as_secs_f64(), job_id.map(|id| id.0), now);
    Ok(row.fetch_optional(&db.pool).await?.map(|row| (JobId(row.job_id), Epoch(row.epoch))))
}

/// Lets a triaged job run: it becomes ready, of `kind` and with `mode`. `input` = what the forge added to its request, which is
/// frozen from now on; `None` = nothing.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn triaged(
    db: &Db,
    job_id: JobId,
    epoch: Epoch,
    (kind, mode): (Kind, Mode),
    input: Option<&JobInput>,
    reason: &str,
) -> Result<(), StoreError> {
    let (kind, name) = (<&str>::from(kind), <&str>::from(mode));
    let triaged = sqlx::query_file!("sql/triaged.sql", job_id.0, epoch.0, kind, name, text(reason), input.map(json));
    let moved = triaged.fetch_optional(&db.pool).await?;
    held(moved.is_some(), job_id, epoch)?;
    wake::notify(db, mode).await;
    Ok(())
}

/// What a renewal found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Renewed {
    /// Leases of jobs that somebody else holds now, or that ended.
    pub lost: Vec<(JobId, Epoch)>,
    /// Leases of jobs that somebody asked to stop.
    pub stop: Vec<(JobId, Epoch)>,
}

/// Renews all leases of a process in one statement. It lists the pairs it knows of: a claim whose reply was
/// lost must run out.
///
/// # Errors
/// Those of the database.
pub async fn renew(db: &Db, leases: &[(JobId, Epoch)], lease: Duration, now: Option<OffsetDateTime>) -> Result<Renewed, StoreError> {
    let ids: Vec<Uuid> = leases.iter().map(|(id, _)| id.0).collect();
    let epochs: Vec<i64> = leases.iter().map(|(_, epoch)| epoch.0).collect();
    let kept = sqlx::query_file!("sql/renew.sql", &ids, &epochs, lease.as_secs_f64(), now).fetch_all(&db.pool).await?;
    let kept: HashMap<(JobId, Epoch), bool> =
        kept.into_iter().map(|row| ((JobId(row.job_id), Epoch(row.epoch)), row.cancel_requested)).collect();
    Ok(Renewed {
        lost: leases.iter().copied().filter(|lease| !kept.contains_key(lease)).collect(),
        stop: leases.iter().copied().filter(|lease| kept.get(lease) == Some(&true)).collect(),
    })
}

/// Which of these leases still hold.
///
/// # Errors
/// Those of the database.
pub async fn still_held(db: &Db, leases: &[(JobId, Epoch)]) -> Result<Vec<(JobId, Epoch)>, StoreError> {
    let ids: Vec<Uuid> = leases.iter().map(|(id, _)| id.0).collect();
    let epochs: Vec<i64> = leases.iter().map(|(_, epoch)| epoch.0).collect();
    let rows = sqlx::query!(
        r#"select queue.job_id as "job_id!", queue.epoch as "epoch!"
           from queue
           join unnest($1::uuid[], $2::bigint[]) as mine (job_id, epoch) using (job_id, epoch)
           where queue.state = 'leased'"#,
        &ids,
        &epochs,
    );
    Ok(rows.fetch_all(&db.pool).await?.into_iter().map(|row| (JobId(row.job_id), Epoch(row.epoch))).collect())
}

/// Which of these jobs somebody asked to stop. Asked when a stop is heard of, twice a second between renewals, and before each call
/// of a tool.
///
/// # Errors
/// Those of the database.
pub async fn stop_requested(db: &Db, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|id| id.0).collect();
    let rows = sqlx::query_scalar!("select job_id from queue where job_id = any($1) and cancel_requested", &ids);
    Ok(rows.fetch_all(&db.pool).await?.into_iter().map(JobId).collect())
}

/// Gives a job back at once, as a worker that shuts down does; the attempt does not count. One that was asked to
/// stop is then ready to be finalized as stopped.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn release(db: &Db, job_id: JobId, epoch: Epoch, reason: &str) -> Result<(), StoreError> {
    let moved = sqlx::query!(
        "with released as (
             update queue
             set state = case when waiting_for = 'triage' and outcome_pending is null and not cancel_requested then 'waiting' else 'ready' end,
                 waiting_for = case when outcome_pending is null and not cancel_requested then waiting_for end,
                 mode = case when outcome_pending is null and not cancel_requested then mode else coalesce(mode, 'mechanic') end,
                 outcome_pending = case when cancel_requested then coalesce(outcome_pending, '{\"outcome\": \"stopped\"}') else outcome_pending end,
                 epoch = epoch + 1, attempt = greatest(attempt - 1, 0), owner = null, lease_until = null,
                 run_at = now(), event_seq = event_seq + 1
             where job_id = $1 and epoch = $2 and state = 'leased'
             returning job_id, event_seq, mode
         ), noted as (
             insert into events (job_id, seq, kind, data)
             select job_id, event_seq, 'released', jsonb_build_object('reason', $3::text) from released
         )
         select mode from released",
        job_id.0,
        epoch.0,
        text(reason),
    );
    let released = moved.fetch_optional(&db.pool).await?.ok_or(StoreError::LeaseLost { job_id, epoch })?;
    let mode: Option<Mode> = released.mode.map(|mode| parse("queue.mode", &mode)).transpose()?;
    wake::notify(db, mode).await;
    Ok(())
}

/// Decides how a job ends, before anything of its end is shown outside: whoever finalizes it later does so
/// with this outcome. Returns the one that holds; an earlier decision stays.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn decide(db: &Db, job_id: JobId, epoch: Epoch, outcome: &Outcome) -> Result<Outcome, StoreError> {
    let decided = sqlx::query_scalar!(
        r#"update queue
           set outcome_pending = coalesce(outcome_pending, $3)
           where job_id = $1 and epoch = $2 and state = 'leased'
           returning outcome_pending as "outcome!: Json<Outcome>""#,
        job_id.0,
        epoch.0,
        json(outcome),
    );
    decided.fetch_optional(&db.pool).await?.map(|outcome| outcome.0).ok_or(StoreError::LeaseLost { job_id, epoch })
}

/// Decides that a job ends as stopped, though another end was decided: of that one nothing was shown outside yet. `false` = nobody
/// asked it to stop.
///
/// # Errors
/// Those of the database.
pub async fn decide_stopped(db: &Db, job_id: JobId, epoch: Epoch) -> Result<bool, StoreError> {
    let decided = sqlx::query!(
        "update queue set outcome_pending = $3 where job_id = $1 and epoch = $2 and state = 'leased' and cancel_requested",
        job_id.0,
        epoch.0,
        json(&Outcome::Stopped),
    );
    Ok(decided.execute(&db.pool).await?.rows_affected() == 1)
}

/// The jobs of each mode that are ready now: what waits for a worker. Counted in an index, once a minute by one
/// process.
///
/// # Errors
/// Those of the database.
pub async fn depth(db: &Db) -> Result<Vec<(Mode, i64)>, StoreError> {
    let mut depths = Vec::new();
    for mode in [Mode::Mechanic, Mode::Genius] {
        let ready = sqlx::query_scalar!(
            r#"select coalesce(sum(of_lane.ready), 0)::bigint as "ready!"
               from lane_queues
               cross join lateral (
                   select count(*) as ready
                   from queue
                   where queue.state = 'ready' and queue.mode = lane_queues.mode and queue.lane = lane_queues.lane
                       and queue.priority = lane_queues.priority and queue.run_at <= now()
               ) as of_lane
               where lane_queues.mode = $1 and lane_queues.active"#,
            <&str>::from(mode)
        );
        depths.push((mode, ready.fetch_one(&db.pool).await?));
    }
    Ok(depths)
}

/// Why a fenced write that begins something moved no row; `heard` = the last event that its caller had to know, if it had to.
pub(crate) async fn refused(db: &Db, job_id: JobId, epoch: Epoch, heard: Option<i64>) -> Result<StoreError, StoreError> {
    let held = sqlx::query!(
        "select cancel_requested, event_seq from queue where job_id = $1 and epoch = $2 and state = 'leased'",
        job_id.0,
        epoch.0,
    );
    Ok(match held.fetch_optional(&db.pool).await? {
        Some(held) if held.cancel_requested => StoreError::Stopped(job_id),
        Some(held) if heard.is_some_and(|heard| heard != held.event_seq) => StoreError::Unheard(job_id),
        _ => StoreError::LeaseLost { job_id, epoch },
    })
}

pub(crate) fn held(moved: bool, job_id: JobId, epoch: Epoch) -> Result<(), StoreError> {
    if moved { Ok(()) } else { Err(StoreError::LeaseLost { job_id, epoch }) }
}
