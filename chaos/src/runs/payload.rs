//! Webhooks, files and replies of 1 MB, while workers are killed.

use anyhow::Result;
use rand::Rng;
use tokio::time::Instant;

use super::Amount;
use crate::model::script::Kind;
use crate::report::RunReport;
use crate::world::World;

const LARGE: &[(Kind, u32)] = &[(Kind::Large, 3), (Kind::Work, 1)];

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    while report.rounds < amount.rounds && Instant::now() < amount.until {
        world.top_up(LARGE).await?;
        world.pause(100..800).await;
        let victim = world.rng.random_range(0..world.workers.len());
        if world.strike(victim).await? {
            report.rounds += 1;
        }
    }
    Ok(())
}
