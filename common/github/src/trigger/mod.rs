//! What a delivery asks for: a job, a command about jobs that are there, or nothing for a reason that a person can read.

mod checks;
mod comments;
mod issues;
mod names;
mod pulls;
mod subject;

use domain::{NewCommand, NewJob};

use crate::webhook::Webhook;

pub use names::Triggers;

/// What to do about a delivery.
///
/// A natural key is the same for every delivery of one human action, whatever its GUID: a redelivery, or a second webhook on
/// the same repository, is the same job or command. It is made of what is signed; where GitHub leaves out when something
/// happened, the GUID stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// Write this job and let triage look at it.
    Job {
        /// The job, its mode still open: [`Triggers::mode`] tells triage after it has asked the forge
        /// for the requester's permission.
        job: Box<NewJob>,
        /// Its natural key.
        natural_key: String,
    },
    /// Write this command down.
    Command {
        /// The command.
        command: Box<NewCommand>,
        /// Its natural key.
        natural_key: String,
    },
    /// Nothing.
    Ignored {
        /// Why, in words for the person who reads the deliveries of the webhook.
        reason: String,
    },
}

/// A reaction, or why there is none.
type Answer = Result<Reaction, String>;

/// Decides what a delivery asks for. Plain values in, plain values out: whether the requester may ask
/// is for those to find out who do it.
pub fn interpret(webhook: &Webhook, triggers: &Triggers) -> Reaction {
    let payload = match &webhook.payload {
        Ok(payload) => payload,
        Err(reason) => return Reaction::Ignored { reason: reason.clone() },
    };
    let answer = match webhook.event.as_str() {
        "issues" => issues::issue(webhook, payload, triggers),
        "issue_comment" => comments::commented(payload, triggers),
        "pull_request" => pulls::pull_request(webhook, payload, triggers),
        "pull_request_review" => pulls::reviewed(payload, triggers),
        "pull_request_review_comment" => comments::commented_at_line(payload, triggers),
        "check_run" => checks::pressed(payload),
        event @ ("installation" | "installation_repositories") => Err(checks::installed(event, payload)),
        "ping" => Err("ping".to_owned()),
        event => Err(format!("nothing reacts to the event {event:?}")),
    };
    answer.unwrap_or_else(|reason| Reaction::Ignored { reason })
}

/// Why an action of an event is not looked at.
fn nothing(event: &str, action: Option<&str>) -> String {
    match action {
        Some(action) => format!("nothing reacts to the action {action:?} of {event}"),
        None => format!("the {event} payload names no action"),
    }
}
