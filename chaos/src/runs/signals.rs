//! Wake-up signals are lost, doubled, shuffled and garbled: they are hints, so nothing may depend on them.

use anyhow::Result;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::Instant;

use super::{Amount, MIXTURE};
use crate::report::RunReport;
use crate::world::World;

const PAYLOADS: &[&str] = &["mechanic", "genius", "", "MECHANIC", "{\"job\":", "'; select 1", "\u{202e}\u{0000a0}garbage", "0"];

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let listeners = "select count(*) from pg_stat_activity where query ilike '%listen%' and application_name <> 'chaos'";
    if world.database.sql.value::<u64>(listeners).await? == 0 {
        report.note("no process listens for signals in this build: what is sent is heard by nobody, and only polling is tested");
    }
    for _ in 0..amount.rounds {
        if Instant::now() > amount.until {
            break;
        }
        world.top_up(MIXTURE).await?;
        world.pause(200..1500).await;
        for _ in 0..world.rng.random_range(1..40) {
            let payload = match world.rng.random_range(0..10) {
                0 => "x".repeat(7999),
                _ => PAYLOADS.choose(&mut world.rng).copied().unwrap_or_default().to_owned(),
            };
            world.database.sql.execute(&format!("select pg_notify('codeteam_ready', $text${payload}$text$)")).await?;
        }
        report.hit("storm of signals");
        world
            .database
            .sql
            .execute("select pg_terminate_backend(pid) from pg_stat_activity where query ilike '%listen%' and application_name <> 'chaos'")
            .await?;
        report.hit("listeners cut");
        report.rounds += 1;
    }
    Ok(())
}
