//! Why a model call gave no reply: each variant says what the caller can do about it.

use std::time::Duration;

use crate::ProviderName;

/// Why there is no reply. No variant ever holds a key.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// Wait, or use another model: the account's rate is used up.
    #[error("{provider} limits our rate: {message}")]
    RateLimited {
        /// Who answered.
        provider: ProviderName,
        /// How long the provider asks to wait; `None` where it does not say.
        retry_after: Option<Duration>,
        /// The provider's words.
        message: String,
    },
    /// Try later, or use another model: the provider has trouble (529, 5xx) after all attempts.
    #[error("{provider} is overloaded or broken (HTTP {status}): {message}")]
    Overloaded {
        /// Who answered.
        provider: ProviderName,
        /// The HTTP status of the last attempt.
        status: u16,
        /// How long the provider asks to wait; `None` where it does not say.
        retry_after: Option<Duration>,
        /// The provider's words.
        message: String,
    },
    /// Check the network: no connection after all attempts.
    #[error("cannot reach {provider} at {url}: {cause}; check the network and the base URL")]
    Unreachable {
        /// Who did not answer.
        provider: ProviderName,
        /// The address that was tried, without credentials.
        url: String,
        /// What the connection said.
        cause: String,
    },
    /// Call again if money allows: the connection broke after the request was sent, so the provider may
    /// charge for a reply that nobody has.
    #[error("the connection to {provider} broke before the reply was complete: {cause}")]
    Cut {
        /// Who was answering.
        provider: ProviderName,
        /// What the connection said.
        cause: String,
    },
    /// A reply came and cannot be understood. It was paid for; the same call may well end the same way.
    #[error("the reply of {provider} cannot be used: {what}")]
    Malformed {
        /// Who answered.
        provider: ProviderName,
        /// What is wrong with it.
        what: String,
    },
    /// A person must repair the key: no call will succeed until then.
    #[error("{provider} does not accept our key (HTTP {status}): {message}; check {}", .provider.needs())]
    Auth {
        /// Who refused.
        provider: ProviderName,
        /// 401 or 403; 400 from Google.
        status: u16,
        /// The provider's words.
        message: String,
    },
    /// The request itself is wrong: asking again gives the same answer.
    #[error("{provider} refused the request: {message}")]
    BadRequest {
        /// Who refused.
        provider: ProviderName,
        /// The provider's words.
        message: String,
    },
    /// Use another model: this one is not there, or not there any more.
    #[error("{provider} refused the request: {message}")]
    NoModel {
        /// Who refused.
        provider: ProviderName,
        /// The provider's words.
        message: String,
    },
    /// The time for this call was over before the reply was complete.
    #[error("no reply from {provider} in time")]
    Timeout {
        /// Who was asked.
        provider: ProviderName,
        /// Whether a request was under way: then the provider may charge for it.
        sent: bool,
    },
    /// The caller cancelled the call.
    #[error("the call to {provider} was cancelled")]
    Cancelled {
        /// Who was asked.
        provider: ProviderName,
        /// Whether a request was under way: then the provider may charge for it.
        sent: bool,
    },
    /// The client could not be built.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
}

impl LlmError {
    /// Whether another call, later or with another model, may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Overloaded { .. } | Self::Unreachable { .. } | Self::Cut { .. } | Self::Timeout { .. } => true,
            Self::Malformed { .. }
            | Self::Auth { .. }
            | Self::BadRequest { .. }
            | Self::NoModel { .. }
            | Self::Cancelled { .. }
            | Self::Setup(_) => false,
        }
    }

    /// Whether the provider may charge for the call although there is no usable reply. Where it may not,
    /// the caller can release what it had reserved.
    pub fn may_cost(&self) -> bool {
        match self {
            Self::Cut { .. } | Self::Malformed { .. } => true,
            Self::Timeout { sent, .. } | Self::Cancelled { sent, .. } => *sent,
            Self::RateLimited { .. }
            | Self::Overloaded { .. }
            | Self::Unreachable { .. }
            | Self::Auth { .. }
            | Self::BadRequest { .. }
            | Self::NoModel { .. }
            | Self::Setup(_) => false,
        }
    }

    /// How long the provider asked to wait, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Overloaded { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
