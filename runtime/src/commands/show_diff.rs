//! `codeteam show --diff`: what a job has changed, out of its last checkpoint. Of one that was stopped this is all there is.

use anyhow::Context;
use config::Services;
use git::Checkout;
use github::Access;
use serde_json::json;
use store::jobs::{self, Job};
use store::{Db, steps};
use tokio_util::sync::CancellationToken;

use crate::cli::JobRef;
use crate::exit::Outcome;
use crate::screen;

/// Shows the change of a job as a patch of the commit that it began with.
pub(crate) async fn run(args: JobRef, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job = jobs::get(&db, jobs::find(&db, &args.job).await?).await?.job;
    match diff(&db, &job, services).await? {
        Some(diff) => {
            let shown = json!({ "job_id": job.job_id, "base_commit": job.base_commit, "diff": diff });
            screen::data(json, &shown, || diff.trim_end_matches('\n').to_owned())?;
        }
        None if json => screen::data(json, &json!({ "job_id": job.job_id, "base_commit": job.base_commit, "diff": "" }), String::new)?,
        None => screen::progress(&format!("job {} has changed nothing", job.job_id)),
    }
    Ok(())
}

/// `None` = nothing was changed. Works in a folder of its own: the service's mirrors belong to the service's user.
async fn diff(db: &Db, job: &Job, services: &Services) -> anyhow::Result<Option<String>> {
    let (Some(base), Some((tree, pack))) = (&job.base_commit, steps::checkpoint(db, job.job_id, i32::MAX).await?) else { return Ok(None) };
    let folder = tempfile::tempdir().context("cannot make a folder for the checkout")?;
    let (git, forge, cancel) = (services.git_in(folder.path().join("mirrors")), services.forge().await?, CancellationToken::new());
    let place = (job.repository.as_str(), job.remote.as_deref());
    let (_, mirror) = config::mirror(&git, &*forge, place, Access::Read, &cancel).await?;
    let (base, tree) = (base.parse()?, tree.parse()?);
    let checkout = Checkout::create(&mirror, &base, &folder.path().join("checkout"), &cancel).await?;
    checkout.restore(&tree, &pack).await?;
    Ok(Some(checkout.diff(&tree).await?).filter(|diff| !diff.is_empty()))
}
