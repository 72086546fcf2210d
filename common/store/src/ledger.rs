//! The ledger: reading, verifying, and the one write without a fence.

mod chain;
mod export;
mod verify;

use domain::ledger::{ChainHash, Entry, EntryKind};
use domain::{JobId, MicroUsd, Usage};
use time::OffsetDateTime;
use uuid::Uuid;

pub use export::{Exported, export};
pub use verify::{AnchorFault, Fault, Verified, verify, verify_new};

use crate::error::parse;
use crate::steps::{chain_hash, tokens};
use crate::{Db, StoreError};

struct LedgerRow {
    job_id: Uuid,
    seq: i64,
    at: OffsetDateTime,
    kind: String,
    step_no: i32,
    reservation_seq: Option<i64>,
    model: String,
    uncached_input: i64,
    cache_read: i64,
    cache_write: i64,
    output: i64,
    cost_microusd: i64,
    hash: Vec<u8>,
}

impl LedgerRow {
    fn entry(self) -> Result<(Entry, ChainHash), StoreError> {
        let kind: EntryKind = parse("ledger.kind", &self.kind)?;
        let hash = chain_hash(&self.hash)?;
        let entry = Entry {
            job_id: JobId(self.job_id),
            seq: self.seq,
            at_us: micros(self.at),
            kind,
            step_no: self.step_no,
            reservation_seq: self.reservation_seq,
            model: self.model,
            usage: Usage {
                uncached_input: count("ledger.uncached_input", self.uncached_input)?,
                cache_read: count("ledger.cache_read", self.cache_read)?,
                cache_write: count("ledger.cache_write", self.cache_write)?,
                output: count("ledger.output", self.output)?,
            },
            cost_microusd: MicroUsd(self.cost_microusd),
        };
        Ok((entry, hash))
    }
}

fn count(column: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt { column, value: value.to_string() })
}

/// PostgreSQL keeps microseconds, so nothing is lost.
fn micros(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() * 1_000_000 + i64::from(at.microsecond())
}

/// The ledger of one job, in order.
///
/// # Errors
/// Those of the database.
pub async fn entries(db: &Db, job_id: JobId) -> Result<Vec<Entry>, StoreError> {
    let rows = sqlx::query_as!(
        LedgerRow,
        "select job_id, seq, at, kind, step_no, reservation_seq, model,
                uncached_input, cache_read, cache_write, output, cost_microusd, hash
         from ledger
         where job_id = $1
         order by seq",
        job_id.0
    );
    rows.fetch_all(&db.pool).await?.into_iter().map(|row| Ok(row.entry()?.0)).collect()
}

/// A late settlement.
#[derive(Clone, Copy, Debug)]
pub struct LateSettlement<'a> {
    /// The step that the call belonged to.
    pub step_no: i32,
    /// The model's name in the price table.
    pub model: &'a str,
    /// The reservation that it closes.
    pub reservation_seq: i64,
    /// Tokens used.
    pub usage: Usage,
    /// What they cost.
    pub cost_microusd: MicroUsd,
}

/// Settles the caller's own reservation after its lease was lost while the call was in flight: the money is
/// spent, whoever holds the job now. Returns whether a row was written; the second time none is.
///
/// # Errors
/// Those of the database.
pub async fn settle_late(db: &Db, job_id: JobId, late: LateSettlement<'_>) -> Result<bool, StoreError> {
    let [uncached_input, cache_read, cache_write, output] = tokens(&late.usage);
    // `finish` holds the queue row until the job has ended. Waiting for it in a statement of its own lets the
    // next one see where the chain ends now.
    let mut tx = db.pool.begin().await?;
    sqlx::query!("select job_id from queue where job_id = $1 for update", job_id.0).fetch_optional(&mut *tx).await?;
    let written = sqlx::query_file_scalar!(
        "sql/settle_late.sql",
        job_id.0,
        late.step_no,
        late.model,
        late.reservation_seq,
        uncached_input,
        cache_read,
        cache_write,
        output,
        late.cost_microusd.0,
    )
    .fetch_one(&mut *tx)
    .await;
    match written {
        Ok(settled) => {
            tx.commit().await?;
            Ok(settled)
        }
        // 23505: another late settlement closed it at this moment.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("23505") => Ok(false),
        Err(error) => Err(error.into()),
    }
}
