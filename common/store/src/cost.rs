//! What was paid, from the ledger's rows.

use domain::MicroUsd;
use serde::Serialize;
use time::Date;

use crate::{Db, StoreError};

/// By what costs are added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum By {
    /// `owner/name`.
    #[strum(to_string = "repository", serialize = "repo")]
    Repository,
    /// The model's name in the price table.
    Model,
    /// `mechanic` or `genius`, as the job is now.
    Mode,
    /// The UTC day, `YYYY-MM-DD`.
    Day,
}

/// One line of costs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cost {
    /// The repository, model, mode or day; `None` = of jobs that are gone, or without a mode.
    pub key: Option<String>,
    /// Model calls that were paid.
    pub calls: i64,
    /// Input tokens at the plain rate.
    pub uncached_input: i64,
    /// Input tokens from a prompt cache.
    pub cache_read: i64,
    /// Input tokens into a prompt cache.
    pub cache_write: i64,
    /// Output tokens.
    pub output: i64,
    /// Paid.
    pub paid_microusd: MicroUsd,
    /// Held back for calls that nobody has settled: under way, or lost with their worker.
    pub held_microusd: MicroUsd,
}

/// Costs of the days `from` to `to` (UTC, both included; `None` = without end), by key. A call counts on the day it
/// was paid, one that is not settled on the day it was made.
///
/// # Errors
/// Those of the database.
pub async fn cost(db: &Db, by: By, from: Option<Date>, to: Option<Date>) -> Result<Vec<Cost>, StoreError> {
    let rows = sqlx::query_file!("sql/cost.sql", <&str>::from(by), from, to).fetch_all(&db.pool).await?;
    let costs = rows.into_iter().map(|row| Cost {
        key: row.key,
        calls: row.calls,
        uncached_input: row.uncached_input,
        cache_read: row.cache_read,
        cache_write: row.cache_write,
        output: row.output,
        paid_microusd: MicroUsd(row.paid),
        held_microusd: MicroUsd(row.held),
    });
    Ok(costs.collect())
}
