//! The agent from outside: its tools on real folders, its conversation, its guards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops, helpers included")]

mod context;
mod conversation;
mod escapes;
mod fixture;
mod guards;
mod hunks;
mod patches;
mod review;
mod shell;
mod snapshots;
mod tools;
mod untrusted;
