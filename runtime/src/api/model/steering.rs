//! What is done to jobs.

use domain::Mode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::job::{JobMode, JobState};

/// How to repeat a job. Everything has a default.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// Who should do it; as before unless given.
    #[schema(value_type = Option<JobMode>)]
    pub(crate) mode: Option<Mode>,
}

/// A job that repeats another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Retried {
    /// The new job.
    pub(crate) job_id: Uuid,
    /// The one that it repeats.
    pub(crate) retry_of: Uuid,
}

/// What a job should know.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hint {
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S", example = "The rounding is in src/price.rs")]
    pub(crate) text: String,
}

/// A hint that was written down.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Hinted {
    pub(crate) job_id: Uuid,
    /// The number of its event.
    pub(crate) seq: i64,
    /// The first step whose model call reads it.
    pub(crate) before_step: i32,
}

/// What was asked is written down; who holds the job acts on it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Steered {
    pub(crate) job_id: Uuid,
    pub(crate) action: BulkAction,
}

/// What can be done to many jobs at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Action)]
pub(crate) enum BulkAction {
    Stop,
    Retry,
    Requeue,
    Redrive,
    Discard,
}

/// One thing done to many jobs: those that are listed, and the newest ones that a filter names; at most 500 at once.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    pub(crate) action: BulkAction,
    #[serde(default)]
    #[schema(max_items = 500, required = false)]
    pub(crate) jobs: Vec<Uuid>,
    pub(crate) filter: Option<BulkFilter>,
}

/// Which jobs. Everything that is given has to hold.
#[derive(Clone, PartialEq, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkFilter {
    pub(crate) state: JobState,
    /// `owner/name`.
    #[schema(pattern = r"^[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}/[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,99}$")]
    pub(crate) repository: Option<String>,
    #[schema(value_type = Option<JobMode>)]
    pub(crate) mode: Option<Mode>,
}

/// What became of each job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BulkResults {
    pub(crate) results: Vec<BulkResult>,
    /// Whether the filter names more jobs than one request works on: ask again.
    pub(crate) more: bool,
}

/// What became of one job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BulkResult {
    pub(crate) job_id: Uuid,
    /// Whether it was done.
    pub(crate) done: bool,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// The job that repeats it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new_job_id: Option<Uuid>,
}
