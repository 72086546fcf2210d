//! Jobs as people see them.

use domain::{Caps, JobId, JobInput, Kind, MicroUsd, Mode, NewJob, Outcome, QueueState, Spent, Trigger};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::enqueue::{Enqueued, enqueue};
use crate::error::parse;
use crate::listing::{self, State};
use crate::{Db, StoreError};

/// A job.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// `owner/name`.
    pub repository: String,
    /// Where to clone and push; `None` = the forge knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// What it produces.
    pub kind: Kind,
    /// Who does it; `None` until triage decides.
    pub mode: Option<Mode>,
    /// The model asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What started it.
    pub trigger: Trigger,
    /// The request.
    pub input: JobInput,
    /// Lower caps than the mode's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<Caps>,
    /// The job that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// The commit that it starts from, once prepared.
    pub base_commit: Option<String>,
    /// How it ended; `None` while it has not.
    pub finished: Option<Finished>,
}

/// The end of a job.
#[derive(Clone, Debug, Serialize)]
pub struct Finished {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Where the result is: branch, pull request, comment.
    pub links: Value,
    /// What it took.
    pub spent: Spent,
}

struct JobRow {
    job_id: Uuid,
    created_at: OffsetDateTime,
    repository: String,
    remote: Option<String>,
    kind: String,
    mode: Option<String>,
    model: Option<String>,
    trigger: Json<Trigger>,
    input: Json<JobInput>,
    caps: Option<Json<Caps>>,
    retry_of: Option<Uuid>,
    base_commit: Option<String>,
    finished_at: Option<OffsetDateTime>,
    outcome_detail: Option<Json<Outcome>>,
    links: Option<Value>,
    steps: Option<i32>,
    tokens: Option<i64>,
    cost_microusd: Option<i64>,
    active_ms: Option<i64>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let finished = row.finished_at.zip(row.outcome_detail).map(|(at, outcome)| Finished {
            at,
            outcome: outcome.0,
            links: row.links.unwrap_or_default(),
            spent: Spent {
                steps: row.steps.unwrap_or_default().unsigned_abs(),
                tokens: row.tokens.unwrap_or_default().unsigned_abs(),
                cost_microusd: MicroUsd(row.cost_microusd.unwrap_or_default()),
                active_ms: row.active_ms.unwrap_or_default().unsigned_abs(),
            },
        });
        Ok(Self {
            job_id: JobId(row.job_id),
            created_at: row.created_at,
            repository: row.repository,
            remote: row.remote,
            kind: parse("jobs.kind", &row.kind)?,
            mode: row.mode.as_deref().map(|mode| parse("jobs.mode", mode)).transpose()?,
            model: row.model,
            trigger: row.trigger.0,
            input: row.input.0,
            caps: row.caps.map(|caps| caps.0),
            retry_of: row.retry_of.map(JobId),
            base_commit: row.base_commit,
            finished,
        })
    }
}

/// Where a job stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// Its place in the queue; `None` once it is finished and not dead.
    pub queue: Option<InQueue>,
}

/// The queue row of a job, for people.
#[derive(Clone, Debug, Serialize)]
pub struct InQueue {
    /// Its state.
    pub state: QueueState,
    /// What a waiting job waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Not before then.
    #[serde(with = "time::serde::rfc3339")]
    pub run_at: OffsetDateTime,
    /// Attempts without progress.
    pub attempt: i32,
    /// Changes of hands.
    pub epoch: i64,
    /// When the lease ends.
    #[serde(with = "time::serde::rfc3339::option")]
    pub lease_until: Option<OffsetDateTime>,
    /// The last step whose results are stored.
    pub step_no: i32,
    /// What it has spent so far; `steps` counts stored results.
    pub spent: Spent,
    /// Somebody asked it to stop.
    pub cancel_requested: bool,
}

/// The job `job_id` and where it stands.
///
/// # Errors
/// [`StoreError::NoJob`], or those of the database.
pub async fn get(db: &Db, job_id: JobId) -> Result<Standing, StoreError> {
    let job = read(&db.pool, job_id).await?;
    let queue = sqlx::query!(
        "select state, waiting_for, run_at, attempt, epoch, lease_until, step_no, tokens, cost_microusd, active_ms, cancel_requested
         from queue where job_id = $1",
        job_id.0
    )
    .fetch_optional(&db.pool)
    .await?;
    let queue = queue
        .map(|row| {
            Ok::<_, StoreError>(InQueue {
                state: parse("queue.state", &row.state)?,
                waiting_for: row.waiting_for,
                run_at: row.run_at,
                attempt: row.attempt,
                epoch: row.epoch,
                lease_until: row.lease_until,
                step_no: row.step_no,
                spent: Spent {
                    steps: row.step_no.unsigned_abs(),
                    tokens: row.tokens.unsigned_abs(),
                    cost_microusd: MicroUsd(row.cost_microusd),
                    active_ms: row.active_ms.unsigned_abs(),
                },
                cancel_requested: row.cancel_requested,
            })
        })
        .transpose()?;
    Ok(Standing { job, queue })
}

