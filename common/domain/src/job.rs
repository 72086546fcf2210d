//! Jobs: what is asked for, who may do it, how it ends.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{CapReached, Caps, ReviewComment, Subject};

/// Which team of workers does a job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Small models and low caps: simple fixes, small refactors, read-only analyses, reviews.
    Mechanic,
    /// Large models and high caps: features, complex refactors, security, architecture.
    Genius,
}

impl Mode {
    /// Attempts without progress before a job is given up.
    pub const fn max_attempts(self) -> i32 {
        match self {
            Self::Mechanic | Self::Genius => 5,
        }
    }
}

/// What a waiting job waits for. No worker is held meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WaitingFor {
    /// Somebody who decides whether and how it runs.
    Triage,
    /// Money of a repository or a day.
    Budget,
    /// A person's answer.
    Answer,
    /// A moment.
    Snooze,
}

/// What a job produces.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A pull request.
    #[default]
    Change,
    /// A comment with findings.
    Analysis,
    /// A review of a pull request.
    Review,
    /// An answer.
    Question,
}

/// Where a job stands in the queue. A job without a queue row is finished.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum QueueState {
    /// May be claimed from `run_at` on.
    Ready,
    /// A worker holds it until `lease_until`.
    Leased,
    /// Waits for what `waiting_for` names: triage, a budget, an answer.
    Waiting,
    /// Out of attempts and finalized; rests until redriven or discarded.
    Dead,
}

/// What started a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Trigger {
    /// A label put on an issue.
    Label {
        /// The label's name.
        label: String,
    },
    /// A command on the first line of a comment.
    Command {
        /// The whole first line.
        command: String,
        /// The comment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<CommentRef>,
    },
    /// Somebody assigned the issue to this service.
    Assigned,
    /// Somebody asked this service to review a pull request.
    ReviewRequest,
    /// Somebody reviewed a pull request of this service, and wants it changed.
    Review {
        /// The review's id.
        review_id: u64,
    },
    /// The API or a direct invocation.
    Api,
    /// The command line.
    Cli,
    /// A repetition of a finished job.
    Retry,
    /// A schedule.
    Schedule {
        /// Its name.
        name: String,
        /// The instant that it was for, which may lie before the job's own time.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
}

/// Which comment it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommentRef {
    /// Its id.
    pub id: u64,
    /// Whether it is at a line of a pull request, and is answered there.
    #[serde(default)]
    pub at_line: bool,
}

impl CommentRef {
    /// What a reaction to it is to.
    pub fn subject(self) -> Subject {
        if self.at_line { Subject::LineComment { id: self.id } } else { Subject::Comment { id: self.id } }
    }

    /// The thread at a line in which it is answered; `None` = it is not in one.
    pub fn thread(self) -> Option<u64> {
        self.at_line.then_some(self.id)
    }
}

impl Trigger {
    /// Whether somebody asked for it on the forge, and is told there how it goes.
    pub fn is_of_forge(&self) -> bool {
        match self {
            Self::Label { .. } | Self::Command { .. } | Self::Assigned | Self::ReviewRequest | Self::Review { .. } => true,
            Self::Api | Self::Cli | Self::Retry | Self::Schedule { .. } => false,
        }
    }
}

/// The request, frozen as of the trigger: nobody can change what a worker reads afterwards.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobInput {
    /// One line.
    pub title: String,
    /// Markdown; may be empty.
    #[serde(default)]
    pub body: String,
    /// The issue or pull request that asked, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Whether `number` is a pull request: a change goes on with that one, and opens none of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_pull_request: bool,
    /// The login of the person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// The branch to start from; where there is a `head`, the one that this is to be merged into. `None` = the repository's
    /// default branch, or what the pull request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The branch with a change that is there already: what is reviewed, or gone on with, for which a change is pushed to it.
    /// `None` = for a review what pull request `number` says, else there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// A job to be written. Everything but `repository` and `input.title` has a default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// `owner/name`; also the lane in which its jobs queue.
    pub repository: String,
    /// Where to clone from and push to, where the forge does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The request.
    pub input: JobInput,
    /// What it should produce.
    #[serde(default)]
    pub kind: Kind,
    /// Who should do it; `None` = triage decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The model to use; `None` = the mode's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Lower caps than the mode's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Caps>,
    /// Smaller runs first.
    #[serde(default)]
    pub priority: i16,
    /// What started it: set by the door through which it came, never a part of its JSON.
    #[serde(skip, default = "by_api")]
    pub trigger: Trigger,
    /// Two requests with one key are one job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

