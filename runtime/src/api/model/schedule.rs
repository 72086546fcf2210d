//! Schedules.

use domain::schedule::Missed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::schedules as table;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::job::CreateJob;

/// A schedule to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddSchedule {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "nightly")]
    pub(crate) name: String,
    /// Minute, hour, day of the month, month, day of the week; or `@daily` and its like.
    #[schema(example = "30 2 * * 1-5")]
    pub(crate) cron: String,
    /// By whose clocks: a name of the IANA database.
    #[serde(default = "utc")]
    #[schema(required = false, example = "America/Sao_Paulo")]
    pub(crate) time_zone: String,
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) missed: MissedRuns,
    /// The job that comes again.
    pub(crate) job: CreateJob,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Which schedule: the part of the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "a description: the endpoints read the name themselves")]
pub(crate) struct ScheduleName {
    /// Its name
    #[param(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    name: String,
}

/// What becomes of runs that were missed: left out, one job for all of them, or each made up for (at most 50).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MissedRuns {
    Skip,
    #[default]
    Once,
    All,
}

impl From<MissedRuns> for Missed {
    fn from(missed: MissedRuns) -> Self {
        match missed {
            MissedRuns::Skip => Self::Skip,
            MissedRuns::Once => Self::Once,
            MissedRuns::All => Self::All,
        }
    }
}

impl From<Missed> for MissedRuns {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Skip => Self::Skip,
            Missed::Once => Self::Once,
            Missed::All => Self::All,
        }
    }
}

/// Schedules by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Schedules {
    pub(crate) schedules: Vec<Schedule>,
}

/// A job that comes again by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    name: String,
    cron: String,
    time_zone: String,
    missed: MissedRuns,
    #[schema(value_type = CreateJob)]
    job: Value,
    enabled: bool,
    /// null = never again, or not enabled.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    next_run_at: Option<OffsetDateTime>,
    /// The instant that its last job was for.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    last_run_at: Option<OffsetDateTime>,
    #[schema(required)]
    last_job_id: Option<Uuid>,
    /// Why it was disabled by itself; null = it was not.
    #[schema(required)]
    problem: Option<String>,
}

impl From<table::Schedule> for Schedule {
    fn from(schedule: table::Schedule) -> Self {
        let table::Schedule { name, cron, time_zone, missed, job, enabled, next_run_at, last_run_at, last_job_id, problem } = schedule;
        let (missed, last_job_id) = (missed.into(), last_job_id.map(|job_id| job_id.0));
        Self { name, cron, time_zone, missed, job, enabled, next_run_at, last_run_at, last_job_id, problem }
    }
}

/// The job of a schedule that was started by hand.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleRun {
    pub(crate) job_id: Uuid,
    pub(crate) schedule: String,
}
