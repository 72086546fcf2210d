//! The model has bad days, one kind after the other.

use std::time::Duration;

use anyhow::Result;
use strum::VariantArray;
use tokio::time::{Instant, sleep};

use super::{Amount, MIXTURE};
use crate::model::storm::{Storm, Weather};
use crate::report::RunReport;
use crate::world::World;

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    for _ in 0..amount.rounds {
        for storm in Storm::VARIANTS {
            if Instant::now() > amount.until {
                return Ok(());
            }
            blow(world, *storm, report).await?;
        }
        report.rounds += 1;
    }
    Ok(())
}

/// A storm of some seconds, and a moment of sunshine.
pub(super) async fn blow(world: &mut World, storm: Storm, report: &mut RunReport) -> Result<()> {
    world.model.set(Weather::of(&[storm], 40));
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        world.top_up(MIXTURE).await?;
        sleep(Duration::from_millis(300)).await;
    }
    world.model.set(Weather::fair());
    sleep(Duration::from_secs(1)).await;
    let name: &str = storm.into();
    report.hit(name);
    Ok(())
}
