//! Workers.

use serde::Serialize;
use store::workers;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Workers of the last day.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Workers {
    pub(crate) workers: Vec<Worker>,
}

/// A process that takes jobs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Worker {
    /// Fresh for each process: what the events of its jobs name.
    owner: Uuid,
    state: WorkerState,
    host: String,
    /// Where it runs on ECS.
    #[schema(required)]
    task_arn: Option<String>,
    modes: Vec<String>,
    /// Jobs at the same time.
    slots: i32,
    /// Jobs that it holds.
    jobs: i64,
    version: String,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    seen_at: OffsetDateTime,
    /// When it ended well.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    stopped_at: Option<OffsetDateTime>,
}

/// How a worker is: one that was silent for three beats is lost, or cannot reach the database.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkerState {
    Works,
    Silent,
    Stopped,
}

impl From<workers::Worker> for Worker {
    fn from(worker: workers::Worker) -> Self {
        let state = match worker.stopped_at {
            Some(_) => WorkerState::Stopped,
            None if worker.is_silent() => WorkerState::Silent,
            None => WorkerState::Works,
        };
        let workers::Worker { owner, host, task_arn, modes, slots, version, started_at, seen_at, stopped_at, jobs, .. } = worker;
        Self { owner, state, host, task_arn, modes, slots, jobs, version, started_at, seen_at, stopped_at }
    }
}
