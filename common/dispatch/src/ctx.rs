//! What a handler knows about the call it serves.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The circumstances of one call. Clones belong to the same call.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// Names the call in logs and answers; the caller's own id where there is one.
    pub request_id: String,
    /// When the call is dropped, finished or not.
    pub deadline: Instant,
    /// Asks the handler to come to an end early: it has [`crate::CANCEL_GRACE`] to do so.
    pub cancel: CancellationToken,
}

impl Ctx {
    /// A call named `request_id` that may run for `timeout` from now and that nobody cancels yet.
    pub fn new(request_id: impl Into<String>, timeout: Duration) -> Self {
        Self { request_id: request_id.into(), deadline: Instant::now() + timeout, cancel: CancellationToken::new() }
    }

    /// A call with a fresh random id that may run for `timeout` from now.
    pub fn with_timeout(timeout: Duration) -> Self {
        Self::new(Uuid::new_v4().to_string(), timeout)
    }

    /// The same call, ended early when `cancel` is cancelled.
    #[must_use]
    pub fn cancelled_by(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    /// Time left until the deadline; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
