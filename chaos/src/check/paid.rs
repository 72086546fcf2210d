//! Nothing is paid twice: every reply that the model gave is stored, or belongs to a call that was in flight
//! when its worker lost the lease; and every one of those is on the books.

use std::collections::BTreeMap;

use super::Verdict;
use super::facts::{Entry, Facts};
use crate::world::World;

const NAME: &str = "no repeated paid call";

pub(super) fn check(world: &World, facts: &Facts, verdict: &mut Verdict) {
    for refusal in world.model.refusals() {
        verdict.fail(NAME, format!("the model had to refuse a request: {refusal}"));
    }
    let tags: BTreeMap<&str, &str> = facts.jobs.values().map(|job| (job.tag.as_str(), job.job_id.as_str())).collect();
    let none = Vec::new();
    let (mut replies, mut bought) = (0, 0);
    for ((tag, step), served) in world.model.book() {
        let Some(job_id) = tags.get(tag.as_str()) else {
            verdict.fail(NAME, format!("the model was asked about {tag}, which is no job"));
            continue;
        };
        verdict.see(NAME, 1);
        let entries = facts.ledger.get(*job_id).unwrap_or(&none);
        let of = |kind: &str| entries.iter().filter(|entry| entry.step_no == step as i64 && entry.kind == kind).count() as u32;
        let (stored, late, open) = (of("settled"), of("settled_late"), unclosed(entries, step));
        (replies, bought) = (replies + served.replied, bought + stored);
        verdict.require(served.replied <= stored + late + open, NAME, || {
            format!(
                "job {job_id} ({tag}) step {step}: the model replied {} times; {stored} replies are stored, {late} settled late, {open} left open",
                served.replied
            )
        });
        let own: Vec<&Entry> = entries.iter().filter(|entry| entry.step_no == step as i64).collect();
        let paid = own.iter().position(|entry| entry.kind == "settled");
        let again = paid.is_some_and(|paid| own[paid..].iter().any(|entry| entry.kind == "reserved"));
        verdict.require(!again, NAME, || format!("job {job_id} ({tag}) step {step}: a call was begun after its reply was stored"));
        verdict.require(stored <= served.replied && stored <= 1, NAME, || {
            format!("job {job_id} ({tag}) step {step}: {stored} replies are stored and the model gave {}", served.replied)
        });
    }
    if replies > bought {
        let lost = replies - bought;
        verdict
            .notes
            .push(format!("the model gave {replies} replies: {bought} are stored, {lost} were in flight when their worker was lost"));
    }
    for (job_id, events) in &facts.events {
        lost_calls(job_id, events, facts.ledger.get(job_id).unwrap_or(&none), verdict);
    }
}

/// Within one lease a call is not repeated: at most one of its reservations is left open (or is settled late).
fn lost_calls(job_id: &str, events: &[super::facts::Event], entries: &[Entry], verdict: &mut Verdict) {
    // The reservations in order are the calls in order, so each belongs to the lease in which its call was noted.
    let mut reservations = entries.iter().filter(|entry| entry.kind == "reserved");
    let mut open = 0;
    for event in events {
        match event.kind.as_str() {
            "claimed" => open = 0,
            "model_called" => {
                let Some(reservation) = reservations.next() else {
                    verdict.fail(NAME, format!("job {job_id}: event {} notes a call for which nothing was held back", event.seq));
                    return;
                };
                let closing = entries.iter().find(|entry| entry.reservation_seq == Some(reservation.seq));
                open += u32::from(closing.is_none_or(|closing| closing.kind == "settled_late"));
                verdict.require(open <= 1, NAME, || {
                    format!("job {job_id}: event {} is a call after one without a reply, under the same lease", event.seq)
                });
            }
            _ => {}
        }
    }
    verdict.require(reservations.next().is_none(), NAME, || format!("job {job_id}: money is held back for a call that no event notes"));
}

fn unclosed(entries: &[Entry], step: usize) -> u32 {
    let reserved = entries.iter().filter(|entry| entry.step_no == step as i64 && entry.kind == "reserved");
    reserved.filter(|entry| !entries.iter().any(|closing| closing.reservation_seq == Some(entry.seq))).count() as u32
}
