//! Workers are killed at random moments. A kill counts when it hits a job with a live workspace.

use anyhow::Result;
use rand::Rng;
use tokio::time::Instant;

use super::{Amount, MIXTURE};
use crate::report::RunReport;
use crate::world::World;

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let mut kills = 0;
    while kills < amount.rounds && Instant::now() < amount.until {
        world.top_up(MIXTURE).await?;
        world.pause(20..250).await;
        let victim = world.rng.random_range(0..world.workers.len());
        if world.strike(victim).await? {
            kills += 1;
            report.rounds += 1;
        }
    }
    Ok(())
}
