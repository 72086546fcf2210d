//! The end of a job.

use domain::{Epoch, JobId, MicroUsd, Outcome, OutcomeName, Spent};
use serde_json::Value;

use crate::json::json;
use crate::{Db, StoreError};

/// Ends a job: outcome, links, totals and the final ledger head go to `jobs`, the queue row goes away (a
/// dead job's stays). Returns what the job took.
///
/// # Errors
/// [`StoreError::LeaseLost`], or those of the database.
pub async fn finish(db: &Db, job_id: JobId, epoch: Epoch, outcome: &Outcome, links: &Value) -> Result<Spent, StoreError> {
    let name: OutcomeName = outcome.name();
    let row = sqlx::query_file!("sql/finish.sql", job_id.0, epoch.0, <&str>::from(name), json(outcome), json(links))
        .fetch_optional(&db.pool)
        .await?
        .ok_or(StoreError::LeaseLost { job_id, epoch })?;
    Ok(Spent {
        steps: row.step_no.unwrap_or_default().unsigned_abs(),
        tokens: row.tokens.unwrap_or_default().unsigned_abs(),
        cost_microusd: MicroUsd(row.cost_microusd.unwrap_or_default()),
        active_ms: row.active_ms.unwrap_or_default().unsigned_abs(),
    })
}
