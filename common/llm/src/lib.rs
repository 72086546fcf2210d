//! Model providers and their prices.
//!
//! One conversation type ([`ModelRequest`], [`Turn`], [`Reply`]) for every provider, one trait
//! ([`Provider`]) with one file each in `providers/`, and one price table ([`Models`], `prices.toml`).
//! Requests and replies pass through as the verbatim texts that went over the wire: the caller stores
//! them, decodes a stored reply again on resume ([`Provider::decode`] is pure), and the provider's own
//! form of an assistant turn is replayed unchanged, so signatures over thoughts stay valid.

pub mod breakers;
pub mod error;
mod hash;
pub mod http;
pub mod message;
pub mod models;
pub mod name;
pub mod provider;
pub mod providers;
mod refusal;
mod retry;
pub mod rows;
mod strict;

pub use breakers::Breakers;
pub use error::LlmError;
pub use http::{Http, HttpOptions};
pub use message::{ModelRequest, Reply, StopReason, ToolCall, ToolResult, ToolSpec, Turn};
pub use models::{ModelInfo, Models, NoModel, UnknownModel};
pub use name::{BadProviderName, HostName, ProviderName};
pub use provider::{NotConfigured, Provider, Providers};
pub use providers::anthropic::Anthropic;
pub use providers::bedrock::{AwsAccess, Bedrock};
pub use providers::chat::Chat;
pub use providers::google::Google;
pub use providers::openai::OpenAi;
pub use providers::scripted::{ScriptError, Scripted};
pub use retry::Backoff;
pub use rows::{BadRow, SelfHosted};
