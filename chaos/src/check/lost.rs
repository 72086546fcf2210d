//! Nothing is lost: every request that was accepted is one job, and every job has ended.

use super::facts::Facts;
use super::{Permitted, Verdict};
use crate::model::script::Kind;
use crate::world::World;

const NAME: &str = "nothing lost";

pub(super) fn check(world: &World, facts: &Facts, permitted: Permitted, verdict: &mut Verdict) {
    verdict.see(NAME, world.tickets.len());
    for ticket in &world.tickets {
        let Some(job_id) = &ticket.job_id else {
            verdict.fail(NAME, format!("{} was never accepted", ticket.tag));
            continue;
        };
        let Some(job) = facts.jobs.get(job_id) else {
            verdict.fail(NAME, format!("{} was accepted as job {job_id}, which is not in the database", ticket.tag));
            continue;
        };
        let same = facts.jobs.values().filter(|other| other.tag == ticket.tag).count();
        verdict.require(same == 1, NAME, || format!("{same} jobs were made of {}", ticket.tag));
        let Some(outcome) = &job.outcome else {
            verdict.fail(NAME, format!("job {job_id} ({}) has not ended", ticket.tag));
            continue;
        };
        *verdict.outcomes.entry(outcome.clone()).or_default() += 1;
        let expected =
            permitted.contains(&outcome.as_str()) || (ticket.kind == Kind::Poison && matches!(outcome.as_str(), "failed" | "dead"));
        let detail = job.outcome_detail.clone().unwrap_or_default();
        verdict.require(expected, NAME, || format!("job {job_id} ({}) ended as {outcome}: {detail}", ticket.tag));
        if outcome != "succeeded" {
            // Ids and paths differ from job to job.
            let words: Vec<&str> = detail["cause"].as_str().unwrap_or_default().split_whitespace().collect();
            let words: Vec<&str> = words.into_iter().filter(|word| !word.contains(['/', '-']) && word.len() < 40).take(30).collect();
            *verdict.causes.entry(format!("{outcome}: {}", words.join(" "))).or_default() += 1;
        }
        if outcome == "dead" {
            let cause = detail["cause"].as_str().unwrap_or_default();
            verdict.require(!cause.is_empty(), NAME, || format!("job {job_id} ({}) is dead without a cause", ticket.tag));
        }
    }
    let known = facts.jobs.values().filter(|job| world.tickets.iter().any(|ticket| ticket.job_id.as_ref() == Some(&job.job_id))).count();
    verdict
        .require(known == facts.jobs.len(), NAME, || format!("{} jobs are in the database, and {known} were asked for", facts.jobs.len()));
    for (job_id, state) in &facts.queue {
        let dead = facts.jobs.get(job_id).is_some_and(|job| job.outcome.as_deref() == Some("dead"));
        verdict.require(state == "dead" && dead, NAME, || format!("job {job_id} is still in the queue, {state}"));
    }
}
