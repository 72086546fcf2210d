//! Anchors: every minute, the heads of all chains of the ledger that moved, under one hash that is chained to the
//! anchor before and belongs into a log outside of the database.
//!
//! Which chains moved is read from `ledger.xid`, not kept beside it, so it cannot drift: every row below a
//! snapshot's xmin is final, and the next anchor goes on exactly there. A row that commits late is above it.

use std::time::Duration;

use domain::ledger::ChainHash;
use serde::Serialize;

use crate::steps::chain_hash;
use crate::{Db, StoreError};

/// How often heads are anchored.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Among the advisory locks of this database: who writes an anchor now.
const LOCK: i64 = 0x0616_e63f;

/// An anchor that was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Anchored {
    /// Its number.
    pub anchor_no: i64,
    /// How many chains it holds.
    pub heads: i64,
    /// Its hash.
    pub hash: String,
}

/// Writes an anchor over the chains that moved since the last one; `None` when none did, when the last one is not
/// `least_age` old, or while another process writes one. Any process may call this at any time.
///
/// # Errors
/// Those of the database.
pub async fn anchor(db: &Db, least_age: Duration) -> Result<Option<Anchored>, StoreError> {
    let mut tx = db.pool.begin().await?;
    // In a statement of its own: the next one sees what the holder before has written.
    let alone = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "alone!""#, LOCK).fetch_one(&mut *tx).await?;
    if !alone {
        return Ok(None);
    }
    let written = sqlx::query_file!("sql/anchor.sql", least_age.as_secs_f64()).fetch_optional(&mut *tx).await?;
    tx.commit().await?;
    let anchored = written.map(|row| Ok(Anchored { anchor_no: row.anchor_no, heads: row.heads, hash: hex(chain_hash(&row.hash)?) }));
    anchored.transpose()
}

/// Whether anchor `anchor_no` is the one that a log names with `hash` (64 hexadecimal digits).
///
/// # Errors
/// Those of the database.
pub async fn matches(db: &Db, anchor_no: i64, hash: &str) -> Result<bool, StoreError> {
    let stored = sqlx::query_scalar!(r#"select encode(hash, 'hex') as "hash!" from anchors where anchor_no = $1"#, anchor_no);
    Ok(stored.fetch_optional(&db.pool).await?.is_some_and(|stored| stored.eq_ignore_ascii_case(hash)))
}

/// The age of the oldest row of the ledger that no anchor holds yet; `None` = there is none. More than a few
/// minutes means that nobody anchors, or that a transaction has been open for as long.
///
/// # Errors
/// Those of the database.
pub async fn lag(db: &Db) -> Result<Option<Duration>, StoreError> {
    let seconds = sqlx::query_scalar!(
        r#"select extract(epoch from now() - min(at))::float8 as seconds
           from ledger
           where xid >= coalesce((select below_xid from anchors order by anchor_no desc limit 1), '0')"#
    );
    Ok(seconds.fetch_one(&db.pool).await?.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

pub(crate) fn hex(hash: ChainHash) -> String {
    format!("{hash:?}")
}
