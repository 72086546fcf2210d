//! Jobs are stopped at random instants, by a comment on GitHub, through the API, and on the command line. From then on no model call
//! and no tool call may begin but within two seconds, and the person is told.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::seq::IndexedRandom;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::Amount;
use crate::check::Violation;
use crate::model::script::{Kind, Script};
use crate::report::RunReport;
use crate::tools::Watch;
use crate::webhook::post;
use crate::world::World;

/// After this nothing more may begin.
const MOST: Duration = Duration::from_secs(2);
/// How long after it was asked for a job is stopped: before it begins, in each of its steps, or too late.
const AFTER: std::ops::Range<u64> = 50..11_000;
/// Jobs that were asked for, for each that is to be stopped, before the run gives up.
const TRIES: usize = 3;

/// Who stops it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
enum Door {
    Comment,
    Api,
    Cli,
}

struct Stop {
    door: Door,
    /// When it was asked: a comment or request when it was sent, a command when it came back.
    at: Instant,
    /// The same by the database's clock, in seconds since 1970.
    at_s: f64,
}

#[derive(Deserialize)]
struct Ended {
    job_id: String,
    at_s: f64,
}

pub(super) async fn play(world: &mut World, amount: Amount, report: &mut RunReport) -> Result<()> {
    let token = token(world).await?;
    let watch = Watch::start()?;
    // By ticket: those that are to be stopped, and those that were asked to.
    let (mut due, mut stops) = (BTreeMap::<usize, Instant>::new(), BTreeMap::<usize, Stop>::new());
    while (stops.len() as u32) < amount.rounds && Instant::now() < amount.until && world.tickets.len() < TRIES * amount.rounds as usize {
        let before = world.tickets.len();
        world.top_up(&[(Kind::Halted, 1)]).await?;
        for index in before..world.tickets.len() {
            due.insert(index, Instant::now() + Duration::from_millis(world.rng.random_range(AFTER)));
        }
        let now: Vec<usize> = due.iter().filter(|(_, at)| **at <= Instant::now()).map(|(index, _)| *index).collect();
        for index in now {
            due.remove(&index);
            if is_open(world, index).await? {
                stops.insert(index, stop(world, index, &token).await?);
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    world.quiet(super::REST).await?;
    let stopped = "select job_id, extract(epoch from finished_at)::double precision as at_s from jobs where outcome = 'stopped'";
    let stopped: Vec<Ended> = world.database.sql.rows(stopped).await?;
    let stopped: BTreeMap<String, f64> = stopped.into_iter().map(|ended| (ended.job_id, ended.at_s)).collect();
    let tools = watch.began();
    let mut late = 0;
    for (index, stop) in &stops {
        let ticket = world.tickets[*index].clone();
        let job_id = ticket.job_id.clone().unwrap_or_default();
        let script = Script::of_tag(&ticket.tag).context("a ticket has a script")?;
        // What ended just before it was asked to stop has nothing to be measured.
        let Some(ended_s) = stopped.get(&job_id) else {
            late += 1;
            continue;
        };
        let name: &str = stop.door.into();
        report.hit(format!("by_{name}"));
        report.rounds += 1;
        let calls = world.model.book().into_iter().filter(|((tag, _), _)| *tag == ticket.tag).filter_map(|(_, served)| served.last_asked);
        let tools = (1..=script.steps()).filter_map(|step| tools.get(&script.mark(step)).copied());
        for (what, begun) in [("model call", calls.max()), ("tool call", tools.max())] {
            let after = begun.map_or(Duration::ZERO, |begun| begun.saturating_duration_since(stop.at));
            report.times.begun_after_stop.push(after.as_secs_f64());
            report.checked.entry("a stop is heeded").and_modify(|count| *count += 1).or_insert(1);
            if after > MOST {
                let what =
                    format!("job {job_id} ({}): a {what} began {:.2} s after it was stopped by {name}", ticket.tag, after.as_secs_f64());
                report.violations.push(Violation { invariant: "a stop is heeded", what });
            }
        }
        report.times.ended_after_stop.push((ended_s - stop.at_s).max(0.0));
        report.times.pushed_after_stop.extend(pushed(world, &job_id, stop.at));
    }
    report.note(format!("{late} of {} jobs had ended when they were asked to stop", stops.len()));
    ensure!(report.rounds > 0, "no job was stopped");
    Ok(())
}

/// How long after the stop the push began that keeps what was done.
fn pushed(world: &World, job_id: &str, stop: Instant) -> Option<f64> {
    let hub = world.hub.as_ref()?;
    let short: String = job_id.chars().filter(char::is_ascii_hexdigit).collect::<String>().split_off(20);
    let state = hub.server.state();
    let last = state.pushes.iter().rfind(|push| push.branches.iter().any(|branch| branch.contains(&short)))?;
    Some(last.at.saturating_duration_since(stop).as_secs_f64())
}

async fn is_open(world: &World, index: usize) -> Result<bool> {
    let Some(job_id) = &world.tickets[index].job_id else { return Ok(false) };
    world.database.sql.value(&format!("select exists (select from queue where job_id = '{job_id}' and outcome_pending is null)")).await
}

/// Asks for the stop at a random door.
async fn stop(world: &mut World, index: usize, token: &str) -> Result<Stop> {
    let door = *[Door::Comment, Door::Comment, Door::Api, Door::Api, Door::Cli].choose(&mut world.rng).context("there are doors")?;
    let job_id = world.tickets[index].job_id.clone().context("the ticket was accepted")?;
    let mut at = Instant::now();
    match door {
        Door::Comment => world.say(index, "/codeteam stop", 1).await?,
        Door::Api => {
            let address = world.servers[0].address.clone().context("the server is ready")?;
            let headers = format!("authorization: Bearer {token}\r\n");
            // A job that has ended meanwhile cannot be stopped.
            if let Err(refused) = post(&address, &format!("/api/v1/jobs/{job_id}/stop"), &headers, "").await {
                ensure!(!is_open(world, index).await?, "the API does not stop job {job_id}: {refused:#}");
            }
        }
        Door::Cli => {
            let output = world.launcher.run(&["stop", &job_id]).await?;
            ensure!(output.exit.success() || !is_open(world, index).await?, "codeteam stop {job_id}: {}", output.stderr_text());
            at = Instant::now();
        }
    }
    // The database's clock is ours: it runs on this machine.
    let now: f64 = world.database.sql.value("extract(epoch from clock_timestamp())::double precision").await?;
    Ok(Stop { door, at, at_s: now - at.elapsed().as_secs_f64() })
}

/// A token for the API.
async fn token(world: &World) -> Result<String> {
    let output = world.launcher.run(&["token", "create", "--name", "chaos", "--scope", "jobs:write"]).await?;
    ensure!(output.exit.success(), "codeteam token create: {}", output.stderr_text());
    Ok(output.stdout_text().trim().to_owned())
}
