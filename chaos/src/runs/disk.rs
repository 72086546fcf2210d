//! The disk of a worker is full, and that of PostgreSQL. Both are small file systems in memory, which only
//! root may mount.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::{Amount, MIXTURE};
use crate::disk::Mount;
use crate::report::RunReport;
use crate::world::{Plan, World};

/// Room for the checkouts of a worker.
const WORKER_MIB: u32 = 24;
/// Room for a fresh database, its log, and a little more.
const DATABASE_MIB: u32 = 320;

pub(super) async fn world(plan: &Plan, report: &mut RunReport) -> Result<Option<World>> {
    let probe = plan.folder.join("disk-probe");
    std::fs::create_dir_all(&probe)?;
    let mounted = Mount::new(&probe, 1).await.map(drop);
    std::fs::remove_dir(&probe)?;
    if let Err(error) = mounted {
        report.note(format!("left out: this user cannot mount a small file system: {error:#}"));
        return Ok(None);
    }
    World::on_small_disk(plan, "disk", DATABASE_MIB).await.map(Some)
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    // One worker has a disk of its own, and shares the forge with the others.
    let state = world.folder.join("small");
    std::fs::create_dir_all(&state)?;
    let small = Mount::new(&state, WORKER_MIB).await?;
    std::os::unix::fs::symlink(world.folder.join("state/forge"), state.join("forge"))?;
    let variables = [("CODETEAM_STATE_DIR", state.to_string_lossy().into_owned()), ("TMPDIR", state.to_string_lossy().into_owned())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    world.replace_worker(0, &variables).await?.end().await?;
    for round in 0..amount.rounds {
        if Instant::now() > amount.until {
            break;
        }
        world.top_up(MIXTURE).await?;
        world.pause(300..1500).await;
        let (folder, what) =
            if round % 2 == 0 { (state.clone(), "worker's disk full") } else { (world.folder.join("disk"), "PostgreSQL's disk full") };
        let filling = fill(&folder)?;
        let lasts = world.rng.random_range(3..8);
        sleep(Duration::from_secs(lasts)).await;
        std::fs::remove_file(filling)?;
        report.hit(what);
        if round % 2 == 1 {
            // A server that could not write its log stops; somebody starts it again.
            world.database.kill().await?;
            world.database.restart().await?;
        }
        report.rounds += 1;
    }
    world.replace_worker(0, &[]).await?.end().await?;
    drop(small);
    Ok(())
}

/// Takes all room that is left.
fn fill(folder: &Path) -> Result<PathBuf> {
    use std::io::Write;
    let path = folder.join("filling");
    let mut file = std::fs::File::create(&path)?;
    for size in [1 << 20, 4096, 512] {
        let piece = vec![1; size];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(path)
}
