//! Jobs stand still though their workers renew the leases: they are taken away and tried again, or given up after the last attempt.

use async_trait::async_trait;
use dispatch::HandlerError;
use domain::AlarmAction;
use store::alarms;

use super::Reaction;
use crate::course::Course;

pub(super) struct StuckJobs;

#[async_trait]
impl Reaction for StuckJobs {
    fn suffix(&self) -> &'static str {
        "stuck-jobs"
    }

    fn intends(&self) -> &'static str {
        "take jobs that stand still from their workers: to be tried again, or given up after the last attempt"
    }

    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let taken = alarms::take_stuck(&course.with.db, &course.held, course.with.limits.stuck).await;
        course.took(taken)?;
        let given_up: Vec<_> = course
            .actions()
            .iter()
            .filter_map(|action| match action {
                AlarmAction::Unstuck { job_id, given_up: true, .. } => Some(*job_id),
                _ => None,
            })
            .collect();
        // Whoever asked for a job hears of it on the forge; here people hear only of what may be a fault of ours.
        let Some(first) = given_up.first() else { return Ok(()) };
        let text = format!(
            "{}{}\nWhat you can type: `codeteam show {first}` shows where it stood, `codeteam dlq list` what was given up, `codeteam dlq redrive \
             {first}` tries it again.\n",
            course.happened(),
            course.done()
        );
        let subject = format!("{}: {} jobs were given up", course.change.name, given_up.len());
        course.tell(&subject, &text).await
    }
}
