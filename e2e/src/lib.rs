//! Helpers for the end-to-end tests: the built product, git, HTTP and what else stands around a job, seen from
//! outside. A test's tool: it panics where a program would return errors.

pub mod aws;
pub mod git;
pub mod product;
pub mod tools;
pub mod wait;

pub use git::Repository;
pub use product::{Codeteam, Ran, Up};

use std::path::PathBuf;

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e lies in the workspace").to_owned()
}

/// Says on standard error, past the test harness, which shows nothing of a test that passes, that a part of a
/// test was left out, and why.
pub fn skipped(what: &str, why: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "\nSKIPPED: {what}: {why}").expect("standard error is open");
}

/// The same for a number that a test measured.
pub fn measured(what: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "\nmeasured: {what}").expect("standard error is open");
}
