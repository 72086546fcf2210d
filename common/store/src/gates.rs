//! Gates: what holds work back. No job of a closed scope is claimed, those under way go on.

use domain::{JobId, Scope};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::parse;
use crate::json::text;
use crate::{Db, StoreError, wake};

/// A closed gate.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Gate {
    /// What it holds back.
    pub scope: Scope,
    /// `paused` by a person, or `budget`: one of ours that is used up, or what an alarm knows of the bill.
    pub reason: String,
    /// Until then; `None` = until somebody opens it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// Who closed it and why, or how the budget stands; `alarm` = the number of the alarm that closed it.
    pub detail: Value,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Closes `scope` until [`resume`]; what is said of it is replaced if it is paused already.
///
/// # Errors
/// Those of the database.
pub async fn pause(db: &Db, scope: &Scope, why: Option<&str>) -> Result<(), StoreError> {
    let paused = sqlx::query!(
        "insert into gates (scope, reason, until, detail)
         values ($1, 'paused', 'infinity', jsonb_strip_nulls(jsonb_build_object('why', $2::text)))
         on conflict (scope, reason) do update set until = excluded.until, detail = excluded.detail",
        scope.to_string(),
        why.map(text),
    );
    paused.execute(&db.pool).await?;
    Ok(())
}

/// Opens what [`pause`] closed, and what an alarm did ([`crate::alarms::close_gate`]); returns whether anything was. A budget of the
/// scope that is used up keeps it closed.
///
/// # Errors
/// Those of the database.
pub async fn resume(db: &Db, scope: &Scope) -> Result<bool, StoreError> {
    let name = scope.to_string();
    let mut tx = db.pool.begin().await?;
    // The budget's row first, as whoever closes a gate for it does.
    sqlx::query!("select from budget_days where scope = $1 and day = (now() at time zone 'UTC')::date for update", name)
        .execute(&mut *tx)
        .await?;
    let opened = sqlx::query!("delete from gates where scope = $1 and (reason = 'paused' or detail ? 'alarm')", name);
    let opened = opened.execute(&mut *tx).await?;
    // An alarm's gate has taken the place of the budget's own.
    sqlx::query!("select close_gates(array[$1::text])", name).execute(&mut *tx).await?;
    tx.commit().await?;
    wake::notify_all(db).await;
    Ok(opened.rows_affected() > 0)
}

/// Every gate that is closed now, by scope.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db) -> Result<Vec<Gate>, StoreError> {
    let rows = sqlx::query!(
        r#"select scope, reason, case when until < 'infinity' then until end as "until?", detail, created_at
           from gates
           where until > now()
           order by scope, reason"#,
    );
    let gates = rows.fetch_all(&db.pool).await?.into_iter().map(|row| {
        let scope = parse("gates.scope", &row.scope)?;
        Ok(Gate { scope, reason: row.reason, until: row.until, detail: row.detail, created_at: row.created_at })
    });
    gates.collect()
}

/// What keeps a ready job from being claimed now.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// A closed gate.
    Gate(Gate),
    /// Its repository runs as many jobs as it may.
    Full {
        /// So many.
        max_running: i32,
    },
}

/// What keeps `job_id` from being claimed, beside its time; empty = nothing, or it is not ready, or its end is decided.
///
/// # Errors
/// Those of the database.
pub async fn holds(db: &Db, job_id: JobId) -> Result<Vec<Hold>, StoreError> {
    let row = sqlx::query!(
        r#"select mode as "mode!", queue.lane, max_running,
                  (select count(*)
                   from queue as running
                   where running.lane = queue.lane and running.state = 'leased' and running.outcome_pending is null
                     and running.waiting_for is distinct from 'triage') as "running!"
           from queue
           left join lanes on lanes.lane = queue.lane
           where job_id = $1 and state = 'ready' and outcome_pending is null"#,
        job_id.0,
    );
    let Some(row) = row.fetch_optional(&db.pool).await? else { return Ok(Vec::new()) };
    let scopes = [Scope::All, Scope::Mode(parse("queue.mode", &row.mode)?), Scope::Repository(row.lane)];
    let mut holds: Vec<Hold> = list(db).await?.into_iter().filter(|gate| scopes.contains(&gate.scope)).map(Hold::Gate).collect();
    holds.extend(row.max_running.filter(|most| row.running >= i64::from(*most)).map(|max_running| Hold::Full { max_running }));
    Ok(holds)
}
