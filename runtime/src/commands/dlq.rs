//! `codeteam dlq`.

use std::time::Duration;

use config::Services;
use serde_json::json;
use store::dlq::{self, Filter};
use store::{Db, jobs};

use crate::cli::{Dead, DeadFilter, Dlq};
use crate::commands::show;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, one_line, table};

/// Lists, shows, redrives or discards.
pub(crate) async fn run(command: Dlq, json: bool, services: &Services) -> Outcome {
    match command {
        Dlq::List { filter, limit, after } => list(&filter_of(filter), limit, after, json, services).await,
        Dlq::Show(job) => show::run(job, json, services).await,
        Dlq::Redrive(dead) => move_dead(dead, Move::Redrive, json, services).await,
        Dlq::Discard(dead) => move_dead(dead, Move::Discard, json, services).await,
    }
}

async fn list(filter: &Filter, limit: u32, after: Option<String>, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let after = match &after {
        Some(job) => Some(jobs::find(&db, job).await?),
        None => None,
    };
    let dead = dlq::list(&db, filter, after, limit).await?;
    if json {
        for job in &dead {
            screen::data(true, job, String::new)?;
        }
        return Ok(());
    }
    if dead.is_empty() {
        screen::progress("no dead job matches");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = dead
        .iter()
        .map(|job| {
            vec![
                job.job_id.short(),
                job.died_at.date().to_string(),
                job.mode.map_or_else(|| "-".to_owned(), |mode| mode.to_string()),
                job.steps.to_string(),
                job.cost_microusd.to_string(),
                job.repository.clone(),
                one_line(&job.title, 40),
                one_line(&job.cause, 60),
            ]
        })
        .collect();
    screen::data(false, &(), || table(&["JOB", "DIED", "MODE", "STEPS", "COST", "REPOSITORY", "TITLE", "CAUSE"], &rows))?;
    Ok(())
}

#[derive(Clone, Copy)]
enum Move {
    Redrive,
    Discard,
}

async fn move_dead(dead: Dead, what: Move, json: bool, services: &Services) -> Outcome {
    let filter = filter_of(dead.filter);
    if dead.job.is_some() && filter != Filter::default() {
        return Err(Failure::Usage("filters go with --all: a job that is named needs none".to_owned()));
    }
    if dead.all && filter == Filter::default() && !dead.yes {
        return Err(Failure::Usage("this is for every dead job: add a filter, or --yes".to_owned()));
    }
    let db = services.db().await?;
    let moved = match &dead.job {
        Some(job) => one(&db, job, what).await?,
        None => match what {
            Move::Redrive => dlq::redrive_all(&db, &filter).await?,
            Move::Discard => dlq::discard_all(&db, &filter).await?,
        },
    };
    let (name, sentence) = match what {
        Move::Redrive => ("redriven", "are ready to be tried again"),
        Move::Discard => ("discarded", "are put away"),
    };
    screen::data(json, &json!({ name: moved }), || format!("{moved} dead jobs {sentence}"))?;
    Ok(())
}

async fn one(db: &Db, job: &str, what: Move) -> Result<u64, Failure> {
    let job_id = jobs::find(db, job).await?;
    match what {
        Move::Redrive => dlq::redrive(db, job_id).await?,
        Move::Discard => dlq::discard(db, job_id).await?,
    }
    Ok(1)
}

fn filter_of(filter: DeadFilter) -> Filter {
    let DeadFilter { repository, mode, cause, older_than_hours } = filter;
    Filter { repository, mode, cause, dead_for: older_than_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3_600)) }
}
