//! `codeteam hint`.

use config::Services;
use serde_json::json;
use store::{hints, jobs};

use crate::cli::Hint;
use crate::exit::Outcome;
use crate::screen;

/// Tells a job something that its next step reads.
pub(crate) async fn run(args: Hint, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = jobs::find(&db, &args.job).await?;
    let given = hints::give(&db, job_id, &args.text, "command line").await?;
    screen::data(json, &json!({ "job_id": job_id, "seq": given.seq, "before_step": given.before_step }), || {
        format!("job {} reads it before step {}", job_id.short(), given.before_step)
    })?;
    Ok(())
}
