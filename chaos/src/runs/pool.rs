//! Somebody else takes the database's sessions, all but a few or all of them.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::{Amount, MIXTURE};
use crate::postgres::Hog;
use crate::report::RunReport;
use crate::world::World;

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    for _ in 0..amount.rounds {
        if Instant::now() > amount.until {
            break;
        }
        world.top_up(MIXTURE).await?;
        let free = world.rng.random_range(0..4);
        // Who has a session keeps it, so they are taken away first.
        super::postgres::end_sessions(world, report).await?;
        let hog = Hog::leaving(&world.database, free).await?;
        let lasts = world.rng.random_range(3..10);
        sleep(Duration::from_secs(lasts)).await;
        hog.let_go().await;
        report.hit(format!("{free} sessions free"));
        report.rounds += 1;
        world.pause(500..2000).await;
    }
    Ok(())
}
