//! Events of pull requests: labels, requests for a review, pushes, ends, reviews.

use domain::{Command, Kind, Trigger};

use super::issues::{closed, started_by_label, starting_label, unlabeled};
use super::names::{Said, lines};
use super::subject::{Place, Subject, person, start, steer};
use super::{Answer, Triggers, nothing};
use crate::webhook::{Payload, PullRequestPayload, Webhook};

/// What the branches of this service begin with.
const OUR_BRANCHES: &str = "codeteam/";

/// `pull_request`.
pub(super) fn pull_request(webhook: &Webhook, payload: &Payload, triggers: &Triggers) -> Answer {
    match payload.action.as_deref() {
        Some("labeled") => {
            let label = starting_label(payload, triggers)?;
            let (subject, _) = Subject::of_pull_request(payload, Place::of_person(payload)?)?;
            started_by_label(webhook, &subject, label)
        }
        Some("unlabeled") => {
            let (subject, _) = Subject::of_pull_request(payload, Place::of(payload)?)?;
            unlabeled(webhook, payload, triggers, &subject)
        }
        Some("closed") => Subject::of_pull_request(payload, Place::of(payload)?).map(|(subject, _)| closed(webhook, &subject)),
        Some("synchronize") => moved(webhook, payload),
        Some("review_requested") => review_requested(webhook, payload, triggers),
        action => Err(nothing("pull_request", action)),
    }
}

/// A review that runs is told. It may have been a bot that pushed, and often is.
fn moved(webhook: &Webhook, payload: &Payload) -> Answer {
    let (subject, pull) = Subject::of_pull_request(payload, Place::of(payload)?)?;
    let to = payload.after.as_deref().or_else(|| pull.head.as_ref()?.sha.as_deref());
    let natural_key = format!("{}:moved:{}", subject.key(), to.or(subject.updated_at).unwrap_or(&webhook.delivery));
    Ok(steer(subject.command(Command::HeadMoved { to: to.map(str::to_owned) }, subject.updated_at), natural_key))
}

fn review_requested(webhook: &Webhook, payload: &Payload, triggers: &Triggers) -> Answer {
    let reviewer = payload.requested_reviewer.as_ref().and_then(|user| user.login.as_deref()).ok_or("the review is asked of no person")?;
    if !triggers.is_own(reviewer) {
        return Err(format!("the review is asked of {reviewer}, which is somebody else"));
    }
    let (subject, _) = Subject::of_pull_request(payload, Place::of_person(payload)?)?;
    let natural_key = format!("{}:review_requested:{}", subject.key(), subject.updated_at.unwrap_or(&webhook.delivery));
    Ok(start(subject.job(Trigger::ReviewRequest, Kind::Review, subject.title()?.to_owned(), subject.body().to_owned()), natural_key))
}

/// `pull_request_review`: a command in its first line, or a pull request of ours that is to be changed. The comments at lines
/// are not in the payload: triage fetches them.
pub(super) fn reviewed(payload: &Payload, triggers: &Triggers) -> Answer {
    match payload.action.as_deref() {
        Some("submitted") => {}
        action => return Err(nothing("pull_request_review", action)),
    }
    let review = payload.review.as_ref().ok_or("the payload holds no review")?;
    let text = review.body.as_deref().unwrap_or_default();
    let said = triggers.said(text);
    if let Some(author) = &review.user {
        person(author)?;
    }
    let (subject, pull) = Subject::of_pull_request(payload, Place::of_person(payload)?)?;
    let wants_changes = review.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("changes_requested"));
    if said == Said::Nothing && !(wants_changes && is_ours(pull)) {
        return Err(match wants_changes {
            true => "the review asks somebody else for changes: the pull request is none of ours".to_owned(),
            false => "the review asks for nothing".to_owned(),
        });
    }
    let review_id = review.id.ok_or("the payload gives the review no id")?;
    let natural_key = format!("{}:review:{review_id}", subject.place.key);
    let trigger = Trigger::Review { review_id };
    match said {
        Said::Command(command) => Ok(steer(subject.said(command, None, review.submitted_at.as_deref()), natural_key)),
        Said::Work(task) => {
            // The command names a mode, which a review as a trigger does not.
            let trigger = Trigger::Command { command: lines(text).0.to_owned(), comment: None };
            Ok(start(subject.task(trigger, task, lines(text).1)?, natural_key))
        }
        Said::Nothing => {
            let title = format!("Change what the review of #{} asks for: {}", subject.number, subject.title()?);
            Ok(start(subject.job(trigger, Kind::Change, title, text.trim().to_owned()), natural_key))
        }
    }
}

/// Whether a pull request is one that this service opened.
fn is_ours(pull: &PullRequestPayload) -> bool {
    let (Some(head), Some(base)) = (&pull.head, &pull.base) else { return false };
    let same = match (&head.repo, &base.repo) {
        (Some(head), Some(base)) => match (head.id, base.id) {
            (Some(head), Some(base)) => head == base,
            _ => head.full_name.is_some() && head.full_name == base.full_name,
        },
        _ => false,
    };
    same && head.branch.as_deref().is_some_and(|branch| branch.starts_with(OUR_BRANCHES))
}
