//! GitHub has bad days, and whoever talks to it is killed: at random moments, and at the points around everything that is said and
//! done there. Each label is told up to three times, and some people ask what their job costs.

use std::time::Duration;

use ::failpoints::Point;
use anyhow::Result;
use process::Signal;
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use super::Amount;
use crate::losses::How;
use crate::model::script::Kind;
use crate::product::FAILPOINT;
use crate::report::RunReport;
use crate::world::World;

/// Owners, each with one repository: changes are a second apart for each of them.
pub(super) const OWNERS: usize = 20;

const JOBS: &[(Kind, u32)] = &[(Kind::Work, 3), (Kind::Talk, 2)];
/// Of a hundred requests to GitHub, so many fail.
const FAULTS: u64 = 12;
/// From one loss to the next.
const BETWEEN: std::ops::Range<u64> = 700..2500;
/// How long jobs are tormented once the last of them was asked for.
const PATIENCE: Duration = Duration::from_secs(120);

/// The points around what workers do on GitHub.
const OF_WORKERS: &[Point] = &[
    Point::AfterDecide,
    Point::AfterBranchIntent,
    Point::AfterPush,
    Point::AfterBranch,
    Point::AfterPullRequestIntent,
    Point::AfterPullRequestOpened,
    Point::AfterPullRequest,
    Point::AfterCommentIntent,
    Point::AfterCommentWritten,
    Point::AfterComment,
    Point::BeforeFinish,
    Point::AfterFinish,
];
/// And around what servers hear and say.
const OF_SERVERS: &[Point] = &[
    Point::BeforeEnqueue,
    Point::AfterEnqueue,
    Point::AfterTriageClaim,
    Point::AfterTriage,
    Point::AfterOutboxTake,
    Point::AfterOutboxSend,
    Point::AfterOutboxSend,
    Point::AfterCommandClaim,
    Point::AfterCommandDone,
];

/// Which point each process is armed for: the first of each kind never is, so that there is always progress.
#[derive(Default)]
struct Armed {
    workers: Vec<Option<Point>>,
    servers: Vec<Option<Point>>,
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let mut armed = Armed { workers: vec![None; world.workers.len()], servers: vec![None; world.servers.len()] };
    let hub = world.hub.as_ref().expect("this run's worlds have a GitHub");
    hub.set(FAULTS);
    let (mut next, mut ending) = (Instant::now(), None);
    loop {
        if (world.tickets.len() as u32) < amount.rounds && Instant::now() < amount.until {
            ask(world).await?;
        } else {
            // What is said last is said under faults, too, but whoever says it lives: a sender that dies keeps its owner for 90 s.
            let ends = *ending.get_or_insert(Instant::now() + PATIENCE);
            let open: u64 = world.database.sql.value("select count(*) from queue where state <> 'dead'").await?;
            if open == 0 || Instant::now() > ends {
                break;
            }
        }
        bury(world, &mut armed, report).await?;
        if Instant::now() > next {
            lose(world, &mut armed, report).await?;
            next = Instant::now() + Duration::from_millis(world.rng.random_range(BETWEEN));
        }
        sleep(Duration::from_millis(100)).await;
    }
    // Whoever is armed would die of what the last jobs need.
    for index in 0..world.workers.len() {
        world.replace_worker(index, &[]).await?.end_or_ended().await?;
    }
    for index in 0..world.servers.len() {
        serve(world, index, None).await?.end_or_ended().await?;
    }
    if let Some(hub) = &world.hub {
        hub.set(FAULTS / 4);
    }
    world.quiet(super::REST).await?;
    report.rounds += world.tickets.len() as u32;
    let hub = world.hub.as_ref().expect("this run's worlds have a GitHub");
    hub.set(0);
    for (fault, count) in hub.struck() {
        *report.hits.entry(fault.to_owned()).or_default() += count;
    }
    let asked = hub.server.state().asked.len();
    report.note(format!("GitHub was asked {asked} times"));
    Ok(())
}

