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
        let (mut stood_still, mut given_up) = (Vec::new(), Vec::new());
        for action in course.actions() {
            if let AlarmAction::Unstuck { job_id, given_up: is_last, .. } = action {
                stood_still.push(*job_id);
                given_up.extend(is_last.then_some(*job_id));
            }
        }
        // It may have gone on by itself.
        let Some(first) = stood_still.first() else { return Ok(()) };
        let mut text = format!(
            "{}{}\nWhat you can type: `codeteam show {first}` shows where it stood, `codeteam workers` who works.\n",
            course.happened(),
            course.done()
        );
        let mut subject = format!("{}: {} jobs stood still", course.change.name, stood_still.len());
        if let Some(last) = given_up.first() {
            text.push_str(&format!("`codeteam dlq list` shows what was given up, `codeteam dlq redrive {last}` tries it again.\n"));
            subject.push_str(&format!(", {} were given up", given_up.len()));
        }
        course.tell(&subject, &text).await
    }
}
