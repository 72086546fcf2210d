//! `codeteam jobs`, `codeteam stop` and `codeteam requeue`.

use config::Services;
use serde_json::json;
use store::{jobs, queue};

use crate::cli::{JobRef, Jobs};
use crate::exit::Outcome;
use crate::screen::{self, one_line, table};

/// Lists jobs.
pub(crate) async fn run(args: Jobs, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let before = match &args.before {
        Some(job) => Some(jobs::find(&db, job).await?),
        None => None,
    };
    let listed = jobs::list(&db, before, args.limit).await?;
    if json {
        for job in &listed {
            screen::data(true, job, String::new)?;
        }
        return Ok(());
    }
    if listed.is_empty() {
        screen::progress("no jobs yet: label an issue, or `codeteam run PATH \"task\"`");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|job| {
            vec![
                job.job_id.short(),
                job.state.clone(),
                job.mode.clone().unwrap_or_else(|| "-".to_owned()),
                job.steps.to_string(),
                job.cost_microusd.to_string(),
                job.repository.clone(),
                one_line(&job.title, 60),
            ]
        })
        .collect();
    screen::data(false, &(), || table(&["JOB", "STATE", "MODE", "STEPS", "COST", "REPOSITORY", "TITLE"], &rows))?;
    Ok(())
}

/// Stops a job.
pub(crate) async fn stop(args: JobRef, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = jobs::find(&db, &args.job).await?;
    queue::stop(&db, job_id).await?;
    screen::data(json, &json!({ "job_id": job_id, "stop": "requested" }), || {
        format!("job {} is asked to stop; what it did so far is kept", job_id.short())
    })?;
    Ok(())
}

/// Makes a job ready at once.
pub(crate) async fn requeue(args: JobRef, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = jobs::find(&db, &args.job).await?;
    let was = queue::requeue(&db, job_id).await?;
    screen::data(json, &json!({ "job_id": job_id, "was": was }), || format!("job {} was {was} and is ready now", job_id.short()))?;
    Ok(())
}
