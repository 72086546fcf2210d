//! Workers: the processes that take jobs.

use axum::extract::State;
use store::workers as table;

use super::guard::{Allowed, JobsRead};
use super::model::Workers;
use super::problem::Problem;
use super::{Api, Json};

/// List the workers that were seen in the last day.
#[utoipa::path(
    get, path = "/workers", operation_id = "list_workers", tag = "queue", security(("token" = ["jobs:read"])),
    responses((status = 200, description = "All of them, the newest first", body = Workers)),
)]
pub(crate) async fn list(_: Allowed<JobsRead>, State(api): State<Api>) -> Result<Json<Workers>, Problem> {
    Ok(Json(Workers { workers: table::list(&api.db).await?.into_iter().map(Into::into).collect() }))
}
