//! The clocks of the machines disagree: servers and workers live days before and behind the database, and
//! are killed as usual.

use anyhow::Result;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::Instant;

use super::{Amount, MIXTURE};
use crate::report::RunReport;
use crate::world::{Plan, World};

/// Where Debian and its like put the library that lies about the time.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

const SKEWS: &[&str] = &["+400d", "-400d", "+1h", "-1h", "+31d", "-20s"];

fn library() -> Option<&'static str> {
    LIBRARIES.iter().copied().find(|path| std::path::Path::new(path).exists())
}

pub(super) async fn world(plan: &Plan, report: &mut RunReport) -> Result<Option<World>> {
    if library().is_none() {
        report.note("left out: there is no libfaketime (on Debian: apt-get install libfaketime)");
        return Ok(None);
    }
    World::start(plan, "clock").await.map(Some)
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let library = library().unwrap_or_default();
    while report.rounds < amount.rounds && Instant::now() < amount.until {
        let skew = SKEWS.choose(&mut world.rng).copied().unwrap_or_default();
        let lie = [("LD_PRELOAD", library), ("FAKETIME", skew), ("DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_NO_CACHE", "1")];
        let victim = world.rng.random_range(0..world.workers.len());
        world.replace_worker(victim, &lie).await?.end().await?;
        let mut server = world.launcher.start(&["serve", "--listen", "127.0.0.1:0"], &lie)?;
        server.ready().await?;
        std::mem::replace(&mut world.servers[1], server).end().await?;
        report.hit(format!("clocks {skew}"));
        for _ in 0..5 {
            world.top_up(MIXTURE).await?;
            world.pause(100..1000).await;
        }
        let other = world.rng.random_range(0..world.workers.len());
        world.strike(other).await?;
        report.rounds += 1;
    }
    Ok(())
}
