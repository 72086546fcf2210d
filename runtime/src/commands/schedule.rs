//! `codeteam schedule`.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use config::Services;
use domain::{JobInput, NewJob, Trigger};
use serde_json::json;
use store::schedules::{self, NewSchedule};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{AddSchedule, Schedule};
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table};

/// Adds, lists, changes and runs schedules.
pub(crate) async fn run(command: Schedule, json: bool, services: &Services) -> Outcome {
    match command {
        Schedule::Add(args) => add(*args, json, services).await,
        Schedule::List => list(json, services).await,
        Schedule::Show(which) => show(&schedules::get(&services.db().await?, &which.name).await?, json),
        Schedule::Remove(which) => {
            schedules::remove(&services.db().await?, &which.name).await?;
            done(json, &which.name, "removed", format!("schedule {} is gone; its jobs stay", which.name))
        }
        Schedule::Enable(which) => show(&schedules::set_enabled(&services.db().await?, &which.name, true).await?, json),
        Schedule::Disable(which) => show(&schedules::set_enabled(&services.db().await?, &which.name, false).await?, json),
        Schedule::RunNow(which) => {
            let job_id = schedules::run_now(&services.db().await?, &which.name).await?;
            screen::data(json, &json!({ "schedule": which.name, "job_id": job_id }), || {
                format!("job {} is written; `codeteam watch {}` follows it", job_id.short(), job_id.short())
            })?;
            Ok(())
        }
    }
}

async fn add(args: AddSchedule, json: bool, services: &Services) -> Outcome {
    let AddSchedule { name, cron, repository, task, job, time_zone, missed, kind, mode, model } = args;
    let job = match (&job, repository, task) {
        (Some(file), ..) => read(file)?,
        (None, Some(repository), Some(task)) => {
            let (title, body) = task.split_once('\n').unwrap_or((&task, ""));
            let input = JobInput { title: title.trim().to_owned(), body: body.trim().to_owned(), ..JobInput::default() };
            let (caps, priority, trigger) = (None, 0, Trigger::Cli);
            NewJob { repository, remote: None, input, kind, mode: Some(mode), model, caps, priority, trigger, idempotency_key: None }
        }
        _ => return Err(Failure::Usage("name a repository and a task, or a file with --job".to_owned())),
    };
    // Who can call this can reach the same files and network anyway.
    enqueue::check(&job, &services.models()?, true).map_err(Failure::Usage)?;
    show(&schedules::add(&services.db().await?, &NewSchedule { name, cron, time_zone, missed, job }).await?, json)
}

/// The job in a file.
fn read(file: &Path) -> Result<NewJob, Failure> {
    let mut text = String::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{} holds no job: {error}", file.display())))
}

async fn list(json: bool, services: &Services) -> Outcome {
    let listed = schedules::list(&services.db().await?).await?;
    if json {
        for schedule in &listed {
            screen::data(true, schedule, String::new)?;
        }
        return Ok(());
    }
    if listed.is_empty() {
        screen::progress("no schedules yet: `codeteam schedule add --help` says how to make one");
        return Ok(());
    }
    let row = |schedule: &schedules::Schedule| {
        vec![
            schedule.name.clone(),
            schedule.cron.clone(),
            schedule.time_zone.clone(),
            next(schedule),
            schedule.last_job_id.map_or_else(|| "-".to_owned(), |job_id| job_id.short()),
            schedule.job["repository"].as_str().unwrap_or("-").to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    screen::data(false, &(), || table(&["NAME", "CRON", "ZONE", "NEXT", "LAST JOB", "REPOSITORY"], &rows))?;
    Ok(())
}

fn show(schedule: &schedules::Schedule, json: bool) -> Outcome {
    screen::data(json, schedule, || {
        let mut lines = vec![
            format!("schedule      {}", schedule.name),
            format!("runs          {} ({}), missed runs: {}", schedule.cron, schedule.time_zone, schedule.missed),
            format!("next          {}", next(schedule)),
        ];
        if let (Some(at), Some(job_id)) = (schedule.last_run_at, schedule.last_job_id) {
            lines.push(format!("last          {}, job {}", instant(at), job_id.short()));
        }
        lines.push(format!("job           {}", schedule.job));
        lines.join("\n")
    })?;
    Ok(())
}

fn next(schedule: &schedules::Schedule) -> String {
    match (schedule.next_run_at, &schedule.problem) {
        (_, Some(problem)) => format!("disabled: {problem}"),
        (Some(at), None) => instant(at),
        (None, None) if schedule.enabled => "never".to_owned(),
        (None, None) => "disabled".to_owned(),
    }
}

fn instant(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

fn done(json: bool, name: &str, what: &str, sentence: String) -> Outcome {
    screen::data(json, &json!({ "schedule": name, "done": what }), || sentence)?;
    Ok(())
}
