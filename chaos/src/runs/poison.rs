//! Jobs whose model says nothing but garbage, beside jobs that must not suffer from it; and a repository
//! that is away for a while.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::Amount;
use crate::model::script::Kind;
use crate::report::RunReport;
use crate::world::World;

const HALF_POISON: &[(Kind, u32)] = &[(Kind::Poison, 1), (Kind::Work, 1)];

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    for _ in 0..amount.rounds {
        if Instant::now() > amount.until {
            break;
        }
        world.top_up(HALF_POISON).await?;
        let which = world.rng.random_range(0..world.repositories.len());
        let path = world.repositories[which].path.clone();
        let away = path.with_extension("away");
        std::fs::rename(&path, &away)?;
        let lasts = world.rng.random_range(1..4);
        sleep(Duration::from_secs(lasts)).await;
        std::fs::rename(&away, &path)?;
        report.hit("repository away");
        world.top_up(HALF_POISON).await?;
        world.pause(1000..3000).await;
        report.rounds += 1;
    }
    Ok(())
}
