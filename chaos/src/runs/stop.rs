//! Jobs are stopped at random instants, by a comment on GitHub, through the API, and on the command line. Two seconds after a stop is
//! committed no model call, no tool call and no push may begin any more, no tool may still run, and the person is told.

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
use crate::tools::{Ran, Watch};
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

/// A stop that was asked for.
struct Stop {
    door: Door,
    at: Instant,
}

/// A stop as the database has it, in seconds since 1970: its clock is ours, since it runs on this machine.
#[derive(Deserialize)]
struct Committed {
    job_id: String,
    at_s: f64,
    ended_s: Option<f64>,
    outcome: Option<String>,
}

const COMMITTED: &str = "
    select jobs.job_id, extract(epoch from events.created_at)::double precision as at_s,
           extract(epoch from jobs.finished_at)::double precision as ended_s, jobs.outcome
    from events
    join jobs using (job_id)
    where events.kind = 'stop_requested'";

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
    let committed: Vec<Committed> = world.database.sql.rows(COMMITTED).await?;
    let committed: BTreeMap<String, Committed> = committed.into_iter().map(|stop| (stop.job_id.clone(), stop)).collect();
    let (now, now_s) = (Instant::now(), world.database.sql.value::<f64>("extract(epoch from clock_timestamp())::double precision").await?);
    let seconds = |at: Instant| now_s - now.saturating_duration_since(at).as_secs_f64();
    let tools = watch.ran();
    let (mut late, mut too_late) = (0, 0);
    for (index, stop) in &stops {
        let ticket = world.tickets[*index].clone();
        let job_id = ticket.job_id.clone().unwrap_or_default();
        let script = Script::of_tag(&ticket.tag).context("a ticket has a script")?;
        // What ended just before it was asked to stop has nothing to be measured.
        let Some(committed) = committed.get(&job_id) else {
            late += 1;
            continue;
        };
        too_late += u32::from(committed.outcome.as_deref() != Some("stopped"));
        let name: &str = stop.door.into();
        report.hit(format!("by_{name}"));
        report.rounds += 1;
        let calls = world.model.book().into_iter().filter(|((tag, _), _)| *tag == ticket.tag).filter_map(|(_, served)| served.last_asked);
        let tools: Vec<Ran> = (1..=script.steps()).filter_map(|step| tools.get(&script.mark(step)).copied()).collect();
        let after = |at: Option<Instant>| at.map_or(0.0, |at| (seconds(at) - committed.at_s).max(0.0));
        let began = [
            ("model call began", after(calls.max())),
            ("tool call began", after(tools.iter().map(|tool| tool.began).max())),
            ("push began", after(pushed(world, &job_id))),
        ];
        let ran = after(tools.iter().map(|tool| tool.seen).max());
        for (what, after_s) in began.into_iter().chain([("tool still ran", ran)]) {
            report.checked.entry("a stop is heeded").and_modify(|count| *count += 1).or_insert(1);
            if after_s > MOST.as_secs_f64() {
                let what = format!("job {job_id} ({}): a {what} {after_s:.2} s after it was stopped by {name}", ticket.tag);
                report.violations.push(Violation { invariant: "a stop is heeded", what });
            }
        }
        report.times.begun_after_stop.extend(began.map(|(_, after_s)| after_s));
        report.times.ran_after_stop.push(ran);
        report.times.stop_committed.push((committed.at_s - seconds(stop.at)).max(0.0));
        report.times.ended_after_stop.extend(committed.ended_s.map(|ended_s| (ended_s - committed.at_s).max(0.0)));
    }
    report.note(format!("{late} of {} jobs had ended when they were asked to stop, and {too_late} had been pushed", stops.len()));
    ensure!(report.rounds > 0, "no job was stopped");
    Ok(())
}

/// When the last push of a job began, if there was one.
fn pushed(world: &World, job_id: &str) -> Option<Instant> {
    let short: String = job_id.chars().filter(char::is_ascii_hexdigit).collect::<String>().split_off(20);
    let state = world.hub.as_ref()?.server.state();
    state.pushes.iter().rfind(|push| push.branches.iter().any(|branch| branch.contains(&short))).map(|push| push.at)
}

async fn is_open(world: &World, index: usize) -> Result<bool> {
    let Some(job_id) = &world.tickets[index].job_id else { return Ok(false) };
    world.database.sql.value(&format!("select exists (select from queue where job_id = '{job_id}' and not cancel_requested)")).await
}

/// Asks for the stop at a random door.
async fn stop(world: &mut World, index: usize, token: &str) -> Result<Stop> {
    let door = *[Door::Comment, Door::Comment, Door::Api, Door::Api, Door::Cli].choose(&mut world.rng).context("there are doors")?;
    let job_id = world.tickets[index].job_id.clone().context("the ticket was accepted")?;
    let at = Instant::now();
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
        }
    }
    Ok(Stop { door, at })
}

/// A token for the API.
async fn token(world: &World) -> Result<String> {
    let output = world.launcher.run(&["token", "create", "--name", "chaos", "--scope", "jobs:write"]).await?;
    ensure!(output.exit.success(), "codeteam token create: {}", output.stderr_text());
    Ok(output.stdout_text().trim().to_owned())
}
