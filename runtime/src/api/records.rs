//! What is recorded of a job.

use axum::extract::State;
use serde::Deserialize;
use store::{events as event_table, jobs, ledger as ledger_table, listing};
use utoipa::IntoParams;

use super::extract::{JobPath, Query};
use super::guard::{Allowed, JobsRead};
use super::jobs::in_range;
use super::model::{EventPage, LedgerEntries, StepPage};
use super::problem::Problem;
use super::{Api, Json};

/// Which part of a job's records.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// Only what has a higher number; 0.
    #[param(minimum = 0, maximum = 2147483647)]
    after: Option<u32>,
    /// The most on a page; 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// List what happened to a job, in order.
#[utoipa::path(
    get, path = "/jobs/{job_id}/events", operation_id = "list_job_events", tag = "jobs", params(("job_id" = uuid::Uuid, Path, description = "The job"), Part),
    security(("token" = ["jobs:read"])), responses((status = 200, description = "A page", body = EventPage)),
)]
pub(crate) async fn events(
    _: Allowed<JobsRead>,
    State(api): State<Api>,
    JobPath(job_id): JobPath,
    Query(part): Query<Part>,
) -> Result<Json<EventPage>, Problem> {
    let (after, limit) = part.checked(1_000)?;
    jobs::exists(&api.db, job_id).await?;
    let mut events = event_table::list(&api.db, job_id, i64::from(after), limit + 1).await?;
    let more = cut(&mut events, limit);
    Ok(Json(EventPage { events: events.into_iter().map(Into::into).collect(), more }))
}

/// List a job's steps, in order, with what the tools said.
#[utoipa::path(
    get, path = "/jobs/{job_id}/steps", operation_id = "list_job_steps", tag = "jobs", params(("job_id" = uuid::Uuid, Path, description = "The job"), Part),
    security(("token" = ["jobs:read"])), responses((status = 200, description = "A page", body = StepPage)),
)]
pub(crate) async fn steps(
    _: Allowed<JobsRead>,
    State(api): State<Api>,
    JobPath(job_id): JobPath,
    Query(part): Query<Part>,
) -> Result<Json<StepPage>, Problem> {
    let (after, limit) = part.checked(1_000)?;
    jobs::exists(&api.db, job_id).await?;
    let mut steps = listing::steps(&api.db, job_id, after, limit + 1, true).await?;
    let more = cut(&mut steps, limit);
    Ok(Json(StepPage { steps: steps.into_iter().map(Into::into).collect(), more }))
}

/// Show what was held back and paid for a job.
#[utoipa::path(
    get, path = "/jobs/{job_id}/ledger", operation_id = "show_job_ledger", tag = "jobs", params(("job_id" = uuid::Uuid, Path, description = "The job")),
    security(("token" = ["jobs:read"])), responses((status = 200, description = "All entries", body = LedgerEntries)),
)]
pub(crate) async fn ledger(_: Allowed<JobsRead>, State(api): State<Api>, JobPath(job_id): JobPath) -> Result<Json<LedgerEntries>, Problem> {
    jobs::exists(&api.db, job_id).await?;
    let entries = ledger_table::entries(&api.db, job_id).await?;
    Ok(Json(LedgerEntries { entries: entries.into_iter().map(Into::into).collect() }))
}

impl Part {
    fn checked(&self, most: u32) -> Result<(i32, u32), Problem> {
        let after = i32::try_from(self.after.unwrap_or(0)).map_err(|_| Problem::parameter("after", "expected 0 to 2147483647"))?;
        Ok((after, in_range("limit", self.limit, 100, most)?))
    }
}

/// Drops what was only read to know whether there is more.
fn cut<T>(rows: &mut Vec<T>, limit: u32) -> bool {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    more
}
