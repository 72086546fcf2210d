//! How people hear of what a machine cannot set right: a port, so that whoever has something to say knows no cloud.

use async_trait::async_trait;

/// Why nobody was told. No text holds a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoticeError {
    /// It passes: try again later.
    #[error("nobody can be told at the moment: {0}")]
    Unavailable(String),
    /// It stays until a person has set it right: a right is missing, a topic has another name. The text says which.
    #[error("nobody can be told: {0}")]
    Refused(String),
}

/// Where notices go.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Tells people `text`. Mail clients show `subject` in a line; what does not fit there (100 characters of ASCII at SNS) is cut
    /// or replaced, never refused. Whoever calls twice tells twice.
    ///
    /// # Errors
    /// What the caller can do about it is the variant's.
    async fn publish(&self, subject: &str, text: &str) -> Result<(), NoticeError>;
}
