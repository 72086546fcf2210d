//! The events of all jobs in one order that every reader sees alike, for live streams.
//!
//! The order is `(xid, job_id, seq)`, and only what lies below the oldest transaction that is still open is
//! read: a transaction with a lower number may commit later, and below that line none is left. So a reader
//! that goes on from its [`Cursor`] misses nothing and sees nothing twice, whoever writes how slowly. The
//! price: one long writing transaction anywhere on the server holds the live view back until it ends.
//!
//! Within one job `seq` is the order in which things happened; the feed's order can differ from it.

use std::fmt;
use std::str::FromStr;

use domain::JobId;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Db, StoreError};

/// How many transactions one statement of [`page`] looks through.
const SPAN: i64 = 20_000;

/// A place in the feed: everything up to and including it has been read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cursor {
    xid: i64,
    job_id: Uuid,
    seq: i64,
}

/// `1k3-0198cb5e7a407c219f3e5b6d8a2cbeef-5`: opaque to everybody else.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{:x}", self.xid, self.job_id.simple(), self.seq)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a place in this feed: give the id of an event as the feed sent it, or none")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let number = |part: Option<&str>| part.and_then(|part| i64::from_str_radix(part, 16).ok()).filter(|number| *number >= 0);
        let mut parts = text.split('-');
        let (xid, job_id, seq) = (number(parts.next()), parts.next(), number(parts.next()));
        let job_id = job_id.and_then(|part| Uuid::try_parse(part).ok());
        let cursor = xid.zip(job_id).zip(seq).map(|((xid, job_id), seq)| Self { xid, job_id, seq });
        // What prints differently was not written by us: `+1`, capitals, a fourth part.
        cursor.filter(|cursor| cursor.to_string() == text).ok_or(InvalidCursor)
    }
}

/// An event in the feed.
#[derive(Clone, PartialEq, Debug)]
pub struct Fed {
    /// Its place.
    pub cursor: Cursor,
    /// The job it happened to.
    pub job_id: JobId,
    /// The job's repository.
    pub repository: String,
    /// Its number within the job.
    pub seq: i64,
    /// When its transaction began, by the database's clock.
    pub created_at: OffsetDateTime,
    /// What happened.
    pub kind: String,
    /// Its fields.
    pub data: Value,
}

/// Which events a reader wants.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Only those of this job.
    pub job_id: Option<JobId>,
    /// Only those of jobs in this repository.
    pub repository: Option<String>,
}

impl Filter {
    /// Whether it lets `event` pass.
    pub fn passes(&self, event: &Fed) -> bool {
        self.job_id.is_none_or(|job_id| job_id == event.job_id)
            && self.repository.as_ref().is_none_or(|repository| *repository == event.repository)
    }
}

/// A part of the feed.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Its events, in the feed's order.
    pub events: Vec<Fed>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether more can be read at once.
    pub more: bool,
}

/// The end of the feed as of now: everything that can be read at this moment lies before it, and everything
/// that is still to come after it, also after a crash of the server.
///
/// # Errors
/// Those of the database.
pub async fn head(db: &Db) -> Result<Cursor, StoreError> {
    // Transaction numbers that left nothing in the WAL are given out again after a crash, and then something new
    // could come to lie before this place. The message, which nobody reads, takes care that it does not.
    let xid = sqlx::query_scalar!(
        r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!"
           from pg_logical_emit_message(true, 'codeteam', '')"#
    );
    Ok(Cursor { xid: xid.fetch_one(&db.pool).await?, job_id: Uuid::nil(), seq: 0 })
}

/// The events after `after`, and up to `until` if given, at most `limit`.
///
/// # Errors
/// Those of the database.
pub async fn page(db: &Db, after: Cursor, until: Option<Cursor>, filter: &Filter, limit: u32) -> Result<Page, StoreError> {
    let mut tx = db.pool.begin().await?;
    // The planner cannot know that the end of the feed is short, and parallel workers cost more than they bring.
    sqlx::query!(
        "select set_config('enable_seqscan', 'off', true) as scans, set_config('max_parallel_workers_per_gather', '0', true) as workers"
    )
    .fetch_one(&mut *tx)
    .await?;
    let open = sqlx::query_scalar!(r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!""#).fetch_one(&mut *tx).await?;
    let end = until.map_or(open, |until| until.xid.min(open));
    // A reader that starts long ago goes through history in parts; one that follows sees all that is new.
    let upto = if after.xid + SPAN < end && until.is_some() { after.xid + SPAN } else { end };
    let rows = sqlx::query_file!(
        "sql/feed.sql",
        after.xid,
        after.job_id,
        after.seq,
        upto,
        filter.job_id.map(|id| id.0),
        filter.repository,
        i64::from(limit),
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let events: Vec<Fed> = rows
        .into_iter()
        .map(|row| Fed {
            cursor: Cursor { xid: row.xid, job_id: row.job_id, seq: row.seq },
            job_id: JobId(row.job_id),
            repository: row.repository,
            seq: row.seq,
            created_at: row.created_at,
            kind: row.kind,
            data: row.data,
        })
        .collect();
    let full = events.len() >= limit as usize;
    let last = events.last().map_or(after, |event| event.cursor);
    // All of a part was seen: go on behind it. A follower stays at its last event, which a crash cannot take back.
    let next = if full || until.is_none() { last } else { Cursor { xid: upto, job_id: Uuid::nil(), seq: 0 }.max(last) };
    Ok(Page { events, next, more: full || upto < end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_text_and_nothing_else_is_one() {
        let cursor = Cursor { xid: 731_002, job_id: Uuid::from_u128(0x0198_cb5e_7a40_7c21_9f3e_5b6d_8a2c_beef), seq: 12 };
        let text = cursor.to_string();
        assert_eq!(text, "b277a-0198cb5e7a407c219f3e5b6d8a2cbeef-c");
        assert_eq!(text.parse(), Ok(cursor));
        for wrong in ["", "-", "1-2-3", &text.to_uppercase(), &format!("+{text}"), &format!("{text}-1"), &text.replacen('-', "--", 1)] {
            assert_eq!(wrong.parse::<Cursor>(), Err(InvalidCursor), "{wrong}");
        }
    }

    #[test]
    fn cursors_sort_like_the_feed() {
        let at = |xid, job, seq| Cursor { xid, job_id: Uuid::from_u128(job), seq };
        let places = [at(1, 9, 9), at(2, 0, 0), at(2, 1, 1), at(2, 1, 2), at(2, 2, 1), at(10, 0, 0)];
        assert!(places.is_sorted());
    }
}
