//! Retention: whole months of events and steps (of the ledger only where somebody says so) are dropped as
//! partitions; bodies of deliveries and keys that have expired are cleared away.

use serde::Serialize;
use sqlx::postgres::PgQueryResult;
use time::Date;

use crate::{Db, StoreError};

/// How long the body of a delivery is kept, a command, and what was said of a job that has ended.
pub const BODY_DAYS: i32 = 30;
/// How long the comment and the check run of a job are known whose pull request may still be talked about: a repetition goes on in
/// their place.
pub const CONVERSATION_DAYS: i32 = 365;
/// Rows that one statement clears away.
const AT_ONCE: i64 = 1_000;

/// How many months are kept beside the current one; `None` = all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keep {
    /// Of events.
    pub events: Option<u32>,
    /// Of steps: requests, replies, results, checkpoints.
    pub steps: Option<u32>,
    /// Of the ledger.
    pub ledger: Option<u32>,
}

impl Keep {
    /// Whether everything stays.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// A month of a table that may go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Month {
    /// `events`, `steps` or `ledger`.
    pub table: String,
    /// Its first day.
    #[serde(serialize_with = "crate::json::day")]
    pub month: Date,
    /// Its partition.
    pub partition: String,
    /// What it takes of the disk.
    pub size_bytes: i64,
    /// Its rows, as the server estimates them.
    pub about_rows: i64,
    /// Jobs of that month which have not ended, dead ones included: as long as there are any, it stays.
    pub unfinished: i64,
}

/// What was cleared away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Cleared {
    /// Bodies of deliveries.
    pub bodies: u64,
    /// Keys that had expired.
    pub keys: u64,
    /// Commands of people that were done.
    pub commands: u64,
    /// What was said on the forge: of what is said again after that, the forge is asked first, by its hidden marker.
    pub said: u64,
}

/// The months that are older than `keep` allows, oldest first in each table.
///
/// # Errors
/// Those of the database.
pub async fn months(db: &Db, keep: Keep) -> Result<Vec<Month>, StoreError> {
    let mut months = Vec::new();
    for (table, keep) in [("events", keep.events), ("steps", keep.steps), ("ledger", keep.ledger)] {
        let Some(keep) = keep else { continue };
        let keep = i32::try_from(keep).unwrap_or(i32::MAX);
        let rows = sqlx::query!(
            r#"select partition_name as "partition!", month as "month!", size_bytes as "size_bytes!", about_rows as "about_rows!",
                      unfinished as "unfinished!"
               from months_to_retire($1, $2)"#,
            table,
            keep,
        );
        months.extend(rows.fetch_all(&db.pool).await?.into_iter().map(|row| Month {
            table: table.to_owned(),
            month: row.month,
            partition: row.partition,
            size_bytes: row.size_bytes,
            about_rows: row.about_rows,
            unfinished: row.unfinished,
        }));
    }
    Ok(months)
}

/// Drops `month`. Its table is locked for a moment only, and nobody waits longer than two seconds for that: under load
/// [`StoreError::Unavailable`] says to try again. The ledger is anchored before, and an anchor says what went.
///
/// # Errors
/// [`StoreError::Refused`] while a job of the month is unfinished, and to whoever is not the ledger's owner; or those
/// of the database.
pub async fn drop_month(db: &Db, month: &Month) -> Result<(), StoreError> {
    if month.table == "ledger" {
        crate::anchors::anchor(db, std::time::Duration::ZERO).await?;
    }
    refused(sqlx::query!("select retire_month($1, $2)", month.table, month.month).execute(&db.pool).await)?;
    refused(sqlx::query!("select drop_retired($1, $2)", month.table, month.month).execute(&db.pool).await)
}

/// Drops what an earlier [`drop_month`] took out of its table before it was interrupted; returns how many.
///
/// # Errors
/// Those of the database.
pub async fn drop_leftovers(db: &Db) -> Result<u64, StoreError> {
    let left = sqlx::query!(r#"select parent_name as "table!", month as "month!" from months_to_drop()"#).fetch_all(&db.pool).await?;
    for row in &left {
        refused(sqlx::query!("select drop_retired($1, $2)", row.table, row.month).execute(&db.pool).await)?;
    }
    Ok(left.len() as u64)
}

/// Clears away bodies of deliveries, commands and what was said that are older than [`BODY_DAYS`] (the comment and check run of a job
/// with a pull request: [`CONVERSATION_DAYS`]), and keys that have expired. What is said of a job stays while that is in the queue,
/// be it dead.
///
/// # Errors
/// Those of the database.
pub async fn clear(db: &Db) -> Result<Cleared, StoreError> {
    let mut cleared = Cleared::default();
    loop {
        let bodies = sqlx::query!(
            "update deliveries
             set body = null
             where delivery_id = any(array(
                 select delivery_id from deliveries
                 where body is not null and received_at < now() - make_interval(days => $1)
                 order by received_at
                 limit $2
                 for update skip locked))",
            BODY_DAYS,
            AT_ONCE,
        )
        .execute(&db.pool)
        .await?;
        let keys = sqlx::query!(
            "delete from job_keys
             where key = any(array(
                 select key from job_keys where expires_at <= now() order by expires_at limit $1 for update skip locked))",
            AT_ONCE,
        )
        .execute(&db.pool)
        .await?;
        cleared.bodies += bodies.rows_affected();
        let commands = sqlx::query!(
            "delete from commands
             where command_id = any(array(
                 select command_id from commands
                 where done_at < now() - make_interval(days => $1)
                 order by done_at
                 limit $2
                 for update skip locked))",
            BODY_DAYS,
            AT_ONCE,
        )
        .execute(&db.pool)
        .await?;
        let said = sqlx::query!(
            "delete from outbox
             where outbox_id = any(array(
                 select outbox_id from outbox
                 where done_at < now() - make_interval(days => $1)
                     and not exists (select from queue where queue.job_id = outbox.job_id)
                     and (done_at < now() - make_interval(days => $2)
                          or part not in ('comment', 'check_run')
                          or not exists (select from effects where effects.job_id = outbox.job_id and effects.name = 'pull_request'))
                 order by done_at
                 limit $3
                 for update skip locked))",
            BODY_DAYS,
            CONVERSATION_DAYS,
            AT_ONCE,
        )
        .execute(&db.pool)
        .await?;
        cleared.keys += keys.rows_affected();
        cleared.commands += commands.rows_affected();
        cleared.said += said.rows_affected();
        let most = [&bodies, &keys, &commands, &said].map(PgQueryResult::rows_affected).into_iter().max();
        if most.unwrap_or_default() < AT_ONCE.unsigned_abs() {
            return Ok(cleared);
        }
    }
}

/// What the functions of the schema refuse, as the store says it.
fn refused(result: Result<PgQueryResult, sqlx::Error>) -> Result<(), StoreError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => {
            let sqlx::Error::Database(said) = &error else { return Err(error.into()) };
            match said.code().as_deref() {
                // object_in_use, invalid_parameter_value, insufficient_privilege
                Some("55006" | "22023" | "42501") => Err(StoreError::Refused(said.message().to_owned())),
                // lock_not_available
                Some("55P03") => Err(StoreError::Unavailable(error)),
                _ => Err(error.into()),
            }
        }
    }
}
