//! Steering jobs, one or many.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::JobId;
use github::RepositoryName;
use store::listing::{self, Filter};
use store::{StoreError, dlq, hints, jobs, queue};

use super::create::key;
use super::extract::{Body, JobPath, OptionalBody};
use super::guard::{Allowed, JobsWrite};
use super::model::{Bulk, BulkAction, BulkFilter, BulkResult, BulkResults, Hint, Hinted, Retried, Retry, Steered};
use super::problem::{Kind, Problem};
use super::{Api, Json};

/// The most jobs that one request works on.
const MOST_IN_BULK: usize = 500;

/// Stop a job; what it did so far is kept.
///
/// Who holds it is told within two seconds, ends model call and tools, and finalizes. To ask twice changes nothing.
#[utoipa::path(
    post, path = "/jobs/{job_id}/stop", operation_id = "stop_job", tag = "steering", params(("job_id" = uuid::Uuid, Path, description = "The job")),
    security(("token" = ["jobs:write"])), responses((status = 202, description = "It is asked to stop", body = Steered)),
)]
pub(crate) async fn stop(_: Allowed<JobsWrite>, State(api): State<Api>, JobPath(job_id): JobPath) -> Result<Response, Problem> {
    steered(&api, BulkAction::Stop, job_id).await
}

/// Do a finished job again, as a new one.
#[utoipa::path(
    post, path = "/jobs/{job_id}/retry", operation_id = "retry_job", tag = "steering", request_body = Option<Retry>,
    params(
        ("job_id" = uuid::Uuid, Path, description = "The job"),
        ("Idempotency-Key" = Option<String>, Header, description = "Two requests with one key are one new job, for 30 days",
            min_length = 1, max_length = 255),
    ),
    security(("token" = ["jobs:write"])), responses((status = 201, description = "The new job", body = Retried)),
)]
pub(crate) async fn retry(
    _: Allowed<JobsWrite>,
    State(api): State<Api>,
    JobPath(job_id): JobPath,
    headers: HeaderMap,
    OptionalBody(retry): OptionalBody<Option<Retry>>,
) -> Result<Response, Problem> {
    let key = key(&headers)?.map(|key| format!("api:retry:{job_id}:{key}"));
    let new = jobs::retry_once(&api.db, job_id, retry.unwrap_or_default().mode, key.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(Retried { job_id: new.0, retry_of: job_id.0 })).into_response())
}

/// Make a job ready at once that waits, pauses after a failure or rests as dead. A worker that holds it loses it.
#[utoipa::path(
    post, path = "/jobs/{job_id}/requeue", operation_id = "requeue_job", tag = "steering",
    params(("job_id" = uuid::Uuid, Path, description = "The job")), security(("token" = ["jobs:write"])),
    responses((status = 202, description = "It is ready", body = Steered)),
)]
pub(crate) async fn requeue(_: Allowed<JobsWrite>, State(api): State<Api>, JobPath(job_id): JobPath) -> Result<Response, Problem> {
    steered(&api, BulkAction::Requeue, job_id).await
}

/// Tell a job something that its next model call reads.
#[utoipa::path(
    post, path = "/jobs/{job_id}/hint", operation_id = "hint_job", tag = "steering", request_body = Hint,
    params(("job_id" = uuid::Uuid, Path, description = "The job")), security(("token" = ["jobs:write"])),
    responses((status = 201, description = "It is written down", body = Hinted)),
)]
pub(crate) async fn hint(
    allowed: Allowed<JobsWrite>,
    State(api): State<Api>,
    JobPath(job_id): JobPath,
    Body(hint): Body<Hint>,
) -> Result<Response, Problem> {
    if hint.text.trim().is_empty() || hint.text.chars().count() > hints::MOST_CHARS {
        return Err(Problem::field("/text", format!("expected 1 to {} characters, not all of them blank", hints::MOST_CHARS)));
    }
    let given = hints::give(&api.db, job_id, &hint.text, &format!("token {}", allowed.caller.token.id)).await?;
    Ok((StatusCode::CREATED, Json(Hinted { job_id: job_id.0, seq: given.seq, before_step: given.before_step })).into_response())
}

