//! Starting jobs.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch::Ctx;
use store::jobs;
use uuid::Uuid;

use super::extract::Body;
use super::guard::{Allowed, JobsWrite};
use super::model::{CreateJob, JobAccepted, JobCaps};
use super::problem::{Kind, Problem};
use super::{Api, BASE, DEADLINE, Json};

const MOST_KEY_BYTES: usize = 255;

/// Start a job.
///
/// With an idempotency key the same request may be sent again: it starts one job. A key that came with another
/// request before is refused.
#[utoipa::path(
    post, path = "/jobs", operation_id = "create_job", tag = "jobs", request_body = CreateJob, security(("token" = ["jobs:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Two requests for one repository with one key are one job, for 30 days",
        min_length = 1, max_length = 255)),
    responses(
        (status = 201, description = "A new job", body = JobAccepted, headers(("location" = String, description = "Where the job is"))),
        (status = 200, description = "The job that an earlier request with this key started", body = JobAccepted,
            headers(("location" = String, description = "Where the job is"))),
    ),
)]
pub(crate) async fn create(
    _: Allowed<JobsWrite>,
    State(api): State<Api>,
    headers: HeaderMap,
    Body(job): Body<CreateJob>,
) -> Result<Response, Problem> {
    let mut request = serde_json::to_value(&job).map_err(|error| Problem::internal(&error))?;
    if let Some(key) = key(&headers)? {
        request["idempotency_key"] = key.into();
    }
    let accepted = api.registry.invoke("enqueue", Ctx::with_timeout(DEADLINE), request).await?;
    let job_id = accepted["job_id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
    let job_id = job_id.ok_or_else(|| Problem::internal(&format!("enqueue answered {accepted}")))?;
    let new = accepted["accepted"] == "new";
    if !new {
        same_request(&api, job_id, job).await?;
    }
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(header::LOCATION, format!("{BASE}/jobs/{job_id}"))];
    Ok((status, location, Json(JobAccepted { job_id, new })).into_response())
}

/// The header `Idempotency-Key`, if there is one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MOST_KEY_BYTES).contains(&key.len()));
    let wrong = || Problem::parameter("Idempotency-Key", format!("expected 1 to {MOST_KEY_BYTES} printable ASCII characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

/// Whether the job that a key stands for is the one that is asked for now.
async fn same_request(api: &Api, job_id: Uuid, asked: CreateJob) -> Result<(), Problem> {
    let known = jobs::get(&api.db, domain::JobId(job_id)).await?.job;
    // The mode may have been decided by triage meanwhile. Text is stored without NUL.
    let same = asked.input.same_as(&known.input)
        && asked.kind == known.kind
        && asked.model == known.model
        && asked.caps == known.caps.map(JobCaps::from)
        && asked.remote == known.remote
        && asked.mode.is_none_or(|mode| known.mode == Some(mode));
    if same {
        return Ok(());
    }
    let detail = format!("the key stands for job {job_id}, which asks for something else: choose another key");
    Err(Problem::new(Kind::KeyReused, detail))
}
