//! Workers stand still until somebody else has what they held, and then wake up in the belief that nothing
//! happened.

use std::time::Duration;

use anyhow::Result;
use process::Signal;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::{Amount, MIXTURE};
use crate::fleet::Process;
use crate::losses::{How, Loss};
use crate::report::RunReport;
use crate::world::World;

/// How many stand still at the same time.
const AT_ONCE: usize = 8;
/// How long they may stand: the lease, the sweep, a backoff, a free hand.
const PATIENCE: Duration = Duration::from_secs(120);

/// A worker that stands still.
struct Zombie {
    process: Process,
    loss: Loss,
    since: Instant,
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let (mut zombies, mut frozen) = (Vec::new(), 0);
    while frozen < amount.rounds || !zombies.is_empty() {
        let over = frozen >= amount.rounds || Instant::now() > amount.until;
        if over && zombies.is_empty() {
            break;
        }
        world.top_up(MIXTURE).await?;
        world.pause(50..400).await;
        if !over && zombies.len() < AT_ONCE {
            let victim = world.rng.random_range(0..world.workers.len());
            if let Some(zombie) = freeze(world, victim).await? {
                zombies.push(zombie);
                frozen += 1;
            }
        }
        let mut still = Vec::new();
        for zombie in zombies {
            match is_robbed(world, &zombie).await? || zombie.since.elapsed() > PATIENCE {
                true => wake(world, zombie, report).await?,
                false => still.push(zombie),
            }
        }
        zombies = still;
    }
    Ok(())
}

/// Stops a worker that holds something, and puts another in its place.
async fn freeze(world: &mut World, index: usize) -> Result<Option<Zombie>> {
    let worker = &world.workers[index];
    worker.signal(Signal::STOP)?;
    let loss = world.look(worker, How::Frozen).await?;
    if !loss.counts() {
        worker.signal(Signal::CONT)?;
        return Ok(None);
    }
    let process = world.replace_worker(index, &[]).await?;
    world.losses.push(loss.clone());
    Ok(Some(Zombie { process, loss, since: Instant::now() }))
}

/// Whether somebody else holds, or ended, everything that it held.
async fn is_robbed(world: &World, zombie: &Zombie) -> Result<bool> {
    let held: Vec<String> = zombie.loss.held.iter().map(|held| format!("('{}'::uuid, {})", held.job_id, held.epoch)).collect();
    let query = format!(
        "select count(*) = 0 from queue join (values {}) as mine (job_id, epoch) using (job_id)
         where queue.epoch <= mine.epoch + 1 and (queue.state = 'leased' or queue.epoch = mine.epoch + 1)",
        held.join(", ")
    );
    world.database.sql.value(&query).await
}

/// Wakes it, lets it find out, and ends it.
async fn wake(world: &mut World, zombie: Zombie, report: &mut RunReport) -> Result<()> {
    let Zombie { process, loss, .. } = zombie;
    process.signal(Signal::CONT)?;
    let until = Instant::now() + Duration::from_secs(15);
    while Instant::now() < until && process.said().matches("lost the lease").count() < loss.held.len() {
        sleep(Duration::from_millis(100)).await;
    }
    if !process.said().contains("lost the lease") {
        // What was on its way when it froze may have ended the job.
        report.hit("woke to nothing");
    }
    process.end().await?;
    report.rounds += 1;
    world.pause(0..100).await;
    Ok(())
}
