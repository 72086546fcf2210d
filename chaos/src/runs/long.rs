//! Jobs of twenty steps, each lost again and again at random points: half of the kills come from outside, at a random
//! instant, the other half from within, at a fail point after a random number of passings.
//!
//! The first job of a world is left alone; what it publishes is what the others have to publish as well.

use std::time::Duration;

use ::failpoints::Point;
use anyhow::Result;
use process::Signal;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use super::{Amount, REST};
use crate::losses::How;
use crate::model::script::Kind;
use crate::product::FAILPOINT;
use crate::report::RunReport;
use crate::world::{Plan, World};

/// The cap of tokens in this run's processes: a long job stays below it, a hungry one does not.
const TOKENS: i64 = 50_000;

const KINDS: &[(Kind, u32)] = &[(Kind::Long, 4), (Kind::Hungry, 1)];

/// From the moment a worker holds a job to its end from outside, in milliseconds: about as long as ten steps take.
const WITHIN: std::ops::Range<u64> = 0..2500;
/// How long an armed worker may take to come to its point.
const PATIENCE: Duration = Duration::from_secs(30);
/// A job that was lost so often without progress is left alone, or it would be dead.
const LOST_OFTEN: i32 = 4;

/// Passed in every step.
const OF_STEPS: &[Point] = &[
    Point::BeforeReserve,
    Point::AfterReserve,
    Point::AfterCall,
    Point::AfterReply,
    Point::AfterTools,
    Point::AfterCheckpoint,
    Point::AfterResults,
];
/// Passed once under each lease.
const OF_LEASES: &[Point] = &[Point::BeforePrepared, Point::AfterPrepared];
/// Passed once in a job.
const OF_ENDS: &[Point] =
    &[Point::BeforeDecide, Point::AfterDecide, Point::AfterPush, Point::AfterPullRequestOpened, Point::BeforeFinish, Point::AfterFinish];

/// How a worker is to end.
#[derive(Clone, Copy)]
enum Doom {
    /// Killed from outside, not before this.
    At(Instant),
    /// Kills itself at a fail point; replaced when it has not come there by then.
    Armed(Point, Instant),
}

/// One job in each worker, so that a kill hits one job.
pub(super) async fn world(plan: &Plan, name: &str) -> Result<World> {
    let plan = Plan { slots: 1, load: plan.workers, ..plan.clone() };
    World::capped(&plan, name, TOKENS).await
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    world.ask(Kind::Long).await?;
    world.quiet(REST).await?;
    let mut dooms = Vec::new();
    for place in 0..world.workers.len() {
        dooms.push(fresh(world, place, false).await?);
    }
    let mut kills = 0;
    while kills < amount.rounds && Instant::now() < amount.until {
        world.top_up(KINDS).await?;
        for (place, doom) in dooms.iter_mut().enumerate() {
            let dies = match *doom {
                Doom::At(instant) => Instant::now() >= instant && strike(world, place).await?,
                Doom::Armed(point, until) => match world.workers[place].ended()? {
                    Some(_) => {
                        report.hit(point.to_string());
                        true
                    }
                    None if Instant::now() < until => false,
                    None => {
                        *doom = fresh(world, place, false).await?;
                        false
                    }
                },
            };
            if dies && kills < amount.rounds {
                kills += 1;
                report.rounds += 1;
                *doom = fresh(world, place, true).await?;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
    // The rest comes to its end in peace.
    for place in 0..world.workers.len() {
        world.replace_worker(place, &[]).await?.end_or_ended().await?;
    }
    Ok(())
}

/// Stops a worker, and kills it if it holds a job that may be lost once more.
async fn strike(world: &World, place: usize) -> Result<bool> {
    let worker = &world.workers[place];
    worker.signal(Signal::STOP)?;
    let held = world.look(worker, How::Killed).await?;
    if !held.counts() || held.held.iter().any(|held| held.attempt >= LOST_OFTEN) {
        worker.signal(Signal::CONT)?;
        return Ok(false);
    }
    worker.signal(Signal::KILL)?;
    Ok(true)
}

/// Puts a worker with a doom of its own in the place of one that lives on or, when it `died`, is noted as lost. Nobody
/// waits for the lease of the dead to run out: it is over by the only clock that counts.
async fn fresh(world: &mut World, place: usize, died: bool) -> Result<Doom> {
    if died {
        let loss = world.look(&world.workers[place], How::Killed).await?;
        for held in &loss.held {
            let (job_id, epoch) = (&held.job_id, held.epoch);
            let over = format!(
                "update queue set lease_until = clock_timestamp() where job_id = '{job_id}' and epoch = {epoch} and state = 'leased'"
            );
            world.database.sql.execute(&over).await?;
        }
        world.losses.push(loss);
    }
    let doom = doom(world);
    let plan = match doom {
        Doom::Armed(point, _) => {
            Some(format!("{point}:{}=kill", if OF_STEPS.contains(&point) { world.rng.random_range(1..=8) } else { 1 }))
        }
        Doom::At(_) => None,
    };
    let further: Vec<(&str, &str)> = plan.iter().map(|plan| (FAILPOINT, plan.as_str())).collect();
    let old = world.replace_worker(place, &further).await?;
    match died {
        true => old.kill().await?,
        false => old.end_or_ended().await?,
    }
    Ok(match doom {
        Doom::At(_) => Doom::At(Instant::now() + Duration::from_millis(world.rng.random_range(WITHIN))),
        Doom::Armed(point, _) => Doom::Armed(point, Instant::now() + PATIENCE),
    })
}

fn doom(world: &mut World) -> Doom {
    if world.rng.random_ratio(1, 2) {
        return Doom::At(Instant::now());
    }
    let points = match world.rng.random_range(0..10) {
        0 => OF_LEASES,
        1 | 2 => OF_ENDS,
        _ => OF_STEPS,
    };
    let point = points.choose(&mut world.rng).copied().unwrap_or(Point::AfterReply);
    Doom::Armed(point, Instant::now())
}