/// Labels issues until there is enough to do. Each label is told up to three times, the third time as another delivery; one person
/// in five asks what it costs.
async fn ask(world: &mut World) -> Result<()> {
    let before = world.tickets.len();
    world.top_up(JOBS).await?;
    for index in before..world.tickets.len() {
        for copy in 0..world.rng.random_range(0..3) {
            world.deliver(index, copy).await?;
        }
        if world.rng.random_ratio(1, 5) {
            world.tickets[index].questions += 1;
            let times = world.rng.random_range(1..=3);
            world.say(index, "/codeteam cost", times).await?;
        }
    }
    Ok(())
}

/// Puts others in the place of those that died at their point.
async fn bury(world: &mut World, armed: &mut Armed, report: &mut RunReport) -> Result<()> {
    for index in 0..world.workers.len() {
        if world.workers[index].ended()?.is_some() {
            report.hit(died_at(armed.workers[index].take()));
            let loss = world.look(&world.workers[index], How::Killed).await?;
            world.losses.push(loss);
            world.replace_worker(index, &[]).await?.end_or_ended().await?;
        }
    }
    for index in 0..world.servers.len() {
        if world.servers[index].ended()?.is_some() {
            report.hit(died_at(armed.servers[index].take()));
            serve(world, index, None).await?.end_or_ended().await?;
        }
    }
    Ok(())
}

fn died_at(point: Option<Point>) -> String {
    point.map_or_else(|| "died".to_owned(), |point| point.to_string())
}

/// Kills somebody, or arms somebody for a point.
async fn lose(world: &mut World, armed: &mut Armed, report: &mut RunReport) -> Result<()> {
    let worker = world.rng.random_range(1..world.workers.len());
    let server = world.rng.random_range(0..world.servers.len());
    match world.rng.random_range(0..100) {
        0..30 => {
            let lives = world.workers[worker].ended()?.is_none();
            let struck = lives && world.strike(worker).await?;
            if struck {
                armed.workers[worker] = None;
                report.hit("kill_9_of_a_worker");
            }
        }
        30..50 => {
            let old = serve(world, server, None).await?;
            armed.servers[server] = None;
            old.signal(Signal::KILL).ok();
            old.end_or_ended().await?;
            report.hit("kill_9_of_a_server");
        }
        50..75 if armed.workers[worker].is_none() => {
            let point = *OF_WORKERS.choose(&mut world.rng).expect("there are points");
            let plan = format!("{point}:1=kill");
            world.replace_worker(worker, &[(FAILPOINT, &plan)]).await?.end_or_ended().await?;
            armed.workers[worker] = Some(point);
        }
        75..100 if armed.servers[1].is_none() => {
            let point = *OF_SERVERS.choose(&mut world.rng).expect("there are points");
            serve(world, 1, Some(point)).await?.end_or_ended().await?;
            armed.servers[1] = Some(point);
        }
        _ => {}
    }
    Ok(())
}

/// Another server in the place of `index`, to die at `point`; the old one is returned.
async fn serve(world: &mut World, index: usize, point: Option<Point>) -> Result<crate::fleet::Process> {
    let plan = point.map(|point| format!("{point}:2=kill"));
    let further: Vec<(&str, &str)> = plan.iter().map(|plan| (FAILPOINT, plan.as_str())).collect();
    let start = |further: &[(&str, &str)]| world.launcher.start(&["serve", "--listen", "127.0.0.1:0"], further);
    let mut server = start(&further)?;
    if let Err(problem) = server.ready().await {
        if point.is_none() || server.ended()?.is_none() {
            return Err(problem);
        }
        // What it found to do brought it to its point before it said that it is ready.
        server = start(&[])?;
        server.ready().await?;
    }
    Ok(std::mem::replace(&mut world.servers[index], server))
}
