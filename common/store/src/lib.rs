//! All SQL of AI Code Team, one module per subject. PostgreSQL is the only truth: what is not in these
//! tables did not happen.
//!
//! Every write of a worker is one statement that first updates `queue` on `(job_id, epoch, leased)` and
//! inserts from its returning set. No row back means that the lease is lost ([`StoreError::LeaseLost`]):
//! the worker drops the job. [`ledger::settle_late`] is the one exception.

pub mod alarms;
pub mod anchors;
mod attempts;
pub mod budgets;
pub mod commands;
pub mod cost;
pub mod db;
pub mod dlq;
pub mod effects;
pub mod enqueue;
pub mod error;
pub mod events;
pub mod feed;
pub mod finish;
pub mod gates;
pub mod hand_over;
pub mod hints;
pub mod jobs;
mod json;
pub mod lanes;
pub mod leaders;
pub mod ledger;
pub mod listing;
pub mod load;
pub mod outbox;
pub mod questions;
pub mod queue;
pub mod retention;
pub mod roles;
pub mod schedules;
pub mod scratch;
mod session;
mod steer;
pub mod steps;
pub mod tokens;
pub mod wake;
pub mod workers;

pub use db::{Db, Route};
pub use error::StoreError;
