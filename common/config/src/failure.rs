//! How the errors of the lower crates look to the caller of a handler. Those crates know nothing of
//! handlers, and `dispatch` knows nothing of them.

use std::time::Duration;

use dispatch::HandlerError;
use git::GitError;
use github::{ForgeError, SignatureError};
use llm::LlmError;
use store::StoreError;

use crate::secrets;

/// When to try again after the database, the forge or a provider was away.
const PAUSE: Duration = Duration::from_secs(2);
/// When to try again after something failed that a person has to set right: a key, a permission, a program.
const REPAIR: Duration = Duration::from_secs(30);

/// Something about this worker, not about the job, is wrong: a job waits until somebody has set it right.
pub fn of_worker(error: &dyn std::fmt::Display) -> HandlerError {
    HandlerError::RetryAfter { after: REPAIR, message: error.to_string() }
}

/// An error of the store.
pub fn of_store(error: StoreError) -> HandlerError {
    if error.is_login_refused() {
        secrets::refused();
    }
    match error {
        // Held by nobody any more, and not ended: to whoever did not ask for it that is the same.
        StoreError::LeaseLost { .. } | StoreError::OverBudget(_) => HandlerError::LeaseLost(error.to_string()),
        StoreError::NoJob(_) | StoreError::NotFound(_) | StoreError::Refused(_) => HandlerError::Invalid(error.to_string()),
        StoreError::Unavailable(_) => HandlerError::RetryAfter { after: PAUSE, message: error.to_string() },
        // Given back it is ready to be ended, at once.
        StoreError::Stopped(_) => HandlerError::RetryAfter { after: Duration::ZERO, message: error.to_string() },
        StoreError::Corrupt { .. } | StoreError::Url(_) | StoreError::Duplicate | StoreError::Database(_) | StoreError::Migrate(_) => {
            HandlerError::Internal(error.into())
        }
    }
}

/// An error of the forge.
pub fn of_forge(error: ForgeError) -> HandlerError {
    if matches!(error, ForgeError::Denied(_)) {
        secrets::refused();
    }
    match error {
        ForgeError::RetryAfter { after } => HandlerError::RetryAfter { after, message: error.to_string() },
        ForgeError::Unavailable(error) => HandlerError::RetryAfter { after: PAUSE, message: format!("{error:#}") },
        ForgeError::Denied(_) => of_worker(&error),
        ForgeError::NotFound(_) | ForgeError::Invalid(_) => HandlerError::Invalid(error.to_string()),
    }
}

/// A webhook whose signature does not hold: of whoever forged it, or of a secret that took the place of ours.
pub fn of_signature(error: SignatureError) -> HandlerError {
    if error == SignatureError::Wrong {
        secrets::refused();
    }
    HandlerError::Denied(error.to_string())
}

/// An error of a model's provider.
pub fn of_llm(error: LlmError) -> HandlerError {
    match error {
        LlmError::Auth { .. } | LlmError::Setup(_) => of_worker(&error),
        LlmError::BadRequest { .. } | LlmError::NoModel { .. } => HandlerError::Invalid(error.to_string()),
        LlmError::Malformed { .. } => HandlerError::Internal(error.into()),
        _ => HandlerError::RetryAfter { after: error.retry_after().unwrap_or(PAUSE), message: error.to_string() },
    }
}

/// An error of git.
pub fn of_git(error: GitError) -> HandlerError {
    match error {
        GitError::Unreachable { .. } | GitError::Cancelled | GitError::Io { .. } | GitError::Process(_) => {
            HandlerError::RetryAfter { after: PAUSE, message: error.to_string() }
        }
        GitError::Failed { .. } => HandlerError::Internal(error.into()),
        GitError::Denied { .. } | GitError::Missing(_) => of_worker(&error),
        GitError::NotFound { .. }
        | GitError::Empty { .. }
        | GitError::Conflict { .. }
        | GitError::Rejected { .. }
        | GitError::Invalid { .. }
        | GitError::OverLimit { .. }
        | GitError::TooLarge { .. } => HandlerError::Invalid(error.to_string()),
    }
}
