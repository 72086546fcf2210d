//! Follows the chain of one job and says where it breaks.

use std::collections::HashMap;

use domain::ledger::{ChainHash, Entry};
use domain::{JobId, MicroUsd};

use super::Fault;

/// A row that an anchor saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub anchor_no: i64,
    pub seq: i64,
    pub head: ChainHash,
}

/// The head and total that a job keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub seq: i64,
    pub head: ChainHash,
    pub cost: MicroUsd,
}

/// The chain of one job, row by row. One fault: behind a broken row nothing can be said.
pub(super) struct Chain {
    job_id: JobId,
    seq: i64,
    hash: ChainHash,
    settled: MicroUsd,
    open: HashMap<i64, MicroUsd>,
    /// What anchors saw of it, the lowest row last.
    seen: Vec<Seen>,
    /// Retention dropped its beginning, or all of it.
    retired: bool,
    fault: Option<Fault>,
}

impl Chain {
    /// The chain of a job of which anchors saw these rows; `retired` = retention dropped the partition of its rows,
    /// so that it may begin anywhere or be empty.
    pub(super) fn new(job_id: JobId, mut seen: Vec<Seen>, retired: bool) -> Self {
        seen.sort_by_key(|seen| std::cmp::Reverse((seen.seq, seen.anchor_no)));
        Self { job_id, seq: 0, hash: ChainHash::GENESIS, settled: MicroUsd::ZERO, open: HashMap::new(), seen, retired, fault: None }
    }

    pub(super) fn job_id(&self) -> JobId {
        self.job_id
    }

    fn fail(&mut self, seq: i64, what: String) {
        self.fault.get_or_insert(Fault { job_id: self.job_id, seq, what });
    }

    /// A row that cannot even be read.
    pub(super) fn broken(&mut self, seq: i64, what: String) {
        self.fail(seq, what);
        self.seq = seq;
    }

    pub(super) fn follow(&mut self, entry: &Entry, stored: ChainHash) {
        // What is left of a dropped partition begins somewhere; nobody can compute that row's hash again.
        let begins_anywhere = self.retired && self.seq == 0 && entry.seq > 1;
        if !begins_anywhere {
            if entry.seq != self.seq + 1 {
                self.fail(self.seq + 1, format!("row {} is missing", self.seq + 1));
            }
            if entry.hash(self.hash) != stored {
                self.fail(entry.seq, "the row, or one before it, was changed: its hash does not match".to_owned());
            }
        }
        match entry.reservation_seq {
            None => {
                self.open.insert(entry.seq, entry.cost_microusd);
            }
            Some(reservation) => {
                if self.open.remove(&reservation).is_none() && !self.retired {
                    self.fail(entry.seq, format!("it closes reservation {reservation}, which is not open"));
                }
                self.settled += entry.cost_microusd;
            }
        }
        self.seq = entry.seq;
        self.hash = stored;
        while let Some(seen) = self.seen.last().copied()
            && seen.seq <= self.seq
        {
            self.seen.pop();
            // Rows before the beginning of a retired chain are gone, and may be.
            if seen.seq == self.seq && seen.head != self.hash {
                self.fail(seen.seq, format!("the row is not the one that anchor {} holds", seen.anchor_no));
            } else if seen.seq < self.seq && !begins_anywhere {
                self.fail(seen.seq, format!("the row that anchor {} holds is missing", seen.anchor_no));
            }
        }
    }

    /// Compares the end of the chain with what the job keeps; `None` = there is no such job.
    pub(super) fn end(mut self, kept: Option<Kept>) -> Option<Fault> {
        let nothing_left = self.retired && self.seq == 0;
        let seen = if nothing_left { None } else { self.seen.first().copied() };
        let total = self.settled + self.open.values().copied().sum();
        match kept {
            None if self.seq > 0 => {
                self.fail(1, "the ledger has rows of a job that is not in the database".to_owned());
            }
            None => {
                if let Some(seen) = seen {
                    let what = format!("anchor {} holds row {} of a job that is not in the database", seen.anchor_no, seen.seq);
                    self.fail(seen.seq, what);
                }
            }
            Some(_) if nothing_left => {}
            Some(kept) if self.seq != kept.seq => {
                self.fail(self.seq.min(kept.seq) + 1, format!("the ledger ends at row {} and the job says {}", self.seq, kept.seq));
            }
            Some(kept) if self.hash != kept.head => {
                self.fail(kept.seq, "the last row is not the one that the job was closed with".to_owned());
            }
            Some(kept) if total != kept.cost && !self.retired => {
                self.fail(kept.seq, format!("the rows add up to {total} and the job says {}", kept.cost));
            }
            Some(_) => {
                if let Some(seen) = seen {
                    self.fail(
                        self.seq + 1,
                        format!("the ledger ends at row {} and anchor {} holds row {}", self.seq, seen.anchor_no, seen.seq),
                    );
                }
            }
        }
        self.fault
    }
}
