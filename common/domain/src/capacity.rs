//! How many workers of a mode there are, and how that is changed: a port, so that whoever decides about it knows no cloud.

use async_trait::async_trait;

use crate::Mode;

/// The workers of one mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// As many were asked for.
    pub desired: u32,
    /// As many are there; those that start or stop at this moment may be among them or not.
    pub running: u32,
}

/// Why workers could not be counted, asked for or stopped. No text holds a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CapacityError {
    /// It passes: the next tick tries again.
    #[error("workers cannot be counted or changed at the moment: {0}")]
    Unavailable(String),
    /// It stays until a person has set it right: a right is missing, a cluster or service has another name. The text says which.
    #[error("workers cannot be counted or changed: {0}")]
    Refused(String),
}

/// Where workers come from. Every call may be repeated: it names a target and no difference.
#[async_trait]
pub trait Capacity: Send + Sync {
    /// How many workers of `mode` there are.
    ///
    /// # Errors
    /// What the caller can do about it is the variant's.
    async fn counts(&self, mode: Mode) -> Result<Counts, CapacityError>;

    /// Asks for `desired` workers of `mode`; they come and go later. Which of them go is not the caller's to say: whoever is busy
    /// has protected itself.
    ///
    /// # Errors
    /// What the caller can do about it is the variant's.
    async fn set_desired(&self, mode: Mode, desired: u32) -> Result<(), CapacityError>;

    /// Stops one worker, busy or not, by the name it gave itself in `workers` (a task's ARN, a process's number); a
    /// new one takes its place while more are desired. `reason` is shown where workers that stopped are listed.
    /// `false` = there is no such worker any more.
    ///
    /// # Errors
    /// What the caller can do about it is the variant's.
    async fn stop(&self, task: &str, reason: &str) -> Result<bool, CapacityError>;
}
