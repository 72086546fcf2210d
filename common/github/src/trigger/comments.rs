//! Comments, on issues and pull requests and at lines of a change.

use domain::{CommentRef, NewJob, Trigger};

use super::names::{Said, lines};
use super::subject::{Place, Subject, start, steer, written};
use super::{Answer, Triggers, nothing};
use crate::webhook::{CommentPayload, Payload};

/// `issue_comment`: those on pull requests too. One that is edited says nothing new.
pub(super) fn commented(payload: &Payload, triggers: &Triggers) -> Answer {
    let comment = created("issue_comment", payload)?;
    let text = comment.body.as_deref().unwrap_or_default();
    let said = begins(triggers, text)?;
    let id = written(comment)?;
    let subject = Subject::of_issue(payload, Place::of_person(payload)?)?;
    let natural_key = format!("{}:comment:{id}", subject.place.key);
    answer(&subject, said, text, CommentRef { id, at_line: false }, comment, natural_key, |job| job)
}

/// `pull_request_review_comment`: one at a line, which is answered there.
pub(super) fn commented_at_line(payload: &Payload, triggers: &Triggers) -> Answer {
    let comment = created("pull_request_review_comment", payload)?;
    let text = comment.body.as_deref().unwrap_or_default();
    let said = begins(triggers, text)?;
    let id = written(comment)?;
    let (subject, _) = Subject::of_pull_request(payload, Place::of_person(payload)?)?;
    let natural_key = format!("{}:line_comment:{id}", subject.place.key);
    answer(&subject, said, text, CommentRef { id, at_line: true }, comment, natural_key, |job| at_line(job, comment))
}

fn created<'a>(event: &str, payload: &'a Payload) -> Result<&'a CommentPayload, String> {
    match payload.action.as_deref() {
        Some("created") => payload.comment.as_ref().ok_or_else(|| "the payload holds no comment".to_owned()),
        action => Err(nothing(event, action)),
    }
}

fn begins<'a>(triggers: &Triggers, text: &'a str) -> Result<Said<'a>, String> {
    match triggers.said(text) {
        Said::Nothing => Err(format!("the comment does not begin with /{}, /{} or /codeteam", triggers.mechanic, triggers.genius)),
        said => Ok(said),
    }
}

fn answer(
    subject: &Subject<'_>,
    said: Said<'_>,
    text: &str,
    comment_ref: CommentRef,
    comment: &CommentPayload,
    natural_key: String,
    finished: impl FnOnce(NewJob) -> NewJob,
) -> Answer {
    let (line, rest) = lines(text);
    match said {
        Said::Command(command) => Ok(steer(subject.said(command, Some(comment_ref), comment.created_at.as_deref()), natural_key)),
        Said::Work(task) => {
            let trigger = Trigger::Command { command: line.to_owned(), comment: Some(comment_ref) };
            Ok(start(finished(subject.task(trigger, task, rest)?), natural_key))
        }
        Said::Nothing => Err("the comment asks for nothing".to_owned()),
    }
}

/// Says at which line it was asked, with the part of the change that the person saw there.
fn at_line(mut job: NewJob, comment: &CommentPayload) -> NewJob {
    let Some(path) = &comment.path else { return job };
    let line = comment.line.or(comment.original_line).map(|line| format!(", line {line}")).unwrap_or_default();
    let hunk = comment.diff_hunk.as_deref().map(|hunk| format!("\n\n```diff\n{hunk}\n```")).unwrap_or_default();
    let gap = if job.input.body.is_empty() { "" } else { "\n\n" };
    job.input.body.push_str(&format!("{gap}It was asked at `{path}`{line}.{hunk}"));
    job
}
