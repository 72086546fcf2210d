//! A deployment: the workers of one version are told to end while those of the other start.

use anyhow::Result;
use tokio::time::Instant;

use super::{Amount, MIXTURE};
use crate::fleet::Process;
use crate::report::RunReport;
use crate::world::World;

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    if world.plan.previous.is_none() {
        report.note("no --previous was given: both versions are this one");
    }
    for round in 0..amount.rounds {
        let old = round % 2 == 1;
        for index in 0..world.workers.len() {
            if Instant::now() > amount.until {
                return Ok(());
            }
            world.top_up(MIXTURE).await?;
            world.pause(200..1200).await;
            let fresh = start(world, old).await?;
            std::mem::replace(&mut world.workers[index], fresh).end().await?;
            report.hit(if old { "back to the version before" } else { "on to this version" });
        }
        report.rounds += 1;
    }
    Ok(())
}

/// A worker of this version or of the one before.
async fn start(world: &World, old: bool) -> Result<Process> {
    let slots = world.plan.slots.to_string();
    let arguments = ["work", "--slots", slots.as_str()];
    let mut worker = match world.plan.previous.as_deref().filter(|_| old) {
        Some(program) => world.launcher.launch(&world.launcher.command_of(program, &arguments), "previous")?,
        None => world.worker(&[])?,
    };
    worker.ready().await?;
    Ok(worker)
}
