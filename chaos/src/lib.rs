//! Kills, freezes, starves and cuts off real processes of the product, on a real database, and then checks
//! from outside that nothing was lost, nothing happened twice, and nothing was left behind.
//!
//! What is true is told by those who served: a model that counts its replies, a git repository and a forge
//! directory that hold what was published, and the tables, read with SQL of our own.
//!
//! Everything random comes from `--seed`: which process is hit, when, at which place, by what. How the
//! machine schedules what runs at the same time stays its own, so a seed gives the same plan, not the same
//! interleaving.

pub mod check;
pub mod cli;
pub mod disk;
pub mod environment;
pub mod fleet;
pub mod hub;
pub mod losses;
pub mod model;
pub mod postgres;
pub mod product;
pub mod proxy;
pub mod report;
pub mod repository;
pub mod runs;
pub mod sql;
pub mod tickets;
pub mod tools;
pub mod webhook;
pub mod world;

use std::process::ExitCode;

/// Reads the command line, runs, reports. Fails when an invariant was violated.
pub fn main() -> ExitCode {
    cli::main()
}

/// Says a line of progress on standard error.
pub fn say(line: &str) {
    use std::io::Write;
    // Nobody can be told that nobody can be told.
    writeln!(std::io::stderr(), "{line}").ok();
}
