//! The network to the database, and that to the model, misbehave in turn. Every third fault outlasts a
//! lease.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use strum::VariantArray;
use tokio::time::{Instant, sleep};

use super::{Amount, MIXTURE};
use crate::proxy::Fault;
use crate::report::RunReport;
use crate::world::World;

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    report.note("partitions are made by a door of our own in front of the servers, not by network namespaces");
    for round in 0..amount.rounds {
        for fault in Fault::VARIANTS.iter().filter(|fault| **fault != Fault::None) {
            if Instant::now() > amount.until {
                return Ok(());
            }
            let silent = matches!(fault, Fault::Blackhole | Fault::HalfOpen);
            let longer = silent && round % 3 == 0;
            let lasts = Duration::from_secs(world.rng.random_range(if longer { 33..40 } else { 2..7 }));
            let of_model = world.rng.random_bool(0.3);
            break_for(world, *fault, of_model, lasts, report).await?;
        }
        report.rounds += 1;
    }
    Ok(())
}

/// One fault, for as long as it lasts.
pub(super) async fn break_for(world: &mut World, fault: Fault, of_model: bool, lasts: Duration, report: &mut RunReport) -> Result<()> {
    world.top_up(MIXTURE).await?;
    world.pause(100..1000).await;
    let (door, what) = if of_model { (&world.model_door, "model") } else { (&world.database.door, "database") };
    door.set(fault);
    sleep(lasts).await;
    door.set(Fault::None);
    // What is stuck in a connection that was cut short would wait for the keep-alive of TCP.
    if fault == Fault::HalfOpen {
        door.cut();
    }
    let name: &str = fault.into();
    report.hit(format!("{what} {name}"));
    Ok(())
}
