//! How large the product is: the release binary on disk, `serve` and `work` in memory while they have nothing to do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use config::Settings;
use process::{Command, Service};
use testkit::TestDb;

use crate::figures::{show, table, verdict};
use crate::http::Connection;
use crate::peers::{said, start};

/// What memory settles down in.
const IDLE: Duration = Duration::from_secs(5);
/// The most that an idle process may hold.
const GOAL_BYTES: u64 = 60_000_000;

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let binary = std::env::current_exe()?.with_file_name("codeteam");
    let size = std::fs::metadata(&binary).with_context(|| format!("{} is not built: run `make bench`", binary.display()))?.len();
    let (settings, folder, db) = (Settings::from_env()?, tempfile::tempdir()?, TestDb::new().await);
    let command = |arguments: &[&str]| {
        let base = Command::new(&binary).args(arguments.iter().copied()).path(&settings.path);
        base.env("DATABASE_URL", db.url.expose()).env("CODETEAM_STATE_DIR", folder.path())
    };
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
    show(&format!("  goal: less than {} MB of memory each: {}", GOAL_BYTES / 1_000_000, verdict(serve.max(work) < GOAL_BYTES)));
    Ok(())
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
