//! Test databases and builders. A dev-dependency only; it panics where a program would return errors.

mod build;
mod database;

pub use build::{new_job, usage};
pub use database::TestDb;
