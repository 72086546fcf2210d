//! The dead-letter queue.

use std::time::Duration;

use domain::Mode;
use github::RepositoryName;
use serde::{Deserialize, Serialize};
use store::dlq::{self, Filter};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::job::JobMode;
use super::whole::number_or_null;
use crate::api::problem::Problem;

/// Which dead jobs, and which part of them. All conditions must hold.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadQuery {
    /// Of this repository, `owner/name`.
    #[param(pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$")]
    repository: Option<String>,
    /// Of this mode.
    #[param(value_type = Option<JobMode>)]
    mode: Option<Mode>,
    /// Whose cause contains this text, whatever its case.
    cause: Option<String>,
    /// That have been dead for so many hours.
    #[param(minimum = 0, maximum = 4294967295_u32)]
    older_than_hours: Option<u32>,
    /// The most on a page; 50.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
    /// `next` of the page before.
    #[param(pattern = "^b[0-9a-f]{32}$")]
    pub(crate) cursor: Option<String>,
}

impl DeadQuery {
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let wrong = |error: String| Problem::parameter("repository", error);
        filter(self.repository.as_ref(), self.mode, self.cause.as_ref(), self.older_than_hours).map_err(wrong)
    }
}

/// Every dead job that fulfils all conditions. Without one, `all` has to say that every dead job is meant.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadSelection {
    /// Of this repository, `owner/name`.
    #[schema(pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$")]
    repository: Option<String>,
    /// Of this mode.
    #[schema(value_type = Option<JobMode>)]
    mode: Option<Mode>,
    /// Whose cause contains this text, whatever its case.
    cause: Option<String>,
    /// That have been dead for so many hours.
    #[serde(default, deserialize_with = "number_or_null")]
    #[schema(minimum = 0, maximum = 4294967295_u32)]
    older_than_hours: Option<u32>,
    /// Yes, every dead job.
    #[serde(default)]
    #[schema(required = false)]
    all: bool,
}

impl DeadSelection {
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let wrong = |error: String| Problem::field("/repository", error);
        let filter = filter(self.repository.as_ref(), self.mode, self.cause.as_ref(), self.older_than_hours).map_err(wrong)?;
        match (filter == Filter::default(), self.all) {
            (true, false) => Err(Problem::conflict("this is for every dead job: add a condition, or \"all\": true")),
            (false, true) => Err(Problem::conflict("\"all\" leaves no room for a condition: drop one of them")),
            _ => Ok(filter),
        }
    }
}

fn filter(
    repository: Option<&String>,
    mode: Option<Mode>,
    cause: Option<&String>,
    older_than_hours: Option<u32>,
) -> Result<Filter, String> {
    if let Some(repository) = repository {
        RepositoryName::parse(repository).map_err(|error| error.to_string())?;
    }
    let dead_for = older_than_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3_600));
    Ok(Filter { repository: repository.cloned(), mode, cause: cause.cloned(), dead_for })
}

/// Dead jobs, the oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DeadPage {
    pub(crate) jobs: Vec<DeadJob>,
    /// The cursor of the next page; null = this was all.
    #[schema(required)]
    pub(crate) next: Option<String>,
}

/// A job that was given up.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DeadJob {
    job_id: Uuid,
    repository: String,
    #[schema(value_type = Option<JobMode>, required)]
    mode: Option<Mode>,
    /// The request's first line.
    title: String,
    /// Why it was given up.
    cause: String,
    #[serde(with = "time::serde::rfc3339")]
    died_at: OffsetDateTime,
    steps: i32,
    /// In millionths of a US dollar.
    cost_microusd: i64,
}

impl From<dlq::Dead> for DeadJob {
    fn from(dead: dlq::Dead) -> Self {
        let dlq::Dead { job_id, repository, mode, title, cause, died_at, steps, cost_microusd } = dead;
        Self { job_id: job_id.0, repository, mode, title, cause, died_at, steps, cost_microusd: cost_microusd.0 }
    }
}

/// What was done to dead jobs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Moved {
    /// To so many.
    pub(crate) jobs: u64,
}