fn by_api() -> Trigger {
    Trigger::Api
}

/// What the model hands in with its `finish` call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finish {
    /// What was done and why: the body of the pull request, or the answer. Markdown.
    pub summary: String,
    /// One line: the pull request's title.
    pub title: String,
    /// Commands that were run to check the result, in the model's words.
    #[serde(default)]
    pub tests_run: Vec<String>,
    /// `low`, `medium` or `high`.
    pub confidence: Confidence,
    /// Why a person has to decide, where the model could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_human: Option<String>,
    /// A review's findings at lines of the change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<ReviewComment>,
}

/// How sure the model is of its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Confidence {
    /// A person should look closely.
    Low,
    /// Checked in part.
    Medium,
    /// Checked.
    High,
}

/// How the work of a job ended, as the worker hands it to `finalize`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The model finished.
    Succeeded {
        /// What it handed in.
        finish: Finish,
    },
    /// A cap was reached; what was done so far is kept.
    Capped {
        /// Which one.
        cap: CapReached,
    },
    /// It cannot go on.
    Failed {
        /// What happened, in a sentence for people.
        cause: String,
    },
    /// Somebody stopped it.
    Stopped,
    /// It lost its last attempt.
    Dead {
        /// What happened at the last attempt.
        cause: String,
    },
    /// Triage refused it.
    Refused {
        /// Why.
        reason: String,
    },
}

/// The name of an outcome, as `jobs.outcome` keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OutcomeName {
    /// [`Outcome::Succeeded`].
    Succeeded,
    /// [`Outcome::Capped`].
    Capped,
    /// [`Outcome::Failed`].
    Failed,
    /// [`Outcome::Stopped`].
    Stopped,
    /// [`Outcome::Dead`].
    Dead,
    /// [`Outcome::Refused`].
    Refused,
}

impl Outcome {
    /// Its name.
    pub fn name(&self) -> OutcomeName {
        match self {
            Self::Succeeded { .. } => OutcomeName::Succeeded,
            Self::Capped { .. } => OutcomeName::Capped,
            Self::Failed { .. } => OutcomeName::Failed,
            Self::Stopped => OutcomeName::Stopped,
            Self::Dead { .. } => OutcomeName::Dead,
            Self::Refused { .. } => OutcomeName::Refused,
        }
    }

    /// One sentence for people: what happened.
    pub fn sentence(&self) -> String {
        match self {
            Self::Succeeded { finish } => finish.title.clone(),
            Self::Capped { cap } => format!("stopped at its cap on {cap}"),
            Self::Failed { cause } => format!("failed: {cause}"),
            Self::Stopped => "stopped on request".to_owned(),
            Self::Dead { cause } => format!("gave up after its last attempt: {cause}"),
            Self::Refused { reason } => format!("refused: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_needs_only_a_repository_and_a_title() {
        let job: NewJob = serde_json::from_str(r#"{"repository":"acme/shop","input":{"title":"Fix rounding"}}"#).unwrap();
        assert_eq!((job.kind, job.mode, job.trigger, job.priority), (Kind::Change, None, Trigger::Api, 0));
    }

    #[test]
    fn a_misspelled_field_is_refused_by_name() {
        let error = serde_json::from_str::<NewJob>(r#"{"repository":"a/b","input":{"title":"x"},"moed":"genius"}"#).unwrap_err();
        assert!(error.to_string().contains("moed"), "{error}");
    }

    #[test]
    fn outcomes_keep_their_name_in_json() {
        let outcome = Outcome::Capped { cap: CapReached::Tokens };
        assert_eq!(serde_json::to_string(&outcome).unwrap(), r#"{"outcome":"capped","cap":"tokens"}"#);
        assert_eq!(outcome.name().to_string(), "capped");
    }
}
