//! What is done about alarms, one file each. An alarm is answered by the reaction whose suffix its name ends with
//! (`ai-coding-team-prod-queue-depth`); one that nobody knows is told to people as it is.
//!
//! Every reaction looks at the database as it is now, not as it was when the alarm went off, and may run again after a crash: what it
//! did before is in the course's actions.

mod budget;
mod database_connections;
mod queue_depth;
mod stale_workers;
mod stuck_jobs;
mod unknown;

use async_trait::async_trait;
use dispatch::HandlerError;
use domain::AlarmChange;

use crate::course::Course;

/// All of them: whoever adds one adds it here.
pub(crate) const ALL: [&dyn Reaction; 5] = [
    &queue_depth::QueueDepth,
    &stale_workers::StaleWorkers,
    &stuck_jobs::StuckJobs,
    &database_connections::DatabaseConnections,
    &budget::Budget,
];

/// What is done about one kind of alarm when it goes off.
#[async_trait]
pub(crate) trait Reaction: Send + Sync {
    /// What the names of its alarms end with, after a hyphen.
    fn suffix(&self) -> &'static str;

    /// What it does, in words, to be written down before.
    fn intends(&self) -> &'static str;

    /// Whether it answers `change`.
    fn answers(&self, change: &AlarmChange) -> bool {
        change.name.strip_suffix(self.suffix()).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    }

    /// Does it.
    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError>;
}

/// The reaction that answers `change`.
pub(crate) fn of(change: &AlarmChange) -> &'static dyn Reaction {
    ALL.into_iter().find(|reaction| reaction.answers(change)).unwrap_or(&unknown::Unknown)
}

/// `25 s`, `7 min`, `3 h 20 min`.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::AlarmState;
    use time::OffsetDateTime;

    use super::*;

    fn answered(name: &str) -> &'static str {
        of(&AlarmChange::new(name, AlarmState::Alarm, OffsetDateTime::UNIX_EPOCH)).suffix()
    }

    #[test]
    fn an_alarm_is_answered_by_the_end_of_its_name() {
        for suffix in ["queue-depth", "stale-workers", "stuck-jobs", "database-connections", "budget"] {
            assert_eq!([answered(suffix), answered(&format!("ai-coding-team-prod-{suffix}"))], [suffix, suffix]);
        }
        for other in ["", "ai-coding-team-prod-cpu", "overbudget", "budget-forecast", "queue_depth"] {
            assert_eq!(answered(other), "unknown", "{other}");
        }
    }

    #[test]
    fn every_reaction_has_a_suffix_of_its_own() {
        let suffixes: BTreeSet<_> = ALL.iter().map(|reaction| reaction.suffix()).collect();
        assert_eq!(suffixes.len(), ALL.len());
    }

    #[test]
    fn spans_are_told_as_people_do() {
        assert_eq!([0, 119, 120, 7199, 12_000].map(span), ["0 s", "119 s", "2 min", "119 min", "3 h 20 min"]);
    }
}