/// The row of `jobs` alone.
pub(crate) async fn read(session: impl PgExecutor<'_>, job_id: JobId) -> Result<Job, StoreError> {
    let row = sqlx::query_file_as!(JobRow, "sql/job.sql", job_id.0).fetch_optional(session).await?;
    row.ok_or_else(|| StoreError::NoJob(job_id.to_string()))?.try_into()
}

/// Nothing, if there is a job `job_id`.
///
/// # Errors
/// [`StoreError::NoJob`], or those of the database.
pub async fn exists(db: &Db, job_id: JobId) -> Result<(), StoreError> {
    let found = sqlx::query_scalar!("select job_id from jobs where job_id = $1", job_id.0).fetch_optional(&db.pool).await?;
    found.map(|_| ()).ok_or_else(|| StoreError::NoJob(job_id.to_string()))
}

/// Finds a job by its whole id or by the end of it, as screens show it.
///
/// # Errors
/// [`StoreError::NoJob`] when nothing ends so, [`StoreError::Refused`] when several do.
pub async fn find(db: &Db, text: &str) -> Result<JobId, StoreError> {
    if let Ok(job_id) = text.parse() {
        return Ok(job_id);
    }
    let ending = text.to_ascii_lowercase();
    if ending.len() < 4 || !ending.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(StoreError::NoJob(format!("{text:?}: give a job id, or at least its last 4 digits as `codeteam jobs` shows them")));
    }
    let found = sqlx::query_scalar!("select job_id from jobs where job_id::text like '%' || $1 order by job_id desc limit 2", ending)
        .fetch_all(&db.pool)
        .await?;
    match found[..] {
        [] => Err(StoreError::NoJob(format!("whose id ends in {text}"))),
        [job_id] => Ok(JobId(job_id)),
        _ => Err(StoreError::Refused(format!("several jobs end in {text}: give more digits"))),
    }
}

/// One line of a list of jobs.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its id.
    pub job_id: JobId,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// `owner/name`.
    pub repository: String,
    /// Its mode; `None` until triage decides.
    pub mode: Option<String>,
    /// The request's first line.
    pub title: String,
    /// `ready`, `leased`, `waiting`, or how it ended.
    pub state: String,
    /// Steps so far.
    pub steps: i32,
    /// Cost so far.
    pub cost_microusd: MicroUsd,
}

/// The newest `limit` jobs, newest first, before `before` if given.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db, before: Option<JobId>, limit: u32) -> Result<Vec<Listed>, StoreError> {
    let page = listing::page(db, &listing::Filter::default(), before, limit).await?;
    let listed = page.jobs.into_iter().map(|line| Listed {
        job_id: line.job_id,
        created_at: line.created_at,
        repository: line.repository,
        mode: line.mode.map(|mode| mode.to_string()),
        title: line.title,
        state: match (line.outcome, line.state) {
            (Some(outcome), _) => outcome.to_string(),
            (None, State::Queued(state)) => state.to_string(),
            // Who leaves the queue has an outcome.
            (None, State::Finished) => "finished".to_owned(),
        },
        steps: line.steps,
        cost_microusd: line.cost_microusd,
    });
    Ok(listed.collect())
}

/// Writes a new job that repeats a finished one, in `mode` if given.
///
/// # Errors
/// [`StoreError::Refused`] while the job is not finished, and for one that was refused before its pull request was looked at where
/// `mode` would pass that by; [`StoreError::NoJob`] when there is none.
pub async fn retry(db: &Db, job_id: JobId, mode: Option<Mode>) -> Result<JobId, StoreError> {
    retry_once(db, job_id, mode, None).await
}

/// The same, at most once for each `key`: the second call returns the job that the first one wrote.
///
/// # Errors
/// Those of [`retry`].
pub async fn retry_once(db: &Db, job_id: JobId, mode: Option<Mode>, key: Option<&str>) -> Result<JobId, StoreError> {
    let Job { repository, remote, kind, mode: old_mode, model, input, caps, finished, .. } = get(db, job_id).await?.job;
    if finished.is_none() {
        return Err(StoreError::Refused(format!("job {job_id} is not finished: stop it first, or wait")));
    }
    let was_refused = finished.as_ref().is_some_and(|finished| matches!(finished.outcome, Outcome::Refused { .. }));
    if was_refused && input.is_pull_request && mode.or(old_mode).is_some() {
        let number = input.number.unwrap_or_default();
        return Err(StoreError::Refused(format!(
            "job {job_id} was refused before pull request #{number} was looked at: retry it without a mode, or ask again on the pull request"
        )));
    }
    // Another mode has other caps and models: what was asked of the old one does not fit it.
    let same_mode = mode.is_none() || mode == old_mode;
    let again = NewJob {
        repository,
        remote,
        input,
        kind,
        mode: mode.or(old_mode),
        model: model.filter(|_| same_mode),
        caps: caps.filter(|_| same_mode),
        priority: 0,
        trigger: Trigger::Retry,
        idempotency_key: None,
    };
    match enqueue(db, &again, key, None, Some(job_id)).await? {
        Enqueued::New(job_id) | Enqueued::Known(job_id) => Ok(job_id),
        Enqueued::Ignored(reason) => Err(StoreError::Refused(reason)),
        Enqueued::Command(_) | Enqueued::KnownCommand(_) => unreachable!("only a delivery can be a command"),
    }
}
