//! From zero: how long a job waits for its first step where no worker is up, against the start of a process, which it cannot do
//! without.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use config::Settings;
use domain::NewJob;
use process::{Command, Exit, run as run_command};
use serde_json::json;
use store::enqueue::{Enqueued, enqueue};
use testkit::{TestDb, new_job};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::figures::{Figures, micros, show, table, verdict};
use crate::peers::{said, start};

/// Jobs, each of which finds nobody.
const ROUNDS: usize = 20;
/// The most that a job may wait at the 99th percentile.
const GOAL: Duration = Duration::from_secs(2);
/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let binary = std::env::current_exe()?.with_file_name("codeteam");
    let (settings, folder, test) = (Settings::from_env(&[])?, tempfile::tempdir()?, TestDb::new().await);
    let script = folder.path().join("replies.json");
    let finish = json!({ "title": "Look", "summary": "Seen.", "confidence": "high" });
    let replies = json!({ "name": "wake", "replies": [{ "text": "so", "tool_calls": [{ "name": "finish", "input": finish }] }] });
    std::fs::write(&script, replies.to_string())?;
    let remote = repository(folder.path(), &settings.path).await?;
    let up = Command::new(&binary).args(["up", "--listen", "127.0.0.1:0", "--slots", "1"]).path(&settings.path);
    let up = up.env("DATABASE_URL", test.url.expose()).env("CODETEAM_STATE_DIR", folder.path().join("state"));
    let log = folder.path().join("up.log");
    let mut up = start(&up.env("CODETEAM_SCRIPT", &script).env("MODEL", "scripted"), &log)?;
    said(&mut up, &log, "Ctrl-C stops").await?;

    let (mut claimed, mut stepped, mut processes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let job = NewJob { remote: Some(remote.display().to_string()), model: Some("scripted".to_owned()), ..new_job() };
        let Enqueued::New(job_id) = enqueue(&test.db, &job, None, None, None).await? else { anyhow::bail!("a job was not new") };
        until(&test, "the job ends", &format!("select outcome is not null from jobs where job_id = '{job_id}'")).await?;
        let after = async |kind: &str| {
            let first = format!("select min(created_at) from events where job_id = '{job_id}' and kind = '{kind}'");
            let waited =
                test.value(&format!("select extract(epoch from ({first}) - created_at) from jobs where job_id = '{job_id}'")).await;
            waited.parse().map(Duration::from_secs_f64).with_context(|| format!("no event {kind} of a job"))
        };
        claimed.push(after("claimed").await?);
        stepped.push(after("model_called").await?);
        // A minute without work, in the time that a worker needs to see that it has nothing to do.
        test.execute("update scaling set busy_at = now() - interval '1 minute'").await;
        let gone = "select count(*) = 0 from workers where stopped_at is null";
        let deadline = Instant::now() + PATIENCE;
        while test.value(gone).await != "true" {
            ensure!(Instant::now() < deadline, "a worker did not go");
            test.execute("notify codeteam_ready, 'mechanic'").await;
            sleep(Duration::from_millis(500)).await;
        }
        let started = Instant::now();
        let output = run_command(Command::new(&binary).arg("--version"), &CancellationToken::new()).await?;
        ensure!(output.exit == Exit::Code(0), "codeteam --version: {}", output.exit);
        processes.push(started.elapsed());
    }
    print(&[("a bare start of the program", &processes), ("to the claim", &claimed), ("to the first model call", &stepped)]);
    Ok(())
}

fn print(kinds: &[(&str, &[Duration])]) {
    let figures: Vec<(&str, Figures)> = kinds.iter().map(|(name, times)| (*name, Figures::of(times))).collect();
    show(&format!("\nWake: {ROUNDS} jobs of `codeteam up`, each at zero workers"));
    let mut rows = vec![["", "p50 : start", "p50", "p99"].map(str::to_owned).to_vec()];
    for (name, figure) in &figures {
        rows.push(vec![(*name).to_owned(), format!("{:.1}", figure.over(&figures[0].1).0), micros(figure.p50), micros(figure.p99)]);
    }
    table(&rows);
    let worst = figures[2].1.p99;
    show(&format!("  goal: the first step begins within {} s at p99: {}: {}", GOAL.as_secs(), micros(worst), verdict(worst < GOAL)));
}

/// Waits until a query says so.
async fn until(test: &TestDb, what: &str, query: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while test.value(query).await != "true" {
        ensure!(Instant::now() < deadline, "still waiting until {what}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A repository with one commit.
async fn repository(folder: &Path, path: &str) -> Result<PathBuf> {
    let repository = folder.join("repository");
    std::fs::create_dir(&repository)?;
    std::fs::write(repository.join("README.md"), "A shop.\n")?;
    let identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"];
    for arguments in [&["init", "--quiet", "--initial-branch=main"][..], &["add", "."], &["commit", "--quiet", "--message=Begin"]] {
        let command = Command::new("git").args(identity).args(arguments.iter().copied()).cwd(&repository).path(path);
        let output = run_command(command, &CancellationToken::new()).await?;
        ensure!(output.exit == Exit::Code(0), "git {arguments:?}: {}", output.stderr_text());
    }
    Ok(repository)
}
