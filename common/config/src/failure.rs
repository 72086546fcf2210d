//! How the errors of the lower crates look to the caller of a handler. Those crates know nothing of
//! handlers, and `dispatch` knows nothing of them.

use std::time::Duration;

use dispatch::HandlerError;
use git::GitError;
use github::ForgeError;
use llm::LlmError;
use store::StoreError;

/// When to try again after the database or the forge was away.
const PAUSE: Duration = Duration::from_secs(2);

/// An error of the store.
pub fn of_store(error: StoreError) -> HandlerError {
    match error {
        StoreError::LeaseLost { .. } => HandlerError::LeaseLost(error.to_string()),
        StoreError::NoJob(_) | StoreError::Refused(_) => HandlerError::Invalid(error.to_string()),
        StoreError::Unavailable(_) => HandlerError::RetryAfter { after: PAUSE, message: error.to_string() },
        StoreError::Corrupt { .. } | StoreError::Database(_) | StoreError::Migrate(_) => HandlerError::Internal(error.into()),
    }
}

/// An error of the forge.
pub fn of_forge(error: ForgeError) -> HandlerError {
    match error {
        ForgeError::RetryAfter { after } => HandlerError::RetryAfter { after, message: error.to_string() },
        ForgeError::Unavailable(error) => HandlerError::RetryAfter { after: PAUSE, message: format!("{error:#}") },
        ForgeError::NotFound(_) | ForgeError::Denied(_) | ForgeError::Invalid(_) => HandlerError::Invalid(error.to_string()),
    }
}

/// An error of a model's provider.
pub fn of_llm(error: LlmError) -> HandlerError {
    if error.is_transient() || matches!(error, LlmError::Malformed { .. } | LlmError::Cancelled { .. }) {
        HandlerError::RetryAfter { after: error.retry_after().unwrap_or(PAUSE), message: error.to_string() }
    } else {
        HandlerError::Invalid(error.to_string())
    }
}

/// An error of git.
pub fn of_git(error: GitError) -> HandlerError {
    match error {
        GitError::Unreachable { .. } | GitError::Cancelled | GitError::Io { .. } | GitError::Process(_) => {
            HandlerError::RetryAfter { after: PAUSE, message: error.to_string() }
        }
        GitError::Failed { .. } => HandlerError::Internal(error.into()),
        GitError::NotFound { .. }
        | GitError::Empty { .. }
        | GitError::Denied { .. }
        | GitError::Conflict { .. }
        | GitError::Rejected { .. }
        | GitError::Invalid { .. }
        | GitError::TooLarge { .. }
        | GitError::Missing(_) => HandlerError::Invalid(error.to_string()),
    }
}
