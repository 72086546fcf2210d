//! The runtime as its clients see it.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod api;
mod invoke_api;
mod scaling;
mod worker;
