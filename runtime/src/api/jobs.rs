//! Looking at jobs.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::JobId;
use github::RepositoryName;
use store::listing::{self, Filter};
use store::{effects, jobs};

use super::extract::{JobPath, Query};
use super::guard::{Allowed, JobsRead};
use super::model::{JobDetail, JobPage, JobsQuery};
use super::problem::Problem;
use super::{Api, BASE, Json};

const USUAL_PAGE: u32 = 50;
const MOST_ON_A_PAGE: u32 = 500;
/// No cap allows more steps.
const MOST_STEPS: u32 = 1_000;

/// List jobs, newest first.
///
/// Jobs that are written meanwhile come before the first page, so whoever follows `next` to its end sees every job
/// that was there at the beginning, once.
#[utoipa::path(
    get, path = "/jobs", operation_id = "list_jobs", tag = "jobs", params(JobsQuery), security(("token" = ["jobs:read"])),
    responses((status = 200, description = "A page", body = JobPage,
        headers(("link" = String, description = "The next page, if there is one (RFC 8288)")))),
)]
pub(crate) async fn list(_: Allowed<JobsRead>, State(api): State<Api>, Query(query): Query<JobsQuery>) -> Result<Response, Problem> {
    let limit = in_range("limit", query.limit, USUAL_PAGE, MOST_ON_A_PAGE)?;
    let before = query.cursor.as_deref().map(read_cursor).transpose()?;
    if let Some(repository) = &query.repository {
        RepositoryName::parse(repository).map_err(|error| Problem::parameter("repository", error.to_string()))?;
    }
    let filter = Filter {
        state: query.state.map(Into::into),
        repository: query.repository.clone(),
        mode: query.mode,
        kind: query.kind,
        outcome: query.outcome,
        since: query.since,
    };
    let page = listing::page(&api.db, &filter, before, limit).await?;
    let next = page.next.map(cursor);
    let link = next.as_ref().map(|next| format!("<{BASE}/jobs?{}>; rel=\"next\"", query.with_cursor(next)));
    let body = Json(JobPage { jobs: page.jobs.into_iter().map(Into::into).collect(), next });
    Ok(match link {
        Some(link) => ([(header::LINK, link)], body).into_response(),
        None => body.into_response(),
    })
}

/// Show a job: request, standing, steps, effects, links.
#[utoipa::path(
    get, path = "/jobs/{job_id}", operation_id = "show_job", tag = "jobs", params(("job_id" = uuid::Uuid, Path, description = "The job")), security(("token" = ["jobs:read"])),
    responses((status = 200, description = "The job", body = JobDetail)),
)]
pub(crate) async fn show(_: Allowed<JobsRead>, State(api): State<Api>, JobPath(job_id): JobPath) -> Result<Json<JobDetail>, Problem> {
    let standing = jobs::get(&api.db, job_id).await?;
    let steps = listing::steps(&api.db, job_id, 0, MOST_STEPS, false).await?;
    let effects = effects::list(&api.db, job_id).await?;
    Ok(Json(JobDetail::new(standing, steps.into_iter().map(Into::into).collect(), effects)))
}

/// A number from 1 to `most`, or `usual`.
pub(crate) fn in_range(name: &str, given: Option<u32>, usual: u32, most: u32) -> Result<u32, Problem> {
    match given.unwrap_or(usual) {
        number if (1..=most).contains(&number) => Ok(number),
        number => Err(Problem::parameter(name, format!("{number} is not in 1 to {most}"))),
    }
}

/// A cursor's text: no promise that it is a job's id.
pub(crate) fn cursor(JobId(id): JobId) -> String {
    format!("b{}", id.simple())
}

pub(crate) fn read_cursor(text: &str) -> Result<JobId, Problem> {
    let id = text.strip_prefix('b').and_then(|digits| uuid::Uuid::try_parse(digits).ok()).map(JobId);
    let id = id.filter(|id| cursor(*id) == text);
    id.ok_or_else(|| Problem::parameter("cursor", "expected `next` of the page before, or nothing"))
}
