//! `alarm-react` on a real PostgreSQL, from the sample events to what they leave in the database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod budget;
mod connections;
mod events;
mod once;
mod queue_depth;
mod stale_workers;
mod stuck_jobs;
mod world;
