//! The first half-step: a checkout, and what it settled for all later workers.

use std::time::Duration;

use domain::project::LowerCaps;
use domain::{Epoch, JobId};
use serde_json::json as object;
use sqlx::types::Json;

use crate::json::json;
use crate::queue::held;
use crate::{Db, StoreError};

/// How a checkout was prepared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prepared<'a> {
    /// The commit that it starts from.
    pub base_commit: &'a str,
    /// For a review: the commit that the change under review is compared with.
    pub against: Option<&'a str>,
    /// What a person should know about how the repository was understood.
    pub notes: &'a [String],
    /// What the repository lowers.
    pub caps: LowerCaps,
    /// How long it took.
    pub took: Duration,
}

/// What the first preparation of a job settled for all later workers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preparation {
    /// See [`Prepared`].
    pub against: Option<String>,
    /// See [`Prepared`].
    pub notes: Vec<String>,
}

/// Fixes the commit that a job starts from; every later worker starts from the same.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn prepared(db: &Db, job_id: JobId, epoch: Epoch, prepared: Prepared<'_>) -> Result<(), StoreError> {
    let Prepared { base_commit, against, notes, caps, took } = prepared;
    let moved = sqlx::query!(
        "with fenced as (
             update queue set event_seq = event_seq + 1 where job_id = $1 and epoch = $2 and state = 'leased' returning job_id, event_seq
         ), based as (
             update jobs set base_commit = $3 from fenced where jobs.job_id = fenced.job_id and base_commit is null
         ), noted as (
             insert into events (job_id, seq, kind, data)
             select job_id, event_seq, 'prepared', $4 from fenced
         )
         select job_id from fenced",
        job_id.0,
        epoch.0,
        base_commit,
        json(&object!({ "base": base_commit, "against": against, "duration_ms": took.as_millis() as u64, "notes": notes, "caps": caps })),
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// The first preparation of a job; nothing in it before there was one.
///
/// # Errors
/// Those of the database.
pub async fn preparation(db: &Db, job_id: JobId) -> Result<Preparation, StoreError> {
    let first = sqlx::query!(
        r#"select data ->> 'against' as against, coalesce(data -> 'notes', '[]') as "notes!: Json<Vec<String>>"
           from events
           where job_id = $1 and kind = 'prepared'
           order by seq
           limit 1"#,
        job_id.0,
    );
    let first = first.fetch_optional(&db.pool).await?;
    Ok(first.map(|first| Preparation { against: first.against, notes: first.notes.0 }).unwrap_or_default())
}
