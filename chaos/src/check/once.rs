//! Nothing is there twice, and nothing is missing in between: half-steps, events, rows of the ledger.

use std::collections::BTreeSet;

use super::Verdict;
use super::facts::Facts;

const NAME: &str = "nothing twice";

pub(super) fn check(facts: &Facts, verdict: &mut Verdict) {
    for (job_id, events) in &facts.events {
        verdict.see(NAME, events.len());
        gapless(events.iter().map(|event| event.seq), &format!("the events of job {job_id}"), verdict);
    }
    for (job_id, entries) in &facts.ledger {
        verdict.see(NAME, entries.len());
        gapless(entries.iter().map(|entry| entry.seq), &format!("the ledger of job {job_id}"), verdict);
        let mut closed = BTreeSet::new();
        for entry in entries {
            if let Some(reservation) = entry.reservation_seq {
                verdict.require(closed.insert(reservation), NAME, || format!("job {job_id}: reservation {reservation} is closed twice"));
            }
        }
    }
    for (job_id, halves) in &facts.halves {
        verdict.see(NAME, halves.len());
        let mut seen = BTreeSet::new();
        for half in halves {
            let new = seen.insert((half.step_no, half.half.as_str()));
            verdict.require(new, NAME, || format!("job {job_id}: the {} of step {} is there twice", half.half, half.step_no));
        }
        // A stored reply is a paid one, and the reverse: they are one statement, so they carry one moment.
        let replies: BTreeSet<(i64, i64)> =
            halves.iter().filter(|half| half.half == "reply").map(|half| (half.step_no, half.at_us)).collect();
        let none = Vec::new();
        let entries = facts.ledger.get(job_id).unwrap_or(&none);
        let settled: BTreeSet<(i64, i64)> =
            entries.iter().filter(|entry| entry.kind == "settled").map(|entry| (entry.step_no, entry.at_us)).collect();
        verdict.require(replies == settled, NAME, || {
            format!("job {job_id}: the stored replies and the settled calls differ (step, microseconds): {replies:?} and {settled:?}")
        });
    }
}

fn gapless(numbers: impl Iterator<Item = i64>, what: &str, verdict: &mut Verdict) {
    for (index, number) in numbers.enumerate() {
        let expected = index as i64 + 1;
        if number != expected {
            verdict.fail(NAME, format!("{what}: number {expected} is missing or number {number} is there twice"));
            return;
        }
    }
}
