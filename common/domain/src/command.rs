//! Commands: what people ask of jobs that are there already, in a comment, by a label, or with a button.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{CommentRef, JobId, Mode};

/// What a command asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// End what runs; what was done is kept.
    Stop {
        /// Why, which also says what is meant.
        because: StopCause,
    },
    /// Do the newest finished job again.
    Retry {
        /// In this mode; `None` = the one that it had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
    },
    /// Say how it goes.
    Status,
    /// Say what it cost.
    Cost,
    /// Tell the running job something.
    Hint {
        /// What.
        text: String,
    },
    /// Say what can be asked.
    Help,
    /// Something that nobody knows: it is answered like [`Self::Help`].
    Unknown {
        /// What was written.
        word: String,
    },
    /// Tell the reviews that run that what they review has moved.
    HeadMoved {
        /// The commit that the branch is at now, where the forge said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
}

/// Why something is to be stopped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum StopCause {
    /// Somebody says so: the newest job that runs.
    Asked,
    /// The label that started it was taken off: what that label started.
    Unlabeled {
        /// The label.
        label: String,
    },
    /// The issue or pull request was closed: whatever was asked for there.
    Closed,
}

/// A command to be written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCommand {
    /// `owner/name`.
    pub repository: String,
    /// The issue or pull request that it is about; with a button perhaps none.
    pub number: Option<u64>,
    /// The job whose button was pressed; `None` = those of `number`.
    pub job_id: Option<JobId>,
    /// The login of who did it.
    pub actor: String,
    /// What is asked for.
    pub command: Command,
    /// Where it was said, if in a comment.
    pub comment: Option<CommentRef>,
    /// When, by the forge's clock, which counts whole seconds.
    pub asked_at: Option<OffsetDateTime>,
}

impl Command {
    /// Whether the forge lets only those do it who may push, so that nobody need be asked again: it is no word of a person,
    /// but what follows from what happened.
    pub fn follows_from_an_event(&self) -> bool {
        match self {
            Self::Stop { because: StopCause::Unlabeled { .. } | StopCause::Closed } | Self::HeadMoved { .. } => true,
            Self::Stop { because: StopCause::Asked }
            | Self::Retry { .. }
            | Self::Status
            | Self::Cost
            | Self::Hint { .. }
            | Self::Help
            | Self::Unknown { .. } => false,
        }
    }

    /// Its name, for people who read the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stop { .. } => "stop",
            Self::Retry { .. } => "retry",
            Self::Status => "status",
            Self::Cost => "cost",
            Self::Hint { .. } => "hint",
            Self::Help => "help",
            Self::Unknown { .. } => "unknown",
            Self::HeadMoved { .. } => "head_moved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_its_shape_in_json() {
        let json = |command: &Command| serde_json::to_string(command).unwrap();
        let stop = Command::Stop { because: StopCause::Unlabeled { label: "genius".to_owned() } };
        assert_eq!(json(&stop), r#"{"do":"stop","because":{"why":"unlabeled","label":"genius"}}"#);
        assert_eq!(json(&Command::Retry { mode: None }), r#"{"do":"retry"}"#);
        for command in [stop, Command::Retry { mode: Some(Mode::Genius) }, Command::HeadMoved { to: None }, Command::Cost] {
            assert_eq!(serde_json::from_str::<Command>(&json(&command)).unwrap(), command);
        }
    }

    #[test]
    fn only_what_follows_from_an_event_needs_no_permission() {
        assert!(Command::Stop { because: StopCause::Closed }.follows_from_an_event());
        assert!(!Command::Stop { because: StopCause::Asked }.follows_from_an_event());
        assert!(!Command::Unknown { word: "xyz".to_owned() }.follows_from_an_event());
    }
}
