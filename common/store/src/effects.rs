//! Effects: what a job does outside the database. The intent is written before, the confirmation after; a
//! worker that finds an intent looks the thing up before it creates it.

use domain::{Epoch, JobId};
use serde::Serialize;
use serde_json::{Value, json as object};

use crate::json::json;
use crate::queue::held;
use crate::{Db, StoreError, queue};

/// The kinds of effects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EffectName {
    /// The pushed branch.
    Branch,
    /// The pull request.
    PullRequest,
    /// The comment with the result.
    Comment,
    /// The review with its inline comments.
    Review,
}

/// One effect.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Effect {
    /// Which.
    pub name: EffectName,
    /// Whether it was read back.
    pub confirmed: bool,
    /// What was intended, then what is there.
    pub detail: Value,
}

/// Writes down what is about to be done; a second intent keeps the first one's row, whatever its state.
///
/// # Errors
/// [`StoreError::Stopped`] of a branch, when somebody asked the job to stop before: nothing is pushed then.
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn intend(db: &Db, job_id: JobId, epoch: Epoch, name: EffectName, detail: &Value) -> Result<(), StoreError> {
    match write(db, job_id, epoch, name, "intended", detail).await {
        Err(StoreError::LeaseLost { .. }) if name == EffectName::Branch => Err(queue::refused(db, job_id, epoch, None).await?),
        written => written,
    }
}

/// Writes down that it was done and read back.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn confirm(db: &Db, job_id: JobId, epoch: Epoch, name: EffectName, detail: &Value) -> Result<(), StoreError> {
    write(db, job_id, epoch, name, "confirmed", detail).await
}

async fn write(db: &Db, job_id: JobId, epoch: Epoch, name: EffectName, state: &str, detail: &Value) -> Result<(), StoreError> {
    let moved = sqlx::query!(
        "with fenced as (
             update queue
             set event_seq = event_seq + 1
             where job_id = $1 and epoch = $2 and state = 'leased' and not ($3 = 'branch' and $4 = 'intended' and cancel_requested)
             returning job_id, event_seq
         ), written as (
             insert into effects (job_id, name, state, detail, confirmed_at)
             select job_id, $3, $4, $5, case when $4 = 'confirmed' then now() end from fenced
             on conflict (job_id, name) do update
             set state = excluded.state, detail = excluded.detail, confirmed_at = excluded.confirmed_at
             where excluded.state = 'confirmed'
         ), noted as (
             insert into events (job_id, seq, kind, data) select job_id, event_seq, 'effect', $6 from fenced
         )
         select job_id from fenced",
        job_id.0,
        epoch.0,
        <&str>::from(name),
        state,
        json(detail),
        json(&object!({ "effect": name, "state": state, "detail": detail })),
    );
    held(moved.fetch_optional(&db.pool).await?.is_some(), job_id, epoch)
}

/// The commits that a job ever meant to push, the earliest first: a branch that is at one of them is its own. One that was
/// redriven pushes again.
///
/// # Errors
/// Those of the database.
pub async fn intended_commits(db: &Db, job_id: JobId) -> Result<Vec<String>, StoreError> {
    let commits = sqlx::query_scalar!(
        r#"select data #>> '{detail,commit}' as "commit!"
           from events
           where job_id = $1 and kind = 'effect' and data ->> 'effect' = 'branch' and data ->> 'state' = 'intended'
           order by seq"#,
        job_id.0
    );
    Ok(commits.fetch_all(&db.pool).await?)
}

/// The effects of a job, by name.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db, job_id: JobId) -> Result<Vec<Effect>, StoreError> {
    let rows =
        sqlx::query!("select name, state, detail from effects where job_id = $1 order by name", job_id.0).fetch_all(&db.pool).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Effect { name: crate::error::parse("effects.name", &row.name)?, confirmed: row.state == "confirmed", detail: row.detail })
        })
        .collect()
}
