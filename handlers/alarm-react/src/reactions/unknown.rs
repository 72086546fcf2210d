//! An alarm that nobody knows: people are told all that is known of it.

use async_trait::async_trait;
use dispatch::HandlerError;

use super::Reaction;
use crate::course::Course;

pub(super) struct Unknown;

#[async_trait]
impl Reaction for Unknown {
    fn suffix(&self) -> &'static str {
        "unknown"
    }

    fn intends(&self) -> &'static str {
        "tell people: no reaction is known for an alarm of this name"
    }

    async fn react(&self, course: &mut Course<'_>) -> Result<(), HandlerError> {
        let change = course.change;
        let metric = change.metric.as_ref().map(|metric| {
            let dimensions: Vec<String> = metric.dimensions.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("It watches {} of {} ({}).\n", metric.name, metric.namespace, dimensions.join(", "))
        });
        let text = format!(
            "{}{}\nNobody here knows this alarm, so nothing was done.\n\nWhat you can do: look at it in CloudWatch. `codeteam alarms show {}` has all that was told.\n",
            course.happened(),
            metric.unwrap_or_default(),
            course.held.alarm_id
        );
        course.tell(&format!("{}: an alarm that is not known went off", change.name), &text).await
    }
}
