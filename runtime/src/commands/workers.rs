//! `codeteam workers`.

use config::Services;
use store::workers::{self, Worker};

use crate::exit::Outcome;
use crate::screen::{self, table};

/// Lists the workers of the last day.
pub(crate) async fn run(json: bool, services: &Services) -> Outcome {
    let listed = workers::list(&services.db().await?).await?;
    if json {
        for worker in &listed {
            screen::data(true, worker, String::new)?;
        }
        return Ok(());
    }
    if listed.is_empty() {
        screen::progress("no worker was seen in the last day: `codeteam work` starts one");
        return Ok(());
    }
    let row = |worker: &Worker| {
        vec![
            worker.owner.simple().to_string()[..12].to_owned(),
            state(worker).to_owned(),
            worker.jobs.to_string(),
            worker.slots.to_string(),
            worker.modes.join(", "),
            ago(worker.seen_secs_ago),
            worker.version.clone(),
            worker.host.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    screen::data(false, &(), || table(&["WORKER", "STATE", "JOBS", "SLOTS", "MODES", "SEEN", "VERSION", "HOST"], &rows))?;
    Ok(())
}

fn state(worker: &Worker) -> &'static str {
    match worker.stopped_at {
        Some(_) => "stopped",
        None if worker.is_silent() => "silent",
        None => "works",
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3600),
    }
}
