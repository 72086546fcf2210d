//! The ledger: reading, verifying, and the one write without a fence.

use domain::ledger::{ChainHash, Entry, EntryKind};
use domain::{JobId, MicroUsd, Usage};
use futures_util::TryStreamExt;
use serde::Serialize;
use uuid::Uuid;

use crate::error::parse;
use crate::steps::{chain_hash, tokens};
use crate::{Db, StoreError};

struct LedgerRow {
    job_id: Uuid,
    seq: i64,
    at_us: i64,
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
            at_us: self.at_us,
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

/// The ledger of one job, in order.
///
/// # Errors
/// Those of the database.
pub async fn entries(db: &Db, job_id: JobId) -> Result<Vec<Entry>, StoreError> {
    let rows = sqlx::query_as!(
        LedgerRow,
        r#"select job_id, seq, (extract(epoch from at) * 1000000)::bigint as "at_us!", kind, step_no, reservation_seq, model,
                  uncached_input, cache_read, cache_write, output, cost_microusd, hash
           from ledger
           where job_id = $1
           order by seq"#,
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

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Verified {
    /// Jobs whose chain was recomputed.
    pub jobs: u64,
    /// Rows whose hash was recomputed.
    pub rows: u64,
    /// What is wrong; empty = every chain holds.
    pub faults: Vec<Fault>,
}

/// One broken place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// The job.
    pub job_id: JobId,
    /// The row at which the chain breaks.
    pub seq: i64,
    /// What is wrong with it, in a sentence.
    pub what: String,
}

/// Recomputes the chains of all jobs, or of one, and compares them with the heads and totals that `queue`
/// and `jobs` keep. One fault a job: behind a broken row nothing can be said.
///
/// # Errors
/// Those of the database.
pub async fn verify(db: &Db, job_id: Option<JobId>) -> Result<Verified, StoreError> {
    let mut tx = db.pool.begin().await?;
    // One snapshot for rows and heads, so that jobs that run meanwhile do not look broken.
    sqlx::query!("set transaction isolation level repeatable read read only").execute(&mut *tx).await?;
    let mut verified = Verified::default();
    let mut tails = std::collections::HashMap::new();
    let mut chain: Option<Chain> = None;
    {
        let mut rows = sqlx::query_as!(
            LedgerRow,
            r#"select job_id, seq, (extract(epoch from at) * 1000000)::bigint as "at_us!", kind, step_no, reservation_seq, model,
                      uncached_input, cache_read, cache_write, output, cost_microusd, hash
               from ledger
               where $1::uuid is null or job_id = $1
               order by job_id, seq"#,
            job_id.map(|id| id.0)
        )
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let (job_id, seq) = (JobId(row.job_id), row.seq);
            let chain = match &mut chain {
                Some(chain) if chain.job_id == job_id => chain,
                other => {
                    verified.jobs += 1;
                    if let Some(done) = other.take() {
                        tails.insert(done.job_id, done);
                    }
                    other.insert(Chain::new(job_id))
                }
            };
            match row.entry() {
                Ok((entry, hash)) => chain.follow(&entry, hash),
                Err(error) => chain.broken(seq, error.to_string()),
            }
            verified.rows += 1;
        }
    }
    if let Some(done) = chain {
        tails.insert(done.job_id, done);
    }
    let mut heads = sqlx::query!(
        r#"select jobs.job_id as "job_id!", coalesce(queue.ledger_seq, jobs.ledger_seq, 0) as "seq!",
                  coalesce(queue.ledger_head, jobs.ledger_head) as "head",
                  coalesce(queue.cost_microusd, jobs.cost_microusd, 0) as "cost!"
           from jobs
           left join queue using (job_id)
           where $1::uuid is null or jobs.job_id = $1"#,
        job_id.map(|id| id.0)
    )
    .fetch(&mut *tx);
    while let Some(row) = heads.try_next().await? {
        let job_id = JobId(row.job_id);
        let tail = tails.remove(&job_id).unwrap_or_else(|| Chain::new(job_id));
        let head = row.head.as_deref().map(chain_hash).transpose()?.unwrap_or(ChainHash::GENESIS);
        verified.faults.extend(tail.end(row.seq, head, MicroUsd(row.cost)));
    }
    verified.faults.extend(tails.into_values().map(|chain| Fault {
        job_id: chain.job_id,
        seq: 1,
        what: "the ledger has rows of a job that is not in the database".to_owned(),
    }));
    verified.faults.sort_by_key(|fault| (fault.job_id, fault.seq));
    Ok(verified)
}

/// Follows the chain of one job.
struct Chain {
    job_id: JobId,
    seq: i64,
    hash: ChainHash,
    settled: MicroUsd,
    open: std::collections::HashMap<i64, MicroUsd>,
    fault: Option<Fault>,
}

impl Chain {
    fn new(job_id: JobId) -> Self {
        Self { job_id, seq: 0, hash: ChainHash::GENESIS, settled: MicroUsd::ZERO, open: Default::default(), fault: None }
    }

    fn fail(&mut self, seq: i64, what: String) {
        self.fault.get_or_insert(Fault { job_id: self.job_id, seq, what });
    }

    /// A row that cannot even be read.
    fn broken(&mut self, seq: i64, what: String) {
        self.fail(seq, what);
        self.seq = seq;
    }

    fn follow(&mut self, entry: &Entry, stored: ChainHash) {
        if entry.seq != self.seq + 1 {
            self.fail(self.seq + 1, format!("row {} is missing", self.seq + 1));
        }
        let computed = entry.hash(self.hash);
        if computed != stored {
            self.fail(entry.seq, "the row, or one before it, was changed: its hash does not match".to_owned());
        }
        match entry.reservation_seq {
            None => {
                self.open.insert(entry.seq, entry.cost_microusd);
            }
            Some(reservation) => {
                if self.open.remove(&reservation).is_none() {
                    self.fail(entry.seq, format!("it closes reservation {reservation}, which is not open"));
                }
                self.settled += entry.cost_microusd;
            }
        }
        self.seq = entry.seq;
        self.hash = stored;
    }

    fn end(mut self, seq: i64, head: ChainHash, cost: MicroUsd) -> Option<Fault> {
        let total = self.settled + self.open.values().copied().sum();
        if self.seq != seq {
            self.fail(self.seq.min(seq) + 1, format!("the ledger ends at row {} and the job says {seq}", self.seq));
        } else if self.hash != head {
            self.fail(seq, "the last row is not the one that the job was closed with".to_owned());
        } else if total != cost {
            self.fail(seq, format!("the rows add up to {total} and the job says {cost}"));
        }
        self.fault
    }
}
