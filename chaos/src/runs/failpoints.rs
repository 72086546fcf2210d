//! Processes kill themselves at fail points: every point so many times, several processes at once.

use std::collections::VecDeque;
use std::time::Duration;

use ::failpoints::Point;
use anyhow::Result;
use process::Signal;
use rand::Rng;
use rand::seq::SliceRandom;
use strum::VariantArray;
use tokio::time::{Instant, sleep};

use super::Amount;
use crate::fleet::Process;
use crate::losses::How;
use crate::model::script::Kind;
use crate::model::storm::{Storm, Weather};
use crate::product::FAILPOINT;
use crate::report::RunReport;
use crate::world::World;

/// Something of everything, so that every point is passed: answers, slow steps, failures.
const EVERYTHING: &[(Kind, u32)] = &[(Kind::Work, 5), (Kind::Talk, 3), (Kind::Slow, 1), (Kind::Poison, 1)];

/// In one round of so many somebody asks how a job goes.
const COMMANDS: u32 = 5;

/// How long a process may take to come to its point.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a point is tried again that was not reached.
const TRIES: u32 = 4;

/// One process that is to die at one place.
#[derive(Clone, Copy, Debug)]
struct Task {
    point: Point,
    tries: u32,
}

/// An armed process.
struct Armed {
    task: Task,
    since: Instant,
    /// Was told to end, which is how it comes to its point.
    told: bool,
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let mut tasks: Vec<Task> = Point::VARIANTS.iter().map(|point| Task { point: *point, tries: 0 }).collect();
    tasks = (0..amount.rounds).flat_map(|_| tasks.clone()).collect();
    tasks.shuffle(&mut world.rng);
    let (servers, workers): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(|task| is_of_a_server(task.point));
    let (mut servers, mut workers) = (VecDeque::from(servers), VecDeque::from(workers));
    // A twentieth of the calls is cut, so that attempts fail and jobs wait.
    world.model.set(Weather::of(&[Storm::Cut], 5));
    // The first of each is never armed, so that there is always progress.
    let mut armed: Vec<Option<Armed>> = (0..world.workers.len() + 1).map(|_| None).collect();
    loop {
        world.top_up(EVERYTHING).await?;
        if world.rng.random_ratio(1, COMMANDS) {
            let index = world.rng.random_range(0..world.tickets.len());
            world.say(index, "/codeteam status", 1).await?;
        }
        let over = Instant::now() > amount.until;
        let mut idle = true;
        for (place, armed) in armed.iter_mut().enumerate().skip(1) {
            let is_server = place == world.workers.len();
            let queue = if is_server { &mut servers } else { &mut workers };
            if let Some(current) = armed.take() {
                idle = false;
                *armed = watch(world, place, current, over, queue, report).await?;
            } else if let Some(task) = queue.pop_front().filter(|_| !over) {
                idle = false;
                arm(world, place, Some(task.point)).await?;
                *armed = Some(Armed { task, since: Instant::now(), told: false });
            } else if process_at(world, place).ended()?.is_some() {
                arm(world, place, None).await?;
            }
        }
        if idle {
            report.rounds += amount.rounds;
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_of_a_server(point: Point) -> bool {
    matches!(
        point,
        Point::BeforeEnqueue
            | Point::AfterEnqueue
            | Point::AfterTriageClaim
            | Point::AfterTriage
            | Point::AfterOutboxTake
            | Point::AfterOutboxSend
            | Point::AfterCommandClaim
            | Point::AfterCommandDone
    )
}

/// At which passing a process dies: the first ones of some points come before it has anything to lose.
fn passing(point: Point, random: u32) -> u32 {
    match point {
        Point::BeforeSweep => 3,
        Point::BeforeClaim => 4 + random % 6,
        Point::BeforeReserve | Point::AfterReserve | Point::AfterCall | Point::AfterReply => 1 + random % 4,
        Point::AfterTools | Point::AfterCheckpoint | Point::AfterResults => 1 + random % 4,
        _ => 1,
    }
}

/// Puts a process in the place of one that lives on or is gone; it dies at `point`, or not at all.
async fn arm(world: &mut World, place: usize, point: Option<Point>) -> Result<()> {
    let random = world.rng.random();
    let plan = point.map(|point| format!("{point}:{}=kill", passing(point, random)));
    let further: Vec<(&str, &str)> = plan.iter().map(|plan| (FAILPOINT, plan.as_str())).collect();
    let old = match place == world.workers.len() {
        true => {
            let mut server = world.launcher.start(&["serve", "--listen", "127.0.0.1:0"], &further)?;
            server.ready().await?;
            std::mem::replace(&mut world.servers[1], server)
        }
        false => world.replace_worker(place, &further).await?,
    };
    // It may be at work: that is given back. One that is dead already has nothing to say.
    old.end_or_ended().await
}

/// Looks whether an armed process came to its point.
async fn watch(
    world: &mut World,
    place: usize,
    mut armed: Armed,
    over: bool,
    queue: &mut VecDeque<Task>,
    report: &mut RunReport,
) -> Result<Option<Armed>> {
    let is_server = place == world.workers.len();
    let point = armed.task.point;
    if process_at(world, place).ended()?.is_some() {
        report.hit(point.to_string());
        if !is_server {
            let loss = world.look(&world.workers[place], How::Killed).await?;
            world.losses.push(loss);
        }
        return Ok(None);
    }
    let drains = matches!(point, Point::BeforeRelease | Point::AfterRelease);
    if drains && !armed.told && holds(world, place).await? {
        world.workers[place].signal(Signal::TERM)?;
        armed.told = true;
    }
    if armed.since.elapsed() < PATIENCE && !over {
        return Ok(Some(armed));
    }
    let task = Task { tries: armed.task.tries + 1, ..armed.task };
    if over {
        report.note(format!("{point} was not reached in time"));
    } else if task.tries < TRIES {
        queue.push_back(task);
    } else {
        report.note(format!("{point} was not reached in {TRIES} tries of {} s", PATIENCE.as_secs()));
    }
    arm(world, place, None).await?;
    Ok(None)
}

fn process_at(world: &mut World, place: usize) -> &mut Process {
    if place == world.workers.len() { &mut world.servers[1] } else { &mut world.workers[place] }
}

async fn holds(world: &World, place: usize) -> Result<bool> {
    let worker: &Process = &world.workers[place];
    Ok(world.look(worker, How::Ended).await?.counts())
}
