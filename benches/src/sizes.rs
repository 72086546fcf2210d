//! How large the product is: the release binary on disk, `serve` and `work` in memory while they have nothing to do, and how long
//! `serve` takes until it is ready.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use config::Settings;
use process::{Command, Service, run as run_command};
use testkit::TestDb;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::figures::{Figures, micros, show, table, verdict};
use crate::http::Connection;
use crate::peers::{PATIENCE, free_address, said, start};

/// What memory settles down in.
const IDLE: Duration = Duration::from_secs(5);
/// The most that an idle process may hold.
const GOAL_BYTES: u64 = 60_000_000;

/// How often `serve` is started, and how long it may take until it is ready, with the database up.
const STARTS: usize = 10;
const GOAL_READY: Duration = Duration::from_millis(500);

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let binary = std::env::current_exe()?.with_file_name("codeteam");
    let size = std::fs::metadata(&binary).with_context(|| format!("{} is not built: run `make bench`", binary.display()))?.len();
    let (settings, folder, db) = (Settings::from_env(&[])?, tempfile::tempdir()?, TestDb::new().await);
    let command = |arguments: &[&str]| {
        let base = Command::new(&binary).args(arguments.iter().copied()).path(&settings.path);
        // The folder is that of whoever measures.
        base.env("DATABASE_URL", db.url.expose()).env("CODETEAM_STATE_DIR", folder.path()).env("CODETEAM_USER", "root")
    };
    let (mut starts, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        starts.push(until_ready(&command, &folder.path().join("start.log")).await?);
        let started = Instant::now();
        run_command(command(&["--version"]), &CancellationToken::new()).await?;
        bare.push(started.elapsed());
    }
    let (serve_log, work_log) = (folder.path().join("serve.log"), folder.path().join("work.log"));
    let mut serve = start(&command(&["serve", "--listen", "127.0.0.1:0"]), &serve_log)?;
    let mut work = start(&command(&["work"]), &work_log)?;
    let address = said(&mut serve, &serve_log, "listening on http://").await?;
    let address = address.split(';').next().unwrap_or_default().parse().with_context(|| format!("the address of serve {address:?}"))?;
    let ready = Connection::open(address).await?.send("GET", "/readyz", b"").await?;
    ensure!(ready.status == 200, "serve is not ready: {}", String::from_utf8_lossy(&ready.body));
    said(&mut work, &work_log, "working on jobs of").await?;
    tokio::time::sleep(IDLE).await;
    let (serve, work) = (resident_bytes(&serve)?, resident_bytes(&work)?);

    show("\nSizes");
    let of_goal = |bytes: u64| format!("{:.2}", bytes as f64 / GOAL_BYTES as f64);
    table(&[
        vec![String::new(), "bytes".to_owned(), format!(": {} MB", GOAL_BYTES / 1_000_000)],
        vec!["release binary".to_owned(), size.to_string(), "-".to_owned()],
        vec!["serve, idle, resident".to_owned(), serve.to_string(), of_goal(serve)],
        vec!["work, idle, resident".to_owned(), work.to_string(), of_goal(work)],
    ]);
    let (starts, bare) = (Figures::of(&starts), Figures::of(&bare));
    show(&format!(
        "  serve is ready {} after its start at p50, {} at the most of {STARTS} starts, {:.1} times a bare start of the program",
        micros(starts.p50),
        micros(starts.p99),
        starts.over(&bare).0
    ));
    show(&format!("  goal: ready in less than {} ms: {}", GOAL_READY.as_millis(), verdict(starts.p99 < GOAL_READY)));
    show(&format!("  goal: less than {} MB of memory each: {}", GOAL_BYTES / 1_000_000, verdict(serve.max(work) < GOAL_BYTES)));
    Ok(())
}

/// Starts `serve`, and asks until it says that it is ready.
async fn until_ready(command: &impl Fn(&[&str]) -> Command, log: &Path) -> Result<Duration> {
    let address = free_address()?;
    let started = Instant::now();
    let mut serve = start(&command(&["serve", "--listen", &address.to_string()]), log)?;
    loop {
        if let Ok(mut connection) = Connection::open(address).await
            && connection.send("GET", "/readyz", b"").await?.status == 200
        {
            return Ok(started.elapsed());
        }
        ensure!(serve.ended()?.is_none() && started.elapsed() < PATIENCE, "serve is not ready: {}", std::fs::read_to_string(log)?);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// `VmRSS` of a process that runs.
fn resident_bytes(service: &Service) -> Result<u64> {
    let file = Path::new("/proc").join(service.id().to_string()).join("status");
    let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    resident(&status).with_context(|| format!("no VmRSS in {}", file.display()))
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_told_in_bytes() {
        assert_eq!(resident("Name:\tcodeteam\nVmHWM:\t   20000 kB\nVmRSS:\t   17000 kB\n"), Some(17_408_000));
        assert_eq!(resident("Name:\tcodeteam\n"), None);
    }
}
