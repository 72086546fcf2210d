//! What can go wrong at AWS, told apart by what the caller can do.

use domain::{CapacityError, NoticeError};

/// Why a call at AWS failed. `action` is the right that it needs, as policies name it (`sqs:SendMessage`). No text holds a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AwsError {
    /// Allow it to whoever asks.
    #[error("{what}: {action} is denied; allow it in the policy of the task's role ({told})")]
    Denied {
        /// The right that is missing.
        action: &'static str,
        /// On what.
        what: String,
        /// AWS's own words.
        told: String,
    },
    /// Give the process credentials that hold.
    #[error(
        "{what}: AWS does not take these credentials for {action} ({told}); give the task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Credentials {
        /// What was to be done.
        action: &'static str,
        /// On what.
        what: String,
        /// Why, in a word.
        told: String,
    },
    /// Correct the name.
    #[error("there is no {what} in {region}")]
    NotFound {
        /// What is not there.
        what: String,
        /// Where it was looked for.
        region: String,
    },
    /// Ask less often; it was tried again already.
    #[error("{what}: AWS asks to call {action} less often")]
    Throttled {
        /// What was to be done.
        action: &'static str,
        /// On what.
        what: String,
    },
    /// Try later; it was tried again already.
    #[error("{what}: {action} cannot be called at the moment: {cause}")]
    Unreachable {
        /// What was to be done.
        action: &'static str,
        /// On what.
        what: String,
        /// Why.
        cause: String,
    },
    /// A person has to look.
    #[error("{what}: {action} failed: {told}")]
    Other {
        /// What was to be done.
        action: &'static str,
        /// On what.
        what: String,
        /// AWS's code and words.
        told: String,
    },
}

impl AwsError {
    /// Whether it passes by itself.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable { .. })
    }
}

impl From<AwsError> for CapacityError {
    fn from(error: AwsError) -> Self {
        match error.passes() {
            true => Self::Unavailable(error.to_string()),
            false => Self::Refused(error.to_string()),
        }
    }
}

impl From<AwsError> for NoticeError {
    fn from(error: AwsError) -> Self {
        match error.passes() {
            true => Self::Unavailable(error.to_string()),
            false => Self::Refused(error.to_string()),
        }
    }
}
