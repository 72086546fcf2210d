//! Lanes, and the gates that hold work back.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use github::RepositoryName;
use store::{gates as gate_table, lanes as lane_table};

use super::extract::{Body, Query};
use super::guard::{Admin, Allowed, JobsRead};
use super::model::{Gates, LaneLimit, Lanes, Limited, Opened, Pause, ScopeQuery, scope};
use super::problem::Problem;
use super::{Api, Json};

/// List the lanes, one for each repository that ever had a job.
#[utoipa::path(
    get, path = "/lanes", operation_id = "list_lanes", tag = "queue", security(("token" = ["jobs:read"])),
    responses((status = 200, description = "All of them, by name", body = Lanes)),
)]
pub(crate) async fn lanes(_: Allowed<JobsRead>, State(api): State<Api>) -> Result<Json<Lanes>, Problem> {
    let lanes = lane_table::list(&api.db).await?;
    Ok(Json(Lanes { lanes: lanes.into_iter().map(Into::into).collect() }))
}

/// Set how many jobs of a repository may run at the same time. Those under way go on.
#[utoipa::path(
    put, path = "/lanes/{owner}/{name}", operation_id = "limit_lane", tag = "queue", request_body = LaneLimit,
    params(
        ("owner" = String, Path, description = "The user or organisation", pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$"),
        ("name" = String, Path, description = "The repository", pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$"),
    ),
    security(("token" = ["admin"])), responses((status = 200, description = "As it is now", body = Limited)),
)]
pub(crate) async fn limit(
    _: Allowed<Admin>,
    State(api): State<Api>,
    Path((owner, name)): Path<(String, String)>,
    Body(limit): Body<LaneLimit>,
) -> Result<Json<Limited>, Problem> {
    let repository = format!("{owner}/{name}");
    RepositoryName::parse(&repository).map_err(|error| Problem::parameter("owner/name", error.to_string()))?;
    let max_running = limit.checked()?;
    lane_table::limit(&api.db, &repository, max_running).await?;
    Ok(Json(Limited { repository, max_running }))
}

/// List the gates that are closed: no job behind one is started.
#[utoipa::path(
    get, path = "/gates", operation_id = "list_gates", tag = "queue", security(("token" = ["jobs:read"])),
    responses((status = 200, description = "All of them, by scope", body = Gates)),
)]
pub(crate) async fn gates(_: Allowed<JobsRead>, State(api): State<Api>) -> Result<Json<Gates>, Problem> {
    all_gates(&api).await
}

/// Pause everything, a mode or a repository: jobs under way go on, and no other is started.
#[utoipa::path(
    post, path = "/gates", operation_id = "pause", tag = "queue", request_body = Pause, security(("token" = ["admin"])),
    responses((status = 201, description = "What is closed now", body = Gates)),
)]
pub(crate) async fn pause(_: Allowed<Admin>, State(api): State<Api>, Body(pause): Body<Pause>) -> Result<Response, Problem> {
    let scope = scope(&pause.scope).map_err(|wrong| Problem::field("/scope", wrong))?;
    gate_table::pause(&api.db, &scope, pause.why.as_deref()).await?;
    Ok((StatusCode::CREATED, all_gates(&api).await?).into_response())
}

async fn all_gates(api: &Api) -> Result<Json<Gates>, Problem> {
    let gates = gate_table::list(&api.db).await?;
    Ok(Json(Gates { gates: gates.into_iter().map(Into::into).collect() }))
}

/// Resume what was paused, or what an alarm closed. A budget that is used up keeps its own gate closed.
#[utoipa::path(
    delete, path = "/gates", operation_id = "resume", tag = "queue", params(ScopeQuery), security(("token" = ["admin"])),
    responses((status = 200, description = "It is open, as far as a person or an alarm closed it", body = Opened)),
)]
pub(crate) async fn resume(_: Allowed<Admin>, State(api): State<Api>, Query(query): Query<ScopeQuery>) -> Result<Json<Opened>, Problem> {
    let scope = query.checked()?;
    let was_paused = gate_table::resume(&api.db, &scope).await?;
    Ok(Json(Opened { scope: scope.into(), was_paused }))
}
