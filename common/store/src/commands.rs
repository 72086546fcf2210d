//! Commands: what people ask of jobs on the forge, from the delivery to what came of it.
//!
//! Writing one down is a short transaction that asks nobody anything. Whoever does it holds it under a lease, and every later
//! write names the epoch: somebody who was frozen meanwhile changes nothing.

use std::time::Duration;

use domain::{Command, CommandId, CommentRef, Epoch, JobId, JobInput, Kind, NewCommand, NewJob, OutcomeName, Trigger};
use serde_json::Value;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::enqueue::{Delivery, Enqueued, enqueue, record};
use crate::error::parse;
use crate::hints::{self, Given};
use crate::jobs::{self, Job};
use crate::json::{json, text};
use crate::wake::{self, Signal};
use crate::{Db, StoreError};

/// How long somebody may take for one command.
pub const HELD: Duration = Duration::from_secs(60);
/// How often one is tried before it is given up.
const MOST_ATTEMPTS: i32 = 8;
/// The pause after the first failure; it doubles, up to a quarter of an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);
/// The most jobs of one issue that a command looks at.
const MOST_JOBS: i64 = 100;

/// A command that somebody holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldCommand {
    /// Its id.
    pub command_id: CommandId,
    /// The epoch that every write must name.
    pub epoch: Epoch,
    /// Which try this is, from 1.
    pub attempt: i32,
    /// What an earlier holder chose to do, where one did and went away: the same is done again, whatever has changed since.
    pub chosen: Option<Value>,
    /// What was asked.
    pub asked: NewCommand,
}

/// A job that a command may be about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The job.
    pub job_id: JobId,
    /// What it produces.
    pub kind: Kind,
    /// What started it.
    pub trigger: Trigger,
    /// Whether its commit is fixed: it has begun.
    pub begun: bool,
    /// How it ended; `None` while it has not.
    pub outcome: Option<OutcomeName>,
}

/// Writes a command down, once: a delivery seen before, or a key in force, returns the command that it was then.
///
/// # Errors
/// Those of the database.
pub async fn write(db: &Db, new: &NewCommand, key: &str, delivery: Delivery<'_>) -> Result<Enqueued, StoreError> {
    let mut tx = db.pool.begin().await?;
    if let Some(known) = record(&mut tx, delivery).await? {
        return Ok(known);
    }
    let command_id = CommandId::new();
    let written = sqlx::query!(
        "insert into commands (command_id, key, repository, number, job_id, actor, command, comment, asked_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (key) do nothing",
        command_id.0,
        key,
        new.repository,
        new.number.map(u64::cast_signed),
        new.job_id.map(|job_id| job_id.0),
        text(&new.actor),
        json(&new.command),
        new.comment.map(|comment| json(&comment)),
        new.asked_at,
    );
    let is_new = written.execute(&mut *tx).await?.rows_affected() == 1;
    let command_id = match is_new {
        true => command_id,
        false => CommandId(sqlx::query_scalar!("select command_id from commands where key = $1", key).fetch_one(&mut *tx).await?),
    };
    sqlx::query!("update deliveries set command_id = $2 where delivery_id = $1", delivery.delivery_id, command_id.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    if !is_new {
        return Ok(Enqueued::KnownCommand(command_id));
    }
    wake::notify(db, Signal::Command).await;
    Ok(Enqueued::Command(command_id))
}

/// Takes the command that waits longest, or `command_id` if that one waits, for `lease` by the database's clock.
///
/// # Errors
/// Those of the database, or a row that this release cannot read.
pub async fn claim(db: &Db, command_id: Option<CommandId>, lease: Duration) -> Result<Option<HeldCommand>, StoreError> {
    let row = sqlx::query!(
        r#"update commands
           set epoch = epoch + 1, attempt = attempt + 1, held_until = now() + make_interval(secs => $2)
           where command_id = any(array(
               select command_id from commands
               where done_at is null and run_at <= now() and (held_until is null or held_until < now())
                   and ($1::uuid is null or command_id = $1)
               order by run_at, command_id
               limit 1
               for update skip locked))
           returning command_id, epoch, attempt, repository, number, job_id, actor, command as "command: Json<Command>",
                     comment as "comment: Json<CommentRef>", asked_at, result -> 'chosen' as chosen"#,
        command_id.map(|id| id.0),
        lease.as_secs_f64(),
    );
    let Some(row) = row.fetch_optional(&db.pool).await? else { return Ok(None) };
    let asked = NewCommand {
        repository: row.repository,
        number: row.number.map(i64::cast_unsigned),
        job_id: row.job_id.map(JobId),
        actor: row.actor,
        command: row.command.0,
        comment: row.comment.map(|comment| comment.0),
        asked_at: row.asked_at,
    };
    let (command_id, epoch) = (CommandId(row.command_id), Epoch(row.epoch));
    Ok(Some(HeldCommand { command_id, epoch, attempt: row.attempt, chosen: row.chosen, asked }))
}

/// Writes down what is going to be done, before it is; `false` = somebody else holds the command, or it was done.
///
/// # Errors
/// Those of the database.
pub async fn choose(db: &Db, held: &HeldCommand, chosen: &Value) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        "update commands
         set result = coalesce(result, '{}') || jsonb_build_object('chosen', $3::jsonb)
         where command_id = $1 and epoch = $2 and done_at is null",
        held.command_id.0,
        held.epoch.0,
        json(chosen),
    );
    Ok(written.execute(&db.pool).await?.rows_affected() == 1)
}

