//! Many jobs wait: people are told which, and why nobody takes them.

use std::fmt::Write;

use async_trait::async_trait;
use config::failure;
use dispatch::HandlerError;
use domain::{Counts, Mode, Scope};
use store::alarms::{self, Waiting, Workers};
use store::gates::{self, Gate};

use super::{Reaction, span};
use crate::course::Course;

/// The most repositories that a notice names.
const MOST: u32 = 20;

pub(super) struct QueueDepth;

#[async_trait]
impl Reaction for QueueDepth {
    fn suffix(&self) -> &'static str {
        "queue-depth"
    }

    fn intends(&self) -> &'static str {
        "tell people what waits, why, and what they can type"
    }

    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let with = course.with;
        let waiting = alarms::waiting(&with.db, MOST).await.map_err(failure::of_store)?;
        let gates = gates::list(&with.db).await.map_err(failure::of_store)?;
        let mut why = Vec::new();
        for mode in [Mode::Mechanic, Mode::Genius] {
            if waiting.iter().all(|part| part.mode != mode) {
                continue;
            }
            let workers = alarms::workers(&with.db, mode).await.map_err(failure::of_store)?;
            let counts = match &with.capacity {
                Some(capacity) => Some(capacity.counts(mode).await.map_err(|error| error.to_string())),
                None => None,
            };
            why.push(of_workers(mode, workers, counts, with.workers_max(mode)));
        }
        why.extend(gates.iter().filter(|gate| holds(gate, &waiting)).map(of_gate));
        why.extend(waiting.iter().filter_map(of_limit));
        let jobs: i64 = waiting.iter().map(|part| part.jobs).sum();
        let mut text = course.happened();
        if waiting.is_empty() {
            text.push_str("\nNothing waits any more.\n");
        } else {
            text.push_str("\nWhat waits:\n");
        }
        for Waiting { mode, repository, jobs, oldest_secs, .. } in &waiting {
            let _ = writeln!(text, "- {jobs} jobs of a {mode} in {repository}, the oldest for {}", span(*oldest_secs));
        }
        if !why.is_empty() {
            text.push_str("\nWhy:\n");
        }
        for line in why {
            let _ = writeln!(text, "- {line}");
        }
        text.push_str(
            "\nWhat you can type: `codeteam lanes` shows all queues, `codeteam workers` who works, `codeteam jobs` what was asked for.\n",
        );
        let name = &course.change.name;
        let subject = format!("{name}: {jobs} jobs wait");
        course.tell(&subject, &text).await
    }
}

/// What the workers of a mode have to do with it.
fn of_workers(mode: Mode, workers: Workers, counts: Option<Result<Counts, String>>, most: u32) -> String {
    let Workers { alive, slots } = workers;
    let there = format!("{alive} workers of mode {mode} are there, for {slots} jobs at the same time");
    match counts {
        None => format!("{there}; nobody can be asked for more: start one with `codeteam work --mode {mode}`"),
        Some(Err(error)) => format!("{there}; how many were asked for is not known: {error}"),
        Some(Ok(Counts { desired, .. })) if desired >= most => {
            let name = <&str>::from(mode).to_uppercase();
            format!("{there}, and the most, {most}, were asked for: wait, or raise WORKERS_MAX_{name}")
        }
        Some(Ok(Counts { desired, running })) if i64::from(desired) > alive => {
            format!("{there}; {desired} were asked for and {running} run: they start, or cannot (look at the events of the service in ECS)")
        }
        Some(Ok(Counts { desired, .. })) => format!("{there}, and {desired} were asked for of at most {most}"),
    }
}

/// Whether a gate holds back something that waits.
fn holds(gate: &Gate, waiting: &[Waiting]) -> bool {
    waiting.iter().any(|part| match &gate.scope {
        Scope::All => true,
        Scope::Mode(mode) => part.mode == *mode,
        Scope::Repository(repository) => part.repository == *repository,
    })
}

fn of_gate(gate: &Gate) -> String {
    let Gate { scope, reason, until, detail, .. } = gate;
    let why = detail["why"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
    let until = until.map_or_else(|| "until somebody resumes it".to_owned(), |until| format!("until {until}"));
    match reason.as_str() {
        "paused" => format!("{scope} is paused {until}{why}: `codeteam resume {scope}`"),
        _ if detail["alarm"].is_number() => format!("an alarm closed {scope} {until}{why}: wait, or `codeteam resume {scope}`"),
        _ => format!("the budget of {scope} is used up {until}{why}: wait, or `codeteam budget set {scope} DOLLARS`"),
    }
}

fn of_limit(part: &Waiting) -> Option<String> {
    let Waiting { repository, running, .. } = part;
    let most = part.max_running.filter(|most| *running >= i64::from(*most))?;
    Some(format!("{repository} runs {running} jobs of at most {most}: `codeteam lanes set {repository} --max-running N` lets more run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_nobody_takes_a_job_is_told_with_what_to_do() {
        let workers = Workers { alive: 2, slots: 4 };
        let told = |counts| of_workers(Mode::Genius, workers, counts, 3);
        let counts = |desired, running| Some(Ok(Counts { desired, running }));
        let there = "2 workers of mode genius are there, for 4 jobs at the same time";
        assert_eq!(told(None), format!("{there}; nobody can be asked for more: start one with `codeteam work --mode genius`"));
        assert_eq!(told(counts(3, 2)), format!("{there}, and the most, 3, were asked for: wait, or raise WORKERS_MAX_GENIUS"));
        assert!(of_workers(Mode::Genius, workers, counts(5, 2), 9).contains("5 were asked for and 2 run"));
        assert_eq!(told(counts(2, 2)), format!("{there}, and 2 were asked for of at most 3"));
        assert_eq!(told(Some(Err("no rights".to_owned()))), format!("{there}; how many were asked for is not known: no rights"));
    }
}
