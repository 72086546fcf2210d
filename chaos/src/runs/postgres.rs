//! PostgreSQL is killed with all it has in memory and starts again; every third time only its sessions are
//! ended.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::{Amount, MIXTURE};
use crate::report::RunReport;
use crate::world::World;

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    for _ in 0..amount.rounds {
        if Instant::now() > amount.until {
            break;
        }
        world.top_up(MIXTURE).await?;
        world.pause(500..3000).await;
        kill(world, report).await?;
        world.top_up(MIXTURE).await?;
        world.pause(500..2000).await;
        end_sessions(world, report).await?;
        report.rounds += 1;
    }
    Ok(())
}

/// Kills the server, and lets it be away for up to four seconds.
pub(super) async fn kill(world: &mut World, report: &mut RunReport) -> Result<()> {
    world.database.kill().await?;
    report.hit("server killed");
    let away = world.rng.random_range(0..4000);
    sleep(Duration::from_millis(away)).await;
    world.database.restart().await
}

/// Ends every session of the product.
pub(super) async fn end_sessions(world: &World, report: &mut RunReport) -> Result<()> {
    world
        .database
        .sql
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and application_name <> 'chaos'",
        )
        .await?;
    report.hit("sessions ended");
    Ok(())
}
