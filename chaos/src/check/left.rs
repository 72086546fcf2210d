//! Nothing is left behind: no process, no session, no checkout, no temporary file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep};

use super::Verdict;
use crate::world::World;

const NAME: &str = "nothing left behind";

/// What kills the children of a killed worker needs a moment.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn check(world: &World, verdict: &mut Verdict) -> Result<()> {
    // The next worker clears away what the killed ones left.
    let output = world.launcher.run(&["work", "--until-idle"]).await?;
    ensure!(output.exit.success(), "codeteam work --until-idle: {}", output.stderr_text());
    let sessions = "select count(*) from pg_stat_activity where backend_type = 'client backend' and application_name <> 'chaos'";
    let until = Instant::now() + PATIENCE;
    let (processes, sessions) = loop {
        let sessions: u64 = world.database.sql.value(sessions).await?;
        let processes = processes_of(&world.folder);
        if (processes.is_empty() && sessions == 0) || Instant::now() > until {
            break (processes, sessions);
        }
        sleep(Duration::from_millis(100)).await;
    };
    verdict.see(NAME, 4);
    verdict.require(processes.is_empty(), NAME, || format!("processes still run: {processes:?}"));
    verdict.require(sessions == 0, NAME, || format!("{sessions} sessions of the database are open"));
    let databases = std::fs::read_dir(world.checkouts()).into_iter().flatten().flatten();
    let checkouts: Vec<String> = databases.flat_map(|database| entries(&database.path())).collect();
    verdict.require(checkouts.is_empty(), NAME, || format!("checkouts are left: {checkouts:?}"));
    let temporary = entries(&world.folder.join("tmp"));
    verdict.require(temporary.is_empty(), NAME, || format!("temporary files are left: {temporary:?}"));
    Ok(())
}

fn entries(folder: &Path) -> Vec<String> {
    let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
    listed.map(|entry| entry.path().to_string_lossy().into_owned()).collect()
}

/// The processes that have to do with `folder`, but the database's: in their environment, command or
/// directory.
fn processes_of(folder: &Path) -> Vec<(u32, String)> {
    let (database, folder) = (folder.join("disk").to_string_lossy().into_owned(), folder.to_string_lossy().into_owned());
    let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let concerned = |id: u32| {
        let process = Path::new("/proc").join(id.to_string());
        // A process that ends meanwhile has nothing to read.
        let read = |file: &str| String::from_utf8_lossy(&std::fs::read(process.join(file)).unwrap_or_default()).replace('\0', " ");
        let directory = std::fs::read_link(process.join("cwd")).unwrap_or_default().to_string_lossy().into_owned();
        let seen = [read("cmdline"), read("environ"), directory];
        let ours = seen.iter().any(|text| text.contains(&folder)) && !seen.iter().any(|text| text.contains(&database));
        ours.then(|| (id, seen[0].clone()))
    };
    ids.filter_map(concerned).collect()
}
