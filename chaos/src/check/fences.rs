//! The fence holds: whoever writes holds the lease at that moment, and nobody writes under an epoch that is
//! over.

use super::Verdict;
use super::facts::{Event, Facts, Half};

const NAME: &str = "fences hold";

/// What only the holder of the lease may write.
const FENCED: &[&str] = &["prepared", "model_called", "model_replied", "tools_ran", "effect", "finalized"];
/// What ends a lease.
const ENDS: &[&str] = &["released", "attempt_failed", "lease_expired", "finalized", "snoozed", "budget_refused"];

pub(super) fn check(facts: &Facts, verdict: &mut Verdict) {
    let none = Vec::new();
    for (job_id, events) in &facts.events {
        walk(job_id, events, facts.halves.get(job_id).unwrap_or(&none), verdict);
    }
}

fn walk(job_id: &str, events: &[Event], halves: &[Half], verdict: &mut Verdict) {
    let mut lease: Option<i64> = None;
    let mut newest = 0;
    for event in events {
        let (kind, seq) = (event.kind.as_str(), event.seq);
        if kind == "claimed" {
            let epoch = event.data["epoch"].as_i64().unwrap_or_default();
            verdict.require(lease.is_none(), NAME, || {
                format!("job {job_id}: event {seq} claims what epoch {} holds", lease.unwrap_or_default())
            });
            verdict.require(epoch > newest, NAME, || format!("job {job_id}: event {seq} has epoch {epoch} after epoch {newest}"));
            (lease, newest) = (Some(epoch), epoch);
            continue;
        }
        if FENCED.contains(&kind) {
            verdict.see(NAME, 1);
            // Triage refuses without a `claimed` of its own.
            let by_triage = kind == "finalized" && newest == 0;
            verdict
                .require(lease.is_some() || by_triage, NAME, || format!("job {job_id}: event {seq} ({kind}) was written without a lease"));
        }
        let half = match kind {
            "model_replied" => "reply",
            "tools_ran" => "results",
            _ => "",
        };
        if !half.is_empty() {
            let step_no = event.data["step_no"].as_i64().unwrap_or_default();
            let row = halves.iter().find(|row| row.half == half && row.step_no == step_no);
            let epoch = row.map(|row| row.epoch);
            verdict.require(epoch == lease, NAME, || {
                format!("job {job_id}: the {half} of step {step_no} carries epoch {epoch:?}, while epoch {lease:?} held the lease")
            });
        }
        if ENDS.contains(&kind) {
            lease = None;
        }
    }
    let told = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    let stored = |half: &str| halves.iter().filter(|row| row.half == half).count();
    for (kind, half) in [("model_replied", "reply"), ("tools_ran", "results")] {
        let (told, stored) = (told(kind), stored(half));
        verdict.require(told == stored, NAME, || format!("job {job_id}: {told} events {kind} and {stored} rows of {half}"));
    }
}
