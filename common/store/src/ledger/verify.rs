//! Verification: every hash of chains and anchors is computed again, and compared with what the jobs and the
//! anchors say.
//!
//! It goes through the jobs in the order of their ids, some thousands at a time, each time in a snapshot of its
//! own: jobs that run meanwhile do not look broken, memory stays bounded, and no snapshot is held for long.

use std::collections::HashMap;

use domain::anchor::{Anchor, Retired};
use domain::ledger::ChainHash;
use domain::{JobId, MicroUsd};
use futures_util::TryStreamExt;
use serde::Serialize;
use uuid::Uuid;

use super::chain::{Chain, Kept, Seen};
use super::{LedgerRow, micros};
use crate::session::Tx;
use crate::steps::chain_hash;
use crate::{Db, StoreError};

/// Jobs that are looked at in one snapshot.
const JOBS_AT_ONCE: i64 = 5_000;

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Verified {
    /// Jobs whose chain was recomputed.
    pub jobs: u64,
    /// Rows whose hash was recomputed.
    pub rows: u64,
    /// Anchors whose hash was recomputed.
    pub anchors: u64,
    /// Parts of the ledger that retention dropped, as the anchors say.
    pub retired: Vec<String>,
    /// What is wrong with chains; empty = every chain holds.
    pub faults: Vec<Fault>,
    /// What is wrong with the anchors; at most one, since behind it nothing can be said.
    pub anchor_faults: Vec<AnchorFault>,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.faults.is_empty() && self.anchor_faults.is_empty()
    }
}

/// One broken chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// The job.
    pub job_id: JobId,
    /// The row at which the chain breaks.
    pub seq: i64,
    /// What is wrong with it, in a sentence.
    pub what: String,
}

/// Where the chain of anchors breaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AnchorFault {
    /// The anchor.
    pub anchor_no: i64,
    /// What is wrong with it, in a sentence.
    pub what: String,
}

/// How far an earlier verification came.
struct Mark {
    anchor_no: i64,
    hash: ChainHash,
}

/// Recomputes the chains of all jobs, or of one, and compares them with the heads and totals that `queue` and
/// `jobs` keep and with the anchors; for all jobs, the chain of the anchors too. One fault a job. When nothing is
/// wrong with all of them, [`verify_new`] goes on from here.
///
/// # Errors
/// Those of the database.
pub async fn verify(db: &Db, job_id: Option<JobId>) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    let retired = retired(db, &mut verified).await?;
    match job_id {
        Some(JobId(job)) => {
            range(db, job, job, &retired, &mut verified).await?;
        }
        None => {
            let last = anchors(db, None, &mut verified).await?;
            let mut from = Some(Uuid::nil());
            while let Some(lowest) = from {
                from = range(db, lowest, Uuid::max(), &retired, &mut verified).await?;
            }
            keep_mark(db, last, &verified).await?;
        }
    }
    verified.faults.sort_by_key(|fault| (fault.job_id, fault.seq));
    Ok(verified)
}

/// The same for what was anchored since the last verification that found nothing wrong: the anchors since then, and
/// every chain that they hold, whole. What nobody has touched since is not looked at again, and neither is what no
/// anchor holds yet.
///
/// # Errors
/// Those of the database.
pub async fn verify_new(db: &Db) -> Result<Verified, StoreError> {
    let mark = sqlx::query!("select anchor_no, hash from ledger_verified order by anchor_no desc limit 1").fetch_optional(&db.pool).await?;
    let Some(mark) = mark else { return verify(db, None).await };
    let mark = Mark { anchor_no: mark.anchor_no, hash: chain_hash(&mark.hash)? };
    let since = mark.anchor_no;
    let mut verified = Verified::default();
    let retired = retired(db, &mut verified).await?;
    let last = anchors(db, Some(mark), &mut verified).await?;
    let moved = sqlx::query_scalar!("select distinct job_id from anchor_heads where anchor_no > $1 order by job_id", since);
    for job_id in moved.fetch_all(&db.pool).await? {
        range(db, job_id, job_id, &retired, &mut verified).await?;
    }
    keep_mark(db, last, &verified).await?;
    Ok(verified)
}

/// Writes down how far this came, when nothing was wrong. Who may only read verifies all the same.
async fn keep_mark(db: &Db, last: Option<Mark>, verified: &Verified) -> Result<(), StoreError> {
    let Some(Mark { anchor_no, hash }) = last.filter(|_| verified.holds()) else { return Ok(()) };
    let kept = sqlx::query!("insert into ledger_verified (anchor_no, hash) values ($1, $2) on conflict do nothing", anchor_no, &hash.0[..]);
    match kept.execute(&db.pool).await {
        // 42501: no privilege; 25006: a server that only reads.
        Err(sqlx::Error::Database(error)) if ["42501", "25006"].contains(&error.code().as_deref().unwrap_or_default()) => Ok(()),
        kept => Ok(kept.map(drop)?),
    }
}

async fn snapshot(db: &Db) -> Result<Tx, StoreError> {
    let mut tx = db.pool.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read read only").execute(&mut *tx).await?;
    Ok(tx)
}

async fn retired(db: &Db, verified: &mut Verified) -> Result<Vec<Retired>, StoreError> {
    verified.retired =
        sqlx::query_scalar!("select retired from anchors where retired <> '' order by anchor_no").fetch_all(&db.pool).await?;
    Ok(verified.retired.iter().filter_map(|text| Retired::parse(text)).collect())
}

