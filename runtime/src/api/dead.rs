//! The dead-letter queue: jobs that were given up.

use axum::extract::State;
use axum::response::Response;
use store::dlq;

use super::extract::{Body, JobPath, Query};
use super::guard::{Allowed, JobsRead, JobsWrite};
use super::jobs::{cursor, in_range, read_cursor};
use super::model::{BulkAction, DeadPage, DeadQuery, DeadSelection, Moved, Steered};
use super::problem::Problem;
use super::steer::steered;
use super::{Api, Json};

/// List dead jobs, the oldest first.
#[utoipa::path(
    get, path = "/dlq", operation_id = "list_dead_jobs", tag = "dlq", params(DeadQuery), security(("token" = ["jobs:read"])),
    responses((status = 200, description = "A page", body = DeadPage)),
)]
pub(crate) async fn list(_: Allowed<JobsRead>, State(api): State<Api>, Query(query): Query<DeadQuery>) -> Result<Json<DeadPage>, Problem> {
    let limit = in_range("limit", query.limit, 50, 500)?;
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let dead = dlq::list(&api.db, &query.filter()?, after, limit).await?;
    let next = (dead.len() == limit as usize).then(|| dead.last().map(|last| cursor(last.job_id))).flatten();
    Ok(Json(DeadPage { jobs: dead.into_iter().map(Into::into).collect(), next }))
}

/// Try a dead job again from where it stood; what it spent counts on.
#[utoipa::path(
    post, path = "/jobs/{job_id}/redrive", operation_id = "redrive_job", tag = "dlq",
    params(("job_id" = uuid::Uuid, Path, description = "The job")), security(("token" = ["jobs:write"])),
    responses((status = 202, description = "It is ready", body = Steered)),
)]
pub(crate) async fn redrive(_: Allowed<JobsWrite>, State(api): State<Api>, JobPath(job_id): JobPath) -> Result<Response, Problem> {
    steered(&api, BulkAction::Redrive, job_id).await
}

/// Put a dead job away for good: it stays dead.
#[utoipa::path(
    post, path = "/jobs/{job_id}/discard", operation_id = "discard_job", tag = "dlq",
    params(("job_id" = uuid::Uuid, Path, description = "The job")), security(("token" = ["jobs:write"])),
    responses((status = 202, description = "It has left the queue", body = Steered)),
)]
pub(crate) async fn discard(_: Allowed<JobsWrite>, State(api): State<Api>, JobPath(job_id): JobPath) -> Result<Response, Problem> {
    steered(&api, BulkAction::Discard, job_id).await
}

/// Try every dead job that matches again.
///
/// After an error some are done, and the same request does the rest.
#[utoipa::path(
    post, path = "/dlq/redrive", operation_id = "redrive_dead_jobs", tag = "dlq", request_body = DeadSelection,
    security(("token" = ["jobs:write"])), responses((status = 200, description = "How many", body = Moved)),
)]
pub(crate) async fn redrive_all(
    _: Allowed<JobsWrite>,
    State(api): State<Api>,
    Body(which): Body<DeadSelection>,
) -> Result<Json<Moved>, Problem> {
    Ok(Json(Moved { jobs: dlq::redrive_all(&api.db, &which.filter()?).await? }))
}

/// Put every dead job that matches away for good.
///
/// After an error some are done, and the same request does the rest.
#[utoipa::path(
    post, path = "/dlq/discard", operation_id = "discard_dead_jobs", tag = "dlq", request_body = DeadSelection,
    security(("token" = ["jobs:write"])), responses((status = 200, description = "How many", body = Moved)),
)]
pub(crate) async fn discard_all(
    _: Allowed<JobsWrite>,
    State(api): State<Api>,
    Body(which): Body<DeadSelection>,
) -> Result<Json<Moved>, Problem> {
    Ok(Json(Moved { jobs: dlq::discard_all(&api.db, &which.filter()?).await? }))
}
