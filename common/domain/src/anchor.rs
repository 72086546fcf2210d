//! Anchors of the ledger: the heads of all chains that moved, under one hash, chained to the anchor before.
//!
//! The database computes the hash in the statement that inserts the anchor (`anchor_hash` in the migrations);
//! this module computes it again, independently, to verify.

use sha2::{Digest, Sha256};

use crate::ledger::ChainHash;

/// One anchor, as far as its hash covers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor<'a> {
    /// 1, 2, 3 … without gaps.
    pub anchor_no: i64,
    /// Microseconds since 1970-01-01 UTC, by the database's clock.
    pub at_us: i64,
    /// What retention dropped from the ledger ([`Retired`]); empty unless this anchor says so.
    pub retired: &'a str,
    /// One chain a line, by job: its id, the number of its last row, that row's hash in hexadecimal digits.
    pub heads: &'a str,
}

impl Anchor<'_> {
    /// The hash of this anchor after `previous`; the first one follows [`ChainHash::GENESIS`].
    pub fn hash(&self, previous: ChainHash) -> ChainHash {
        let Self { anchor_no, at_us, retired, heads } = self;
        let mut hasher = Sha256::new();
        hasher.update(previous.0);
        hasher.update(format!("{anchor_no}\n{at_us}\n{retired}\n").as_bytes());
        hasher.update(heads.as_bytes());
        ChainHash(hasher.finalize().into())
    }
}

/// A part of the ledger that retention dropped: the jobs from `from` up to and without `below`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retired {
    /// The partition's name, such as `ledger_2026_01`.
    pub partition: String,
    /// The lowest job of it.
    pub from: crate::JobId,
    /// The first job that is not of it.
    pub below: crate::JobId,
}

impl Retired {
    /// As [`Anchor::retired`] holds it: `ledger_2026_01 FROM BELOW`. `None` = the text says something else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (partition, from, below) = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(Self { partition, from, below })
    }

    /// Whether the rows of `job_id` were in it.
    pub fn holds(&self, job_id: crate::JobId) -> bool {
        self.from <= job_id && job_id < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: Anchor<'_> = Anchor { anchor_no: 7, at_us: 1_700_000_000_000_000, retired: "", heads: "a 1 00\nb 2 ff" };

    #[test]
    fn any_change_of_an_anchor_or_of_its_past_changes_the_hash() {
        let hash = ANCHOR.hash(ChainHash::GENESIS);
        for other in [
            Anchor { anchor_no: 8, ..ANCHOR },
            Anchor { at_us: 1, ..ANCHOR },
            Anchor { retired: "x", ..ANCHOR },
            Anchor { heads: "a 1 00", ..ANCHOR },
        ] {
            assert_ne!(other.hash(ChainHash::GENESIS), hash, "{other:?}");
        }
        assert_ne!(ANCHOR.hash(hash), hash);
    }

    #[test]
    fn what_was_retired_is_read_back() {
        let (from, below) = ("019b7812-6c00-7000-8000-000000000000", "019c17d1-9800-7000-8000-000000000000");
        let retired = Retired::parse(&format!("ledger_2026_01 {from} {below}")).unwrap();
        assert!(retired.holds(from.parse().unwrap()) && !retired.holds(below.parse().unwrap()));
        for text in ["", "ledger_2026_01", &format!("ledger_2026_01 {from} {below} more")] {
            assert_eq!(Retired::parse(text), None, "{text}");
        }
    }
}
