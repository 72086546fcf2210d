//! A little of everything, in about three minutes: most of it is the wait for the last leases to run out.

use std::time::Duration;

use anyhow::Result;
use strum::VariantArray;
use tokio::time::Instant;

use super::{Amount, failpoints, kill9, network, postgres, storms};
use crate::model::storm::Storm;
use crate::proxy::Fault;
use crate::report::RunReport;
use crate::world::World;

/// After this no further harm is done.
const HARM: Duration = Duration::from_secs(100);

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let started = Instant::now();
    let at = |share: f64| amount.until.min(started + HARM.mul_f64(share));
    kill9::play(world, Amount { rounds: 20, until: at(0.3) }, report).await?;
    failpoints::play(world, Amount { rounds: 1, until: at(0.75) }, report).await?;
    postgres::kill(world, report).await?;
    postgres::end_sessions(world, report).await?;
    network::break_for(world, Fault::Cut, false, Duration::from_secs(2), report).await?;
    network::break_for(world, Fault::Blackhole, false, Duration::from_secs(3), report).await?;
    // The last two make a job wait for as long as its own clock allows.
    for storm in Storm::VARIANTS.iter().take(4) {
        if Instant::now() < at(1.0) {
            storms::blow(world, *storm, report).await?;
        }
    }
    report.rounds = report.hits.values().sum();
    Ok(())
}
