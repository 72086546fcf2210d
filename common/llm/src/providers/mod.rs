//! One file for each provider. A new one also gets its name in [`crate::ProviderName`] and its line in
//! the conformance suite of `tests/`.

pub mod anthropic;
pub mod bedrock;
mod blocks;
pub mod chat;
pub mod google;
pub mod openai;
mod rebuilt;
pub mod scripted;
