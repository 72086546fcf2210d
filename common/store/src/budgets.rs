//! Budgets: the most that a scope may spend in a UTC day.
//!
//! Money is held back in every budget of a job by the statement that writes the reservation, and corrected by
//! the one that closes it (`reserve_spend` and `settle_spend` in the migrations). What is open counts in full. A
//! scope of which less than 1 % is left is closed by a gate until midnight: nobody claims a job of it.

use domain::{MicroUsd, Scope};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::error::parse;
use crate::{Db, StoreError, wake};

/// Waiting jobs that one statement wakes.
const WAKE_AT_ONCE: i64 = 1_000;

/// A scope's budget and what the day has used of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Budget {
    /// Whose.
    pub scope: Scope,
    /// The most for a day.
    pub limit_microusd: MicroUsd,
    /// Held back for calls that are not settled.
    pub reserved_microusd: MicroUsd,
    /// Paid.
    pub settled_microusd: MicroUsd,
    /// New jobs of the scope wait until then; `None` = it is open.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closed_until: Option<OffsetDateTime>,
}

impl Budget {
    /// Paid and held back.
    pub fn used_microusd(&self) -> MicroUsd {
        self.reserved_microusd + self.settled_microusd
    }

    /// How much of it is used, in percent; a budget of nothing is always used up.
    pub fn used_percent(&self) -> f64 {
        match self.limit_microusd.0 {
            0 => 100.0,
            limit => self.used_microusd().0 as f64 * 100.0 / limit as f64,
        }
    }
}

/// How a budget stood when a call was weighed against it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Whose.
    pub scope: Scope,
    /// The most for a day.
    pub limit_microusd: MicroUsd,
    /// Paid and held back; of a warning, with the call.
    pub used_microusd: MicroUsd,
    /// What the call may cost; `None` in a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_microusd: Option<MicroUsd>,
}

/// A budget that does not agree with the ledger: a defect, or somebody changed one of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Drift {
    /// Whose.
    pub scope: Scope,
    /// The day, UTC.
    #[serde(serialize_with = "crate::json::day")]
    pub day: Date,
    /// Paid and held back as the budget has it.
    pub kept_microusd: MicroUsd,
    /// As the ledger's rows add up.
    pub ledger_microusd: MicroUsd,
}

/// Sets the budget of `scope`; what the day has spent already counts. A gate that it no longer needs opens, and
/// the jobs that waited for it run again.
///
/// # Errors
/// [`StoreError::Refused`] for a limit below 0 or above a billion dollars, or those of the database.
pub async fn set(db: &Db, scope: &Scope, limit: MicroUsd) -> Result<(), StoreError> {
    const MOST: MicroUsd = MicroUsd(1_000_000_000_000_000);
    if limit < MicroUsd::ZERO || limit > MOST {
        return Err(StoreError::Refused(format!("a budget of {limit} a day: expected $0 to {MOST}")));
    }
    let name = scope.to_string();
    let mut tx = db.pool.begin().await?;
    // Every reservation and settlement writes this table in its transaction: none is under way while the ledger is
    // added up, and the next ones see this budget.
    sqlx::query!("lock table budget_days in exclusive mode").execute(&mut *tx).await?;
    sqlx::query!(
        "insert into budgets (scope, day_limit_microusd) values ($1, $2)
         on conflict (scope) do update set day_limit_microusd = excluded.day_limit_microusd, set_at = now()",
        name,
        limit.0,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into budget_days (scope, day, reserved_microusd, settled_microusd)
         select $1, today, spent.reserved_microusd, spent.settled_microusd
         from (select (now() at time zone 'UTC')::date as today) as clock
         cross join lateral spent_on($1, today) as spent
         on conflict (scope, day) do update
         set reserved_microusd = excluded.reserved_microusd, settled_microusd = excluded.settled_microusd",
        name,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("select open_gates(array[$1::text]), close_gates(array[$1::text])", name).execute(&mut *tx).await?;
    tx.commit().await?;
    wake(db, scope).await.map(drop)
}

/// Takes the budget of `scope` away; returns whether there was one. Its gate opens, and the jobs that waited for
/// it run again.
///
/// # Errors
/// Those of the database.
pub async fn remove(db: &Db, scope: &Scope) -> Result<bool, StoreError> {
    let name = scope.to_string();
    let mut tx = db.pool.begin().await?;
    sqlx::query!("lock table budget_days in exclusive mode").execute(&mut *tx).await?;
    let removed = sqlx::query!("delete from budgets where scope = $1", name).execute(&mut *tx).await?;
    // Nobody keeps today's row any more.
    sqlx::query!("delete from budget_days where scope = $1 and day >= (now() at time zone 'UTC')::date", name).execute(&mut *tx).await?;
    sqlx::query!("select open_gates(array[$1::text])", name).execute(&mut *tx).await?;
    tx.commit().await?;
    wake(db, scope).await?;
    Ok(removed.rows_affected() > 0)
}

/// Makes the jobs of `scope` ready that wait for a budget; returns how many. One that another budget refuses
/// waits again.
///
/// It locks queue rows only: a transaction that held a budget's row as well would do it in the wrong order.
///
/// # Errors
/// Those of the database.
pub async fn wake(db: &Db, scope: &Scope) -> Result<u64, StoreError> {
    let mut all = 0;
    loop {
        let woken = sqlx::query_file_scalar!("sql/wake_budget.sql", scope.to_string(), WAKE_AT_ONCE).fetch_one(&db.pool).await?;
        all += woken.unsigned_abs();
        if woken < WAKE_AT_ONCE {
            wake::notify_all(db).await;
            return Ok(all);
        }
    }
}

/// All budgets, by scope, with what today has used.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db) -> Result<Vec<Budget>, StoreError> {
    let rows = sqlx::query!(
        r#"select budgets.scope, day_limit_microusd, coalesce(reserved_microusd, 0) as "reserved!",
                  coalesce(settled_microusd, 0) as "settled!", gates.until as "closed_until?"
           from budgets
           left join budget_days on budget_days.scope = budgets.scope and day = (now() at time zone 'UTC')::date
           left join gates on gates.scope = budgets.scope and gates.reason = 'budget' and gates.until > now()
           order by budgets.scope"#
    )
    .fetch_all(&db.pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Budget {
                scope: parse("budgets.scope", &row.scope)?,
                limit_microusd: MicroUsd(row.day_limit_microusd),
                reserved_microusd: MicroUsd(row.reserved),
                settled_microusd: MicroUsd(row.settled),
                closed_until: row.closed_until,
            })
        })
        .collect()
}

/// The budgets of today and yesterday that the ledger contradicts; none unless something is broken.
///
/// # Errors
/// Those of the database.
pub async fn drifts(db: &Db) -> Result<Vec<Drift>, StoreError> {
    let rows = sqlx::query!(
        r#"select scope, day, kept.reserved_microusd + kept.settled_microusd as "kept!",
                  spent.reserved_microusd + spent.settled_microusd as "ledger!"
           from budget_days kept
           cross join lateral spent_on(scope, day) as spent
           where day >= (now() at time zone 'UTC')::date - 1
             and (kept.reserved_microusd, kept.settled_microusd) <> (spent.reserved_microusd, spent.settled_microusd)
           order by scope, day"#
    )
    .fetch_all(&db.pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Drift {
                scope: parse("budget_days.scope", &row.scope)?,
                day: row.day,
                kept_microusd: MicroUsd(row.kept),
                ledger_microusd: MicroUsd(row.ledger),
            })
        })
        .collect()
}