/// Writes down what came of a command; `false` = somebody else holds it, or it was done.
///
/// # Errors
/// Those of the database.
pub async fn done(db: &Db, held: &HeldCommand, result: &Value) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update commands set done_at = now(), held_until = null, result = $3 where command_id = $1 and epoch = $2 and done_at is null",
        held.command_id.0,
        held.epoch.0,
        json(result),
    );
    Ok(done.execute(&db.pool).await?.rows_affected() == 1)
}

/// What follows a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retried {
    /// It is tried again.
    Later,
    /// It was the last try: it is done, with the cause as its result.
    GivenUp,
    /// Somebody else holds it.
    Lost,
}

/// Puts a command that failed back, to be tried again after `after` at the earliest, each time later; after the last try it is
/// given up.
///
/// # Errors
/// Those of the database.
pub async fn failed(db: &Db, held: &HeldCommand, cause: &str, after: Duration) -> Result<Retried, StoreError> {
    if held.attempt >= MOST_ATTEMPTS {
        let result = serde_json::json!({ "given_up": text(cause) });
        return Ok(if done(db, held, &result).await? { Retried::GivenUp } else { Retried::Lost });
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << (held.attempt - 1).clamp(0, 16)).min(LONGEST_PAUSE);
    let put_back = sqlx::query!(
        "update commands
         set held_until = null, epoch = epoch + 1, run_at = now() + make_interval(secs => $3),
             result = coalesce(result, '{}') || jsonb_build_object('failed', $4::text)
         where command_id = $1 and epoch = $2 and done_at is null",
        held.command_id.0,
        held.epoch.0,
        doubled.max(after).as_secs_f64(),
        text(cause),
    );
    Ok(if put_back.execute(&db.pool).await?.rows_affected() == 1 { Retried::Later } else { Retried::Lost })
}

/// Tells `hint` to a job, and is done with the command in the same transaction: a hint is told once. `None` = somebody else
/// holds the command, or it was done.
///
/// # Errors
/// Those of [`hints::give`].
pub async fn hint(db: &Db, held: &HeldCommand, job_id: JobId, hint: &str, by: &str) -> Result<Option<Given>, StoreError> {
    let mut tx = db.pool.begin().await?;
    let result = json(&serde_json::json!({ "hinted": [job_id] }));
    let done = sqlx::query!(
        "update commands set done_at = now(), held_until = null, result = $3 where command_id = $1 and epoch = $2 and done_at is null",
        held.command_id.0,
        held.epoch.0,
        result,
    );
    if done.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let (given, answered) = hints::write(&mut tx, job_id, hint, by).await?;
    tx.commit().await?;
    if answered {
        wake::notify_all(db).await;
    }
    Ok(Some(given))
}

