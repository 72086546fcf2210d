//! No job takes more than its mode allows. (All jobs here are a mechanic's.)

use super::Verdict;
use super::facts::Facts;

const NAME: &str = "caps hold";

const STEPS: i64 = 20;
const TOKENS: i64 = 50_000;
const COST_MICROUSD: i64 = 500_000;

pub(super) fn check(facts: &Facts, verdict: &mut Verdict) {
    for job in facts.jobs.values() {
        verdict.see(NAME, 1);
        for (what, took, cap) in
            [("steps", job.steps, STEPS), ("tokens", job.tokens, TOKENS), ("micro-dollars", job.cost_microusd, COST_MICROUSD)]
        {
            let took = took.unwrap_or_default();
            verdict.require(took <= cap, NAME, || format!("job {} ({}) took {took} {what}, of at most {cap}", job.job_id, job.tag));
        }
    }
}
