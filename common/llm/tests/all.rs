//! Every wire against one conformance suite, and each provider's own peculiarities.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops, helpers included")]

mod anthropic;
mod bedrock;
mod chat;
mod conformance;
mod google;
mod openai;
mod raw_server;
mod scripted;
mod stub;
