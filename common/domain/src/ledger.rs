//! The ledger's hash chain: one per job, SHA-256 over canonical bytes, each row over the one before.
//!
//! The database computes the hash in the statement that inserts the row (`ledger_hash` in the
//! migrations); this module computes it again, independently, to verify.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{JobId, MicroUsd, Usage};

/// A SHA-256 over a row and the rows before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What the first row of a job is chained to.
    pub const GENESIS: Self = Self([0; 32]);
}

impl std::fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a ledger row records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntryKind {
    /// Held back before a model call, at the worst case.
    Reserved,
    /// What the call really cost; closes its reservation.
    Settled,
    /// The call was never answered and nothing is owed; closes its reservation.
    Released,
    /// What the call really cost, written by a worker that had lost its lease meanwhile; closes its
    /// reservation.
    SettledLate,
}

/// One row of the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Entry {
    /// The job that pays.
    pub job_id: JobId,
    /// 1, 2, 3 … without gaps within the job.
    pub seq: i64,
    /// Microseconds since 1970-01-01 UTC, by the database's clock.
    pub at_us: i64,
    /// What the row records.
    pub kind: EntryKind,
    /// The step that the call belongs to, from 1.
    pub step_no: i32,
    /// The `seq` of the reservation that this row closes; `None` for reservations.
    pub reservation_seq: Option<i64>,
    /// The model's name in the price table.
    pub model: String,
    /// Tokens used; zero for reservations.
    pub usage: Usage,
    /// Money held back (reserved) or spent (settled).
    pub cost_microusd: MicroUsd,
}

impl Entry {
    /// The bytes that are hashed: the fields in the order of the struct, one a line, decimal numbers, an
    /// empty line for `None`. No field can contain a line break (the table refuses such a model name).
    pub fn canonical(&self) -> String {
        let Self { job_id, seq, at_us, kind, step_no, reservation_seq, model, usage, cost_microusd } = self;
        let reservation = reservation_seq.map(|seq| seq.to_string()).unwrap_or_default();
        let Usage { uncached_input, cache_read, cache_write, output } = usage;
        format!(
            "{job_id}\n{seq}\n{at_us}\n{kind}\n{step_no}\n{reservation}\n{model}\n{uncached_input}\n{cache_read}\n{cache_write}\n{output}\n{cost}",
            cost = cost_microusd.0
        )
    }

    /// The hash of this row after `previous`.
    pub fn hash(&self, previous: ChainHash) -> ChainHash {
        let mut hasher = Sha256::new();
        hasher.update(previous.0);
        hasher.update(self.canonical().as_bytes());
        ChainHash(hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            job_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            seq: 2,
            at_us: 1_700_000_000_000_000,
            kind: EntryKind::Settled,
            step_no: 1,
            reservation_seq: Some(1),
            model: "claude-haiku-4-5".into(),
            usage: Usage { uncached_input: 1, cache_read: 2, cache_write: 3, output: 4 },
            cost_microusd: MicroUsd(25),
        }
    }

    #[test]
    fn the_canonical_bytes_are_one_field_a_line() {
        assert_eq!(
            entry().canonical(),
            "01890a5d-ac96-774b-bcce-b302099a8057\n2\n1700000000000000\nsettled\n1\n1\nclaude-haiku-4-5\n1\n2\n3\n4\n25"
        );
    }

    #[test]
    fn any_change_of_a_row_or_of_its_past_changes_the_hash() {
        let hash = entry().hash(ChainHash::GENESIS);
        assert_ne!(Entry { cost_microusd: MicroUsd(26), ..entry() }.hash(ChainHash::GENESIS), hash);
        assert_ne!(entry().hash(hash), hash);
    }
}