/// Follows the chain of the anchors, from the first one or from behind `mark`; returns where it ends.
async fn anchors(db: &Db, mark: Option<Mark>, verified: &mut Verified) -> Result<Option<Mark>, StoreError> {
    let (mut number, mut hash, mut known) = match mark {
        Some(mark) => (mark.anchor_no, mark.hash, true),
        None => (0, ChainHash::GENESIS, false),
    };
    let mut tx = snapshot(db).await?;
    let mut rows = sqlx::query_file!("sql/anchors.sql", number).fetch(&mut *tx);
    let fault = loop {
        let row = rows.try_next().await?;
        if std::mem::take(&mut known) {
            // The first row is the one that was verified before.
            match &row {
                Some(row) if row.anchor_no == number && row.hash == hash.0 => continue,
                _ => break Some((number, "it was verified before, and is gone or another one".to_owned())),
            }
        }
        let Some(row) = row else { break None };
        verified.anchors += 1;
        let heads = row.heads_text.as_deref().unwrap_or_default();
        let anchor = Anchor { anchor_no: row.anchor_no, at_us: micros(row.at), retired: &row.retired, heads };
        if row.anchor_no != number + 1 {
            break Some((number + 1, "it is missing".to_owned()));
        }
        if row.previous != hash.0 {
            break Some((row.anchor_no, "it does not follow the one before it".to_owned()));
        }
        let computed = anchor.hash(hash);
        if row.hash != computed.0 || row.heads != i64::try_from(heads.lines().count()).unwrap_or(i64::MAX) {
            break Some((row.anchor_no, "it was changed: its hash does not match what it holds".to_owned()));
        }
        (number, hash) = (row.anchor_no, computed);
    };
    verified.anchor_faults.extend(fault.map(|(anchor_no, what)| AnchorFault { anchor_no, what }));
    Ok((number > 0).then_some(Mark { anchor_no: number, hash }))
}

/// Verifies some thousand jobs from `from` on, up to `to`; returns where to go on.
async fn range(db: &Db, from: Uuid, to: Uuid, retired: &[Retired], verified: &mut Verified) -> Result<Option<Uuid>, StoreError> {
    let mut tx = snapshot(db).await?;
    let kept = sqlx::query!(
        r#"select jobs.job_id as "job_id!", coalesce(queue.ledger_seq, jobs.ledger_seq, 0) as "seq!",
                  coalesce(queue.ledger_head, jobs.ledger_head) as "head", coalesce(queue.cost_microusd, jobs.cost_microusd, 0) as "cost!"
           from jobs
           left join queue using (job_id)
           where jobs.job_id between $1 and $2
           order by jobs.job_id
           limit $3"#,
        from,
        to,
        JOBS_AT_ONCE,
    )
    .fetch_all(&mut *tx)
    .await?;
    // Rows of jobs that are not in the database lie between those that are.
    let last = kept.last().filter(|_| kept.len() as i64 == JOBS_AT_ONCE).map(|row| row.job_id);
    let to = last.unwrap_or(to);
    let mut jobs = HashMap::with_capacity(kept.len());
    for row in kept {
        let head = row.head.as_deref().map(chain_hash).transpose()?.unwrap_or(ChainHash::GENESIS);
        jobs.insert(JobId(row.job_id), Kept { seq: row.seq, head, cost: MicroUsd(row.cost) });
    }
    let mut seen: HashMap<JobId, Vec<Seen>> = HashMap::new();
    {
        let mut rows =
            sqlx::query!("select job_id, anchor_no, seq, head from anchor_heads where job_id between $1 and $2", from, to).fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let row_seen = Seen { anchor_no: row.anchor_no, seq: row.seq, head: chain_hash(&row.head)? };
            seen.entry(JobId(row.job_id)).or_default().push(row_seen);
        }
    }
    let is_retired = |job_id: JobId| retired.iter().any(|retired| retired.holds(job_id));
    let mut end = |chain: Chain, jobs: &mut HashMap<JobId, Kept>| {
        let kept = jobs.remove(&chain.job_id());
        verified.faults.extend(chain.end(kept));
    };
    let (mut rows_seen, mut jobs_seen) = (0, 0);
    let mut chain: Option<Chain> = None;
    {
        let mut rows = sqlx::query_as!(
            LedgerRow,
            "select job_id, seq, at, kind, step_no, reservation_seq, model,
                    uncached_input, cache_read, cache_write, output, cost_microusd, hash
             from ledger
             where job_id between $1 and $2
             order by job_id, seq",
            from,
            to,
        )
        .fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            let (job_id, seq) = (JobId(row.job_id), row.seq);
            if chain.as_ref().is_none_or(|chain| chain.job_id() != job_id) {
                jobs_seen += 1;
                let next = Chain::new(job_id, seen.remove(&job_id).unwrap_or_default(), is_retired(job_id));
                if let Some(done) = chain.replace(next) {
                    end(done, &mut jobs);
                }
            }
            let Some(chain) = &mut chain else { continue };
            match row.entry() {
                Ok((entry, hash)) => chain.follow(&entry, hash),
                Err(error) => chain.broken(seq, error.to_string()),
            }
            rows_seen += 1;
        }
    }
    if let Some(done) = chain {
        end(done, &mut jobs);
    }
    // Jobs and anchored heads without a row.
    let without_rows: std::collections::BTreeSet<JobId> = jobs.keys().chain(seen.keys()).copied().collect();
    for job_id in without_rows {
        end(Chain::new(job_id, seen.remove(&job_id).unwrap_or_default(), is_retired(job_id)), &mut jobs);
    }
    verified.rows += rows_seen;
    verified.jobs += jobs_seen;
    Ok(last.and_then(|last| last.as_u128().checked_add(1)).map(Uuid::from_u128))
}
