//! The dispatcher as its users see it: handlers called through the registry and directly.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod calls;
mod envelopes;
mod handlers;
mod measures;
