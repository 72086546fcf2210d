//! Identifiers. A job's id is a UUIDv7, so ids sort by creation time and range partitions by id are
//! ranges of time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// Identifies one job for ever: a UUIDv7 (RFC 9562), made by whoever enqueues.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A new id, later than every id this process has made before.
    #[expect(clippy::new_without_default, reason = "an id is made on purpose, never by default")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// When it was made, to the millisecond, by the clock of whoever made it: a UUIDv7 begins with that.
    pub fn created_at(&self) -> OffsetDateTime {
        let millis = self.0.as_bytes()[..6].iter().fold(0_i128, |millis, byte| millis << 8 | i128::from(*byte));
        OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The last twelve hexadecimal digits: what branch names and screens show. They come from the random
    /// part of the id, so two jobs of one millisecond differ.
    pub fn short(&self) -> String {
        let text = self.0.simple().to_string();
        text[text.len() - 12..].to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Identifies one command of a person: a UUIDv7, so commands sort by the time at which they were written down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

impl CommandId {
    /// A new id, later than every id this process has made before.
    #[expect(clippy::new_without_default, reason = "an id is made on purpose, never by default")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies one worker process: fresh at every start, never derived from a host or task name, so a
/// restarted worker can never be taken for the one that died.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerId(pub Uuid);

impl OwnerId {
    /// The identity of a process that starts now.
    #[expect(clippy::new_without_default, reason = "an identity is made on purpose, never by default")]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

/// Counts how often a job changed hands. Every claim, sweep and requeue raises it, and every write of a
/// worker names it, so a worker that lost its lease cannot write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_ids_sort_by_creation() {
        let ids: Vec<JobId> = (0..100).map(|_| JobId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_job_id_knows_when_it_was_made() {
        let job_id: JobId = "019b76da-a800-7000-8000-000000000000".parse().unwrap();
        assert_eq!(job_id.created_at(), time::macros::datetime!(2026-01-01 00:00 UTC));
    }

    #[test]
    fn a_job_id_survives_text_and_json() {
        let id = JobId::new();
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert_eq!(serde_json::from_str::<JobId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }
}
