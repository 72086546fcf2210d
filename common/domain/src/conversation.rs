//! How a job shows where it was asked that it was heard and how it went.

use serde::{Deserialize, Serialize};

/// What a reaction is to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub enum Subject {
    /// An issue or pull request itself.
    Issue {
        /// Its number.
        number: u64,
    },
    /// A comment on one.
    Comment {
        /// Its id.
        id: u64,
    },
    /// A comment at a line of a pull request.
    LineComment {
        /// Its id.
        id: u64,
    },
}

/// Whose mutations wait for each other: those in the repositories of one owner, for whom an App is installed. Owners are told apart
/// as GitHub does it, whatever their case.
pub fn channel(repository: &str) -> String {
    repository.split('/').next().unwrap_or_default().to_lowercase()
}

/// What a reaction says (GitHub's names).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Emotion {
    /// It was seen.
    Eyes,
    /// It was done.
    Rocket,
    /// It went wrong.
    Confused,
}
