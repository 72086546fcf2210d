//! Events of issues: labels, assignments, ends.

use domain::{Command, StopCause, Trigger};

use super::subject::{Place, Subject, start, steer};
use super::{Answer, Triggers, nothing};
use crate::webhook::{Payload, Webhook};

/// `issues`. One that is opened with a label on it sends `labeled` as well, so `opened` is not looked at.
pub(super) fn issue(webhook: &Webhook, payload: &Payload, triggers: &Triggers) -> Answer {
    match payload.action.as_deref() {
        Some("labeled") => labeled(webhook, payload, triggers),
        Some("unlabeled") => {
            Subject::of_issue(payload, Place::of(payload)?).and_then(|subject| unlabeled(webhook, payload, triggers, &subject))
        }
        Some("closed") => Subject::of_issue(payload, Place::of(payload)?).map(|subject| closed(webhook, &subject)),
        Some("assigned") => assigned(webhook, payload, triggers),
        action => Err(nothing("issues", action)),
    }
}

fn labeled(webhook: &Webhook, payload: &Payload, triggers: &Triggers) -> Answer {
    let label = starting_label(payload, triggers)?;
    let subject = Subject::of_issue(payload, Place::of_person(payload)?)?;
    started_by_label(webhook, &subject, label)
}

/// The job of a label that was put on.
pub(super) fn started_by_label(webhook: &Webhook, subject: &Subject<'_>, label: &str) -> Answer {
    // Two quick labels differ by name; one put on again later differs by the issue's time.
    let at = subject.updated_at.unwrap_or(&webhook.delivery);
    let natural_key = format!("{}:labeled:{}:{at}", subject.key(), label.to_lowercase());
    let trigger = Trigger::Label { label: label.to_owned() };
    Ok(start(subject.job(trigger, subject.kind(), subject.title()?.to_owned(), subject.body().to_owned()), natural_key))
}

/// What that label started is stopped. Whoever took it off may do that, person or bot.
pub(super) fn unlabeled(webhook: &Webhook, payload: &Payload, triggers: &Triggers, subject: &Subject<'_>) -> Answer {
    let label = starting_label(payload, triggers)?;
    let at = subject.updated_at.unwrap_or(&webhook.delivery);
    let natural_key = format!("{}:unlabeled:{}:{at}", subject.key(), label.to_lowercase());
    let stop = Command::Stop { because: StopCause::Unlabeled { label: label.to_owned() } };
    Ok(steer(subject.command(stop, subject.updated_at), natural_key))
}

/// Whatever was asked for there is stopped, whoever or whatever closed it.
pub(super) fn closed(webhook: &Webhook, subject: &Subject<'_>) -> super::Reaction {
    let natural_key = format!("{}:closed:{}", subject.key(), subject.updated_at.unwrap_or(&webhook.delivery));
    steer(subject.command(Command::Stop { because: StopCause::Closed }, subject.updated_at), natural_key)
}

fn assigned(webhook: &Webhook, payload: &Payload, triggers: &Triggers) -> Answer {
    let assignee = payload.assignee.as_ref().and_then(|user| user.login.as_deref()).ok_or("the payload names nobody who was assigned")?;
    if !triggers.is_own(assignee) {
        return Err(format!("it was assigned to {assignee}, which is somebody else"));
    }
    let subject = Subject::of_issue(payload, Place::of_person(payload)?)?;
    let natural_key = format!("{}:assigned:{}", subject.key(), subject.updated_at.unwrap_or(&webhook.delivery));
    Ok(start(subject.job(Trigger::Assigned, subject.kind(), subject.title()?.to_owned(), subject.body().to_owned()), natural_key))
}

/// The label of a payload, if it is one that starts jobs.
pub(super) fn starting_label<'a>(payload: &'a Payload, triggers: &Triggers) -> Result<&'a str, String> {
    let label = payload.label.as_ref().and_then(|label| label.name.as_deref()).ok_or("the payload names no label")?;
    triggers.named(label).map(|_| label).ok_or_else(|| format!("the label {label:?} starts nothing"))
}
