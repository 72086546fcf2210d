//! Real processes and real PostgreSQL servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

mod builds;
mod escapes;
mod network;
mod postgres;
mod run;
mod sandbox;
mod service;
mod spawner;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The system's own programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// What a caller of `PrivatePostgres` hands over: pip finds its index and certificates there.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment of the person who runs the tests is what is handed over; nothing is read from it here"
)]
fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Waits until `condition` holds; panics when it does not within twenty seconds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting until {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process runs; one that has ended and was not reaped yet does not.
fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    status.is_ok_and(|status| !status.rsplit(") ").next().unwrap().starts_with('Z'))
}
