//! Events: what happened to a job, in order, for ever.

use std::collections::HashMap;

use domain::{Epoch, Event, EventKind, JobId};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::json::json;
use crate::queue::held;
use crate::{Db, StoreError};

/// An event with its number and time.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// 1, 2, 3 … without gaps within the job.
    pub seq: i64,
    /// When its transaction began, by the database's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// What happened (an [`domain::EventKind`], as text, so that older programs can show newer kinds).
    pub kind: String,
    /// Its fields.
    pub data: Value,
}

/// Adds an event for the worker that holds the job.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn append(db: &Db, job_id: JobId, epoch: Epoch, event: &Event) -> Result<(), StoreError> {
    let moved = sqlx::query!(
        "with fenced as (
             update queue set event_seq = event_seq + 1 where job_id = $1 and epoch = $2 and state = 'leased' returning job_id, event_seq
         ), noted as (
             insert into events (job_id, seq, kind, data) select job_id, event_seq, $3, $4 from fenced
         )
         select job_id from fenced",
        job_id.0,
        epoch.0,
        <&str>::from(event.kind),
        json(&event.data),
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// The last event of each of these kinds, where there is one.
///
/// # Errors
/// Those of the database.
pub async fn latest(db: &Db, job_id: JobId, kinds: &[EventKind]) -> Result<HashMap<String, Recorded>, StoreError> {
    let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_as!(
        Recorded,
        "select distinct on (kind) seq, created_at, kind, data
         from events
         where job_id = $1 and kind = any($2)
         order by kind, seq desc",
        job_id.0,
        &names,
    );
    Ok(rows.fetch_all(&db.pool).await?.into_iter().map(|event| (event.kind.clone(), event)).collect())
}

/// The events of a job after number `after`, oldest first, at most `limit`.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db, job_id: JobId, after: i64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
    let rows = sqlx::query_as!(
        Recorded,
        "select seq, created_at, kind, data from events where job_id = $1 and seq > $2 order by seq limit $3",
        job_id.0,
        after,
        i64::from(limit),
    );
    Ok(rows.fetch_all(&db.pool).await?)
}
