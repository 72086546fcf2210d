//! Schedules: jobs that come again by themselves.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::NewJob;
use domain::schedule::{Timetable, TimetableError};
use store::schedules::{self as table, NewSchedule};

use super::extract::Body;
use super::guard::{Admin, Allowed, JobsRead};
use super::model::{AddSchedule, Schedule, ScheduleName, ScheduleRun, Schedules};
use super::problem::{Kind, Problem};
use super::{Api, BASE, Json};

/// The name of a schedule in the path.
pub(crate) struct Name(String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, state).await.ok().filter(|Path(name)| table::is_name(name));
        named.map(|Path(name)| Self(name)).ok_or_else(|| Problem::new(Kind::NotFound, "no schedule can have this name"))
    }
}

/// List all schedules.
#[utoipa::path(
    get, path = "/schedules", operation_id = "list_schedules", tag = "schedules", security(("token" = ["jobs:read"])),
    responses((status = 200, description = "All of them, by name", body = Schedules)),
)]
pub(crate) async fn list(_: Allowed<JobsRead>, State(api): State<Api>) -> Result<Json<Schedules>, Problem> {
    Ok(Json(Schedules { schedules: table::list(&api.db).await?.into_iter().map(Into::into).collect() }))
}

/// Add a schedule; it runs from its next time on.
#[utoipa::path(
    post, path = "/schedules", operation_id = "add_schedule", tag = "schedules", request_body = AddSchedule, security(("token" = ["admin"])),
    responses((status = 201, description = "The schedule", body = Schedule, headers(("location" = String, description = "Where it is")))),
)]
pub(crate) async fn add(_: Allowed<Admin>, State(api): State<Api>, Body(asked): Body<AddSchedule>) -> Result<Response, Problem> {
    let AddSchedule { name, cron, time_zone, missed, job } = asked;
    if !table::is_name(&name) {
        return Err(Problem::field("/name", table::NAMES));
    }
    Timetable::parse(&cron, &time_zone).map_err(|error| match error {
        TimetableError::Cron(error) => Problem::field("/cron", error.to_string()),
        TimetableError::Zone(error) => Problem::field("/time_zone", error.to_string()),
    })?;
    let job: NewJob = serde_json::from_value(serde_json::to_value(&job).map_err(|error| Problem::internal(&error))?)
        .map_err(|error| Problem::field("/job", error.to_string()))?;
    api.check(&job).map_err(|wrong| Problem::of_job("/job", wrong))?;
    let schedule = table::add(&api.db, &NewSchedule { name, cron, time_zone, missed: missed.into(), job }).await?;
    let location = [(header::LOCATION, format!("{BASE}/schedules/{}", schedule.name))];
    Ok((StatusCode::CREATED, location, Json(Schedule::from(schedule))).into_response())
}

/// Show a schedule.
#[utoipa::path(
    get, path = "/schedules/{name}", operation_id = "show_schedule", tag = "schedules",
    params(ScheduleName),
    security(("token" = ["jobs:read"])), responses((status = 200, description = "The schedule", body = Schedule)),
)]
pub(crate) async fn show(_: Allowed<JobsRead>, State(api): State<Api>, Name(name): Name) -> Result<Json<Schedule>, Problem> {
    Ok(Json(table::get(&api.db, &name).await?.into()))
}

/// Remove a schedule; its jobs stay.
#[utoipa::path(
    delete, path = "/schedules/{name}", operation_id = "remove_schedule", tag = "schedules",
    params(ScheduleName),
    security(("token" = ["admin"])), responses((status = 204, description = "It is gone")),
)]
pub(crate) async fn remove(_: Allowed<Admin>, State(api): State<Api>, Name(name): Name) -> Result<StatusCode, Problem> {
    table::remove(&api.db, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a schedule run from its next time on. What it missed while it stood still is not made up for.
#[utoipa::path(
    post, path = "/schedules/{name}/enable", operation_id = "enable_schedule", tag = "schedules",
    params(ScheduleName),
    security(("token" = ["admin"])), responses((status = 200, description = "The schedule", body = Schedule)),
)]
pub(crate) async fn enable(_: Allowed<Admin>, State(api): State<Api>, Name(name): Name) -> Result<Json<Schedule>, Problem> {
    Ok(Json(table::set_enabled(&api.db, &name, true).await?.into()))
}

/// Stop a schedule until it is enabled again.
#[utoipa::path(
    post, path = "/schedules/{name}/disable", operation_id = "disable_schedule", tag = "schedules",
    params(ScheduleName),
    security(("token" = ["admin"])), responses((status = 200, description = "The schedule", body = Schedule)),
)]
pub(crate) async fn disable(_: Allowed<Admin>, State(api): State<Api>, Name(name): Name) -> Result<Json<Schedule>, Problem> {
    Ok(Json(table::set_enabled(&api.db, &name, false).await?.into()))
}

/// Start a schedule's job now, beside its times.
#[utoipa::path(
    post, path = "/schedules/{name}/run", operation_id = "run_schedule", tag = "schedules",
    params(ScheduleName),
    security(("token" = ["admin"])), responses((status = 201, description = "The job", body = ScheduleRun)),
)]
pub(crate) async fn run(_: Allowed<Admin>, State(api): State<Api>, Name(name): Name) -> Result<Response, Problem> {
    let job_id = table::run_now(&api.db, &name).await?;
    Ok((StatusCode::CREATED, Json(ScheduleRun { job_id: job_id.0, schedule: name })).into_response())
}
