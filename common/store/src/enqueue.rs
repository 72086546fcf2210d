//! Writing a job: delivery, keys, job, queue row and event in one short transaction that asks nobody
//! anything.

use domain::{CommandId, Event, EventKind, JobId, NewJob};
use serde_json::json as object;

use crate::json::json;
use crate::session::Tx;
use crate::{Db, StoreError};
use crate::{outbox, wake};

/// How long a key stands for its job.
const KEY_LIFE_DAYS: i32 = 30;

/// A webhook whose signature was valid.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// GitHub's GUID of the delivery.
    pub delivery_id: &'a str,
    /// The event's name.
    pub event: &'a str,
    /// The body as it came.
    pub body: &'a [u8],
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Enqueued {
    /// A new job.
    New(JobId),
    /// The same delivery or key had made this job before.
    Known(JobId),
    /// A new command.
    Command(CommandId),
    /// The same delivery or key had made this command before.
    KnownCommand(CommandId),
    /// The same delivery had been ignored before.
    Ignored(String),
}

/// Writes `job`, once: a delivery seen before or a key in force returns the job it made then.
///
/// A job with a mode is ready at once; one without waits for triage. `retry_of` names the job it repeats.
///
/// # Errors
/// Those of the database.
pub async fn enqueue(
    db: &Db,
    job: &NewJob,
    key: Option<&str>,
    delivery: Option<Delivery<'_>>,
    retry_of: Option<JobId>,
) -> Result<Enqueued, StoreError> {
    let mut tx = db.pool.begin().await?;
    let enqueued = write(&mut tx, job, key, delivery, retry_of).await?;
    tx.commit().await?;
    if let Enqueued::New(_) = enqueued {
        wake::notify(db, job.mode).await;
    }
    Ok(enqueued)
}

/// The same within a transaction of the caller's.
pub(crate) async fn write(
    tx: &mut Tx,
    job: &NewJob,
    key: Option<&str>,
    delivery: Option<Delivery<'_>>,
    retry_of: Option<JobId>,
) -> Result<Enqueued, StoreError> {
    if let Some(delivery) = delivery
        && let Some(known) = record(tx, delivery).await?
    {
        return Ok(known);
    }
    let job_id = JobId::new();
    if let Some(key) = key
        && let Some(known) = take_key(tx, key, job_id).await?
    {
        conclude(tx, delivery, Some(known), None).await?;
        return Ok(Enqueued::Known(known));
    }
    insert(tx, job_id, job, retry_of).await?;
    if let Some(before) = retry_of {
        outbox::repeat(tx, before, job_id).await?;
    }
    conclude(tx, delivery, Some(job_id), None).await?;
    Ok(Enqueued::New(job_id))
}

/// Records a delivery that starts no job, with the reason.
///
/// # Errors
/// Those of the database.
pub async fn ignore(db: &Db, delivery: Delivery<'_>, reason: &str) -> Result<Enqueued, StoreError> {
    let mut tx = db.pool.begin().await?;
    if let Some(known) = record(&mut tx, delivery).await? {
        return Ok(known);
    }
    conclude(&mut tx, Some(delivery), None, Some(reason)).await?;
    tx.commit().await?;
    Ok(Enqueued::Ignored(reason.to_owned()))
}

/// Writes the delivery's row; what came of it the first time if it is there already. A copy that arrives
/// at the same moment waits here until the first has committed.
pub(crate) async fn record(tx: &mut Tx, delivery: Delivery<'_>) -> Result<Option<Enqueued>, StoreError> {
    let written = sqlx::query!(
        "insert into deliveries (delivery_id, event, body) values ($1, $2, $3) on conflict do nothing",
        delivery.delivery_id,
        delivery.event,
        delivery.body,
    )
    .execute(&mut **tx)
    .await?;
    if written.rows_affected() == 1 {
        return Ok(None);
    }
    let known = sqlx::query!("select job_id, command_id, ignored from deliveries where delivery_id = $1", delivery.delivery_id)
        .fetch_one(&mut **tx)
        .await?;
    Ok(Some(match (known.job_id, known.command_id) {
        (Some(job_id), _) => Enqueued::Known(JobId(job_id)),
        (None, Some(command_id)) => Enqueued::KnownCommand(CommandId(command_id)),
        (None, None) => Enqueued::Ignored(known.ignored.unwrap_or_default()),
    }))
}

/// Takes `key` for `job_id`; the job that holds it if one does. An expired key is taken over.
async fn take_key(tx: &mut Tx, key: &str, job_id: JobId) -> Result<Option<JobId>, StoreError> {
    let taken = sqlx::query!(
        "insert into job_keys (key, job_id, expires_at)
         values ($1, $2, now() + make_interval(days => $3))
         on conflict (key) do update set job_id = excluded.job_id, expires_at = excluded.expires_at
         where job_keys.expires_at <= now()",
        key,
        job_id.0,
        KEY_LIFE_DAYS,
    )
    .execute(&mut **tx)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let holder = sqlx::query_scalar!("select job_id from job_keys where key = $1", key).fetch_one(&mut **tx).await?;
    Ok(Some(JobId(holder)))
}

async fn insert(tx: &mut Tx, job_id: JobId, job: &NewJob, retry_of: Option<JobId>) -> Result<(), StoreError> {
    let mode = job.mode.map(<&str>::from);
    sqlx::query!(
        "insert into jobs (job_id, repository, remote, kind, mode, model, trigger, input, caps, retry_of)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        job_id.0,
        job.repository,
        job.remote,
        <&str>::from(job.kind),
        mode,
        job.model,
        json(&job.trigger),
        json(&job.input),
        job.caps.map(|caps| json(&caps)),
        retry_of.map(|id| id.0),
    )
    .execute(&mut **tx)
    .await?;
    let event = Event::new(EventKind::Enqueued, json(&object!({ "trigger": job.trigger, "mode": job.mode })));
    sqlx::query!(
        "with queued as (
             insert into queue (job_id, lane, mode, priority, state, waiting_for, event_seq)
             values ($1, $2, $3, $4, case when $3::text is null then 'waiting' else 'ready' end,
                     case when $3::text is null then 'triage' end, 1)
         )
         insert into events (job_id, seq, kind, data) values ($1, 1, $5, $6)",
        job_id.0,
        job.repository,
        mode,
        job.priority,
        <&str>::from(event.kind),
        event.data,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn conclude(tx: &mut Tx, delivery: Option<Delivery<'_>>, job_id: Option<JobId>, ignored: Option<&str>) -> Result<(), StoreError> {
    if let Some(delivery) = delivery {
        sqlx::query!(
            "update deliveries set job_id = $2, ignored = $3 where delivery_id = $1",
            delivery.delivery_id,
            job_id.map(|id| id.0),
            ignored,
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