/// Do one thing to many jobs: those that are listed, and the newest ones that a filter names.
///
/// Each job is worked on by itself: the answer says for each what became of it.
#[utoipa::path(
    post, path = "/jobs/bulk", operation_id = "steer_jobs", tag = "steering", request_body = Bulk, security(("token" = ["jobs:write"])),
    responses((status = 200, description = "What became of each", body = BulkResults)),
)]
pub(crate) async fn bulk(_: Allowed<JobsWrite>, State(api): State<Api>, Body(bulk): Body<Bulk>) -> Result<Json<BulkResults>, Problem> {
    if bulk.jobs.len() > MOST_IN_BULK {
        return Err(Problem::field("/jobs", format!("names {} jobs: expected at most {MOST_IN_BULK}", bulk.jobs.len())));
    }
    let mut jobs: Vec<JobId> = bulk.jobs.into_iter().map(JobId).collect();
    let mut more = false;
    if let Some(filter) = bulk.filter {
        let named;
        (named, more) = named_by(&api, filter, MOST_IN_BULK - jobs.len()).await?;
        jobs.extend(named);
    }
    // Each once, in this order.
    let mut seen = HashSet::new();
    jobs.retain(|job| seen.insert(*job));
    let mut results = Vec::with_capacity(jobs.len());
    for job_id in jobs {
        results.push(one(&api, bulk.action, job_id).await?);
    }
    Ok(Json(BulkResults { results, more }))
}

/// The newest `most` jobs of a filter, and whether there are more.
async fn named_by(api: &Api, filter: BulkFilter, most: usize) -> Result<(Vec<JobId>, bool), Problem> {
    if let Some(repository) = &filter.repository {
        RepositoryName::parse(repository).map_err(|error| Problem::field("/filter/repository", error.to_string()))?;
    }
    if most == 0 {
        return Ok((Vec::new(), true));
    }
    let filter = Filter { state: Some(filter.state.into()), repository: filter.repository, mode: filter.mode, ..Filter::default() };
    let page = listing::page(&api.db, &filter, None, most as u32).await?;
    Ok((page.jobs.into_iter().map(|job| job.job_id).collect(), page.next.is_some()))
}

/// Does `action` to the one job that a request names.
pub(crate) async fn steered(api: &Api, action: BulkAction, job_id: JobId) -> Result<Response, Problem> {
    act(api, action, job_id).await?;
    Ok((StatusCode::ACCEPTED, Json(Steered { job_id: job_id.0, action })).into_response())
}

/// Does `action` to a job; the job that it made, if it made one.
async fn act(api: &Api, action: BulkAction, job_id: JobId) -> Result<Option<JobId>, StoreError> {
    match action {
        BulkAction::Stop => queue::stop(&api.db, job_id).await.map(|()| None),
        BulkAction::Retry => jobs::retry(&api.db, job_id, None).await.map(Some),
        BulkAction::Requeue => queue::requeue(&api.db, job_id).await.map(|_| None),
        BulkAction::Redrive => dlq::redrive(&api.db, job_id).await.map(|()| None),
        BulkAction::Discard => dlq::discard(&api.db, job_id).await.map(|()| None),
    }
}

/// Does `action` to a job of many. What the job does not allow is a result; what is wrong around it ends the request.
async fn one(api: &Api, action: BulkAction, job_id: JobId) -> Result<BulkResult, Problem> {
    let result = |done, detail, new: Option<JobId>| BulkResult { job_id: job_id.0, done, detail, new_job_id: new.map(|id| id.0) };
    match act(api, action, job_id).await {
        Ok(new) => Ok(result(true, None, new)),
        Err(error @ (StoreError::Refused(_) | StoreError::NoJob(_))) => Ok(result(false, Some(error.to_string()), None)),
        Err(error) => {
            let problem = Problem::from(error);
            Err(Problem::new(Kind::Unavailable, format!("ended at job {job_id}: {}", problem.detail())).retry_after(2))
        }
    }
}
