//! The ledger for accountants: row by row, with the job's repository and mode.

use domain::{JobId, MicroUsd};
use futures_util::Stream;
use futures_util::stream::TryStreamExt;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{Db, StoreError};

/// A row of the ledger with its job's repository and mode.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The job that pays.
    pub job_id: JobId,
    /// Its number within the job.
    pub seq: i64,
    /// When it was written.
    pub at: OffsetDateTime,
    /// What it records.
    pub kind: String,
    /// `owner/name`; `None` = the job is gone.
    pub repository: Option<String>,
    /// `mechanic` or `genius`.
    pub mode: Option<String>,
    /// The step that the call belongs to.
    pub step_no: i32,
    /// The reservation that it closes.
    pub reservation_seq: Option<i64>,
    /// The model's name in the price table.
    pub model: String,
    /// Tokens: uncached input, cache read, cache write, output.
    pub tokens: [i64; 4],
    /// Money held back or spent.
    pub cost_microusd: MicroUsd,
    /// The row's hash, in hexadecimal digits.
    pub hash: String,
}

struct Row {
    job_id: Uuid,
    seq: i64,
    at: OffsetDateTime,
    kind: String,
    repository: Option<String>,
    mode: Option<String>,
    step_no: i32,
    reservation_seq: Option<i64>,
    model: String,
    uncached_input: i64,
    cache_read: i64,
    cache_write: i64,
    output: i64,
    cost_microusd: i64,
    hash: String,
}

/// The rows of the days `from` to `to` (UTC, both included; `None` = without end), by job and number, one after
/// the other: nothing is collected.
pub fn export(db: &Db, from: Option<Date>, to: Option<Date>) -> impl Stream<Item = Result<Exported, StoreError>> + '_ {
    let rows = sqlx::query_file_as!(Row, "sql/export.sql", from, to).fetch(&db.pool);
    rows.map_err(StoreError::from).map_ok(|row| Exported {
        job_id: JobId(row.job_id),
        seq: row.seq,
        at: row.at,
        kind: row.kind,
        repository: row.repository,
        mode: row.mode,
        step_no: row.step_no,
        reservation_seq: row.reservation_seq,
        model: row.model,
        tokens: [row.uncached_input, row.cache_read, row.cache_write, row.output],
        cost_microusd: MicroUsd(row.cost_microusd),
        hash: row.hash,
    })
}
