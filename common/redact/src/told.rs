//! Words of models and strangers, as people may be shown them on a forge.

use domain::{Finish, Outcome, ReviewComment};

use crate::{Redactor, hidden, markdown};

/// `text` without hidden parts and secrets, and with nothing in it that acts: see [`markdown::inert`].
pub fn text(text: &str) -> String {
    // First what is hidden: a secret may be put together by its removal.
    markdown::inert(&Redactor::of_process().text(&hidden::strip(text).0))
}

/// The same in one line.
pub fn line(text: &str) -> String {
    markdown::inert_line(&Redactor::of_process().text(&hidden::strip(text).0))
}

/// `outcome` in the words in which it is published.
pub fn outcome(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Succeeded { finish } => Outcome::Succeeded {
            finish: Finish {
                summary: text(&finish.summary),
                title: line(&finish.title),
                tests_run: finish.tests_run.iter().map(|command| line(command)).collect(),
                confidence: finish.confidence,
                needs_human: finish.needs_human.as_deref().map(text),
                comments: finish.comments.iter().map(|comment| ReviewComment { body: text(&comment.body), ..comment.clone() }).collect(),
            },
        },
        Outcome::Failed { cause } => Outcome::Failed { cause: text(cause) },
        Outcome::Dead { cause } => Outcome::Dead { cause: text(cause) },
        Outcome::Refused { reason } => Outcome::Refused { reason: text(reason) },
        Outcome::Capped { .. } | Outcome::Stopped => outcome.clone(),
    }
}
