//! `codeteam retry`.

use config::Services;
use serde_json::json;
use store::jobs;

use crate::cli::Retry;
use crate::exit::Outcome;
use crate::screen;

/// Writes a new job that repeats a finished one.
pub(crate) async fn run(args: Retry, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let old = jobs::find(&db, &args.job).await?;
    let job_id = jobs::retry(&db, old, args.mode).await?;
    screen::data(json, &json!({ "job_id": job_id, "retry_of": old }), || {
        format!("job {} repeats {}; `codeteam watch {}` follows it", job_id.short(), old.short(), job_id.short())
    })?;
    Ok(())
}