/// Asks for a job that was refused once more, at most once for each `key`: as `requester` wants it, by `trigger`. It waits for triage
/// as any request does, since nothing of it was looked at but who asked.
///
/// # Errors
/// [`StoreError::NoJob`], or those of the database.
pub async fn ask_again(db: &Db, refused: JobId, trigger: Trigger, requester: &str, key: &str) -> Result<JobId, StoreError> {
    let Job { repository, remote, kind, model, input, caps, .. } = jobs::get(db, refused).await?.job;
    let input = JobInput { requester: Some(requester.to_owned()), ..input };
    let again = NewJob { repository, remote, input, kind, mode: None, model, caps, priority: 0, trigger, idempotency_key: None };
    match enqueue(db, &again, Some(key), None, Some(refused)).await? {
        Enqueued::New(job_id) | Enqueued::Known(job_id) => Ok(job_id),
        Enqueued::Ignored(reason) => Err(StoreError::Refused(reason)),
        Enqueued::Command(_) | Enqueued::KnownCommand(_) => unreachable!("only a delivery can be a command"),
    }
}

/// The newest jobs of an issue or pull request, newest first: those that it asked for, and the one that opened it.
///
/// # Errors
/// Those of the database, or a row that this release cannot read.
pub async fn jobs_of(db: &Db, repository: &str, number: u64) -> Result<Vec<Candidate>, StoreError> {
    let rows = sqlx::query!(
        r#"select job_id, kind, trigger as "trigger: Json<Trigger>", base_commit is not null as "begun!", outcome
           from jobs
           where job_id = any(array(
               (select job_id from jobs
                where repository = $1 and (input ->> 'number')::bigint = $2 and input ? 'number'
                order by job_id desc
                limit $3)
               union
               (select effects.job_id from effects
                join jobs using (job_id)
                where effects.name = 'pull_request' and (detail ->> 'number')::bigint = $2 and detail ? 'number' and jobs.repository = $1
                order by effects.job_id desc
                limit $3)))
           order by job_id desc"#,
        repository,
        number.cast_signed(),
        MOST_JOBS,
    );
    let rows = rows.fetch_all(&db.pool).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Candidate {
                job_id: JobId(row.job_id),
                kind: parse("jobs.kind", &row.kind)?,
                trigger: row.trigger.0,
                begun: row.begun,
                outcome: row.outcome.as_deref().map(|outcome| parse("jobs.outcome", outcome)).transpose()?,
            })
        })
        .collect()
}

/// The job `job_id`, if it is of `repository`: a button says nothing that anybody could not write into a request of their own.
///
/// # Errors
/// Those of the database, or a row that this release cannot read.
pub async fn job_of(db: &Db, repository: &str, job_id: JobId) -> Result<Option<Candidate>, StoreError> {
    match jobs::get(db, job_id).await {
        Ok(standing) if standing.job.repository.eq_ignore_ascii_case(repository) => Ok(Some(Candidate {
            job_id,
            kind: standing.job.kind,
            begun: standing.job.base_commit.is_some(),
            outcome: standing.job.finished.as_ref().map(|finished| finished.outcome.name()),
            trigger: standing.job.trigger,
        })),
        Ok(_) | Err(StoreError::NoJob(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Since when `job_id` is there, seen from when a command was asked: `true` = it was asked about jobs as old as this one.
pub fn is_meant(job_id: JobId, asked_at: Option<OffsetDateTime>) -> bool {
    /// A delivery may be late and clocks differ.
    const SLACK: time::Duration = time::Duration::minutes(10);
    asked_at.is_none_or(|asked_at| job_id.created_at() <= asked_at + SLACK)
}
