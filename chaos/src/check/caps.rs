//! No job takes more than its mode allows, but for one cache miss: a call that began below the cap of tokens may find
//! the cache empty, and then what the call before had sent counts once more.

use super::Verdict;
use super::facts::{Entry, Facts, Job};

const NAME: &str = "caps hold";

/// What a mode allows.
pub(super) struct Caps {
    steps: i64,
    /// New tokens.
    pub tokens: i64,
    cost_microusd: i64,
}

const MECHANIC: Caps = Caps { steps: 20, tokens: 50_000, cost_microusd: 500_000 };
const GENIUS: Caps = Caps { steps: 100, tokens: 200_000, cost_microusd: 10_000_000 };

/// The furthest that a job went past its cap of tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Overshoot {
    /// New tokens above the cap.
    pub tokens: i64,
    /// What the last call did not find in the cache: the most that it may be.
    pub missed: i64,
}

pub(super) fn of(job: &Job) -> Caps {
    if job.mode.as_deref() == Some("genius") { GENIUS } else { MECHANIC }
}

pub(super) fn check(facts: &Facts, verdict: &mut Verdict) {
    let none = Vec::new();
    let (mut over, mut most) = (0_u32, Overshoot::default());
    for job in facts.jobs.values() {
        verdict.see(NAME, 1);
        let caps = of(job);
        let overshoot = walk(job, facts.ledger.get(&job.job_id).unwrap_or(&none), verdict);
        over += u32::from(overshoot.tokens > 0);
        most = most.max(overshoot);
        let tokens = job.token_cap + overshoot.tokens;
        for (what, took, cap) in
            [("steps", job.steps, caps.steps), ("tokens", job.tokens, tokens), ("micro-dollars", job.cost_microusd, caps.cost_microusd)]
        {
            let took = took.unwrap_or_default();
            verdict.require(took <= cap, NAME, || format!("job {} ({}) took {took} {what}, of at most {cap}", job.job_id, job.tag));
        }
    }
    if over > 0 {
        verdict.notes.push(format!(
            "{over} jobs passed their cap of tokens, each by less than one cache miss; at most by {} tokens, in a call that missed {}",
            most.tokens, most.missed
        ));
    }
}

/// Adds the calls up, in order; how far the last one went past the cap.
fn walk(job: &Job, entries: &[Entry], verdict: &mut Verdict) -> Overshoot {
    let (job_id, tag) = (&job.job_id, &job.tag);
    let (mut spent, mut sent, mut overshoot) = (0, 0, Overshoot::default());
    for entry in entries {
        match entry.kind.as_str() {
            "reserved" => verdict.require(spent < job.token_cap, NAME, || {
                format!(
                    "job {job_id} ({tag}): row {} of the ledger begins a call when {spent} tokens were spent, of {}",
                    entry.seq, job.token_cap
                )
            }),
            "settled" | "settled_late" => {
                spent += entry.uncached_input + entry.cache_write + entry.output;
                let missed = (sent - entry.cache_read).max(0);
                sent = entry.uncached_input + entry.cache_read + entry.cache_write;
                if spent > job.token_cap {
                    overshoot = Overshoot { tokens: spent - job.token_cap, missed };
                }
            }
            _ => {}
        }
    }
    verdict.require(overshoot.tokens <= overshoot.missed, NAME, || {
        format!(
            "job {job_id} ({tag}) passed its cap by {} tokens, and its last call missed {} in the cache",
            overshoot.tokens, overshoot.missed
        )
    });
    overshoot
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(seq: i64, kind: &str, [cache_read, cache_write, output]: [i64; 3]) -> Entry {
        let row = json!({ "job_id": "1", "seq": seq, "kind": kind, "step_no": 1, "at_us": 0, "uncached_input": 0,
            "cache_read": cache_read, "cache_write": cache_write, "output": output });
        serde_json::from_value(row).unwrap()
    }

    fn walked(entries: &[Entry]) -> (Overshoot, usize) {
        let mut job: Job = serde_json::from_value(json!({ "job_id": "1", "title": "" })).unwrap();
        job.token_cap = 1000;
        let mut verdict = Verdict::default();
        let overshoot = walk(&job, entries, &mut verdict);
        (overshoot, verdict.violations.len())
    }

    #[test]
    fn a_miss_may_pass_the_cap_by_what_it_missed_and_nothing_else_may() {
        let first = entry(1, "settled", [0, 600, 100]);
        assert_eq!(walked(&[first.clone(), entry(2, "settled", [600, 200, 100])]), (Overshoot::default(), 0));
        assert_eq!(walked(&[first.clone(), entry(2, "settled", [0, 800, 100])]), (Overshoot { tokens: 600, missed: 600 }, 0));
        assert_eq!(walked(&[first, entry(2, "settled", [600, 301, 100])]), (Overshoot { tokens: 101, missed: 0 }, 1));
    }

    #[test]
    fn no_call_begins_when_the_cap_is_reached() {
        let spent = |output| [entry(1, "settled", [0, 600, output]), entry(2, "reserved", [0; 3])];
        assert_eq!((walked(&spent(399)).1, walked(&spent(400)).1), (0, 1));
    }
}
