//! Jobs as lists and pages show them.

use domain::{JobId, Kind, MicroUsd, Mode, OutcomeName, QueueState};
use serde_json::Value;
use time::OffsetDateTime;

use crate::error::parse;
use crate::{Db, StoreError};

/// How many of the newest jobs one page with a filter looks through: there is no index for every filter, and no
/// list may cost more the more jobs there ever were.
const LOOK_THROUGH: i64 = 20_000;

/// Which jobs a list shows. Everything that is given has to hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Where they stand.
    pub state: Option<State>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Who does them.
    pub mode: Option<Mode>,
    /// What they produce.
    pub kind: Option<Kind>,
    /// How they ended.
    pub outcome: Option<OutcomeName>,
    /// Not written before then.
    pub since: Option<OffsetDateTime>,
}

/// Where a job stands, for lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// In the queue (a dead job rests there too).
    Queued(QueueState),
    /// Out of the queue.
    Finished,
}

/// One line of a list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its id.
    pub job_id: JobId,
    /// When it was written.
    pub created_at: OffsetDateTime,
    /// `owner/name`.
    pub repository: String,
    /// What it produces.
    pub kind: Kind,
    /// Who does it; `None` until triage decides.
    pub mode: Option<Mode>,
    /// The request's first line.
    pub title: String,
    /// Where it stands.
    pub state: State,
    /// What a waiting job waits for.
    pub waiting_for: Option<String>,
    /// How it ended.
    pub outcome: Option<OutcomeName>,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
    /// Steps so far.
    pub steps: i32,
    /// Cost so far.
    pub cost_microusd: MicroUsd,
}

/// A part of a list, the newest jobs first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The jobs. With a filter there can be fewer than asked for, even none, and more to come.
    pub jobs: Vec<Line>,
    /// Older jobs follow before this one; `None` = this was all.
    pub next: Option<JobId>,
}

/// The newest `limit` jobs that `filter` lets pass, before `before` if given.
///
/// Jobs that are written meanwhile come before the first page: who follows the pages to their end sees every
/// job that was there at the beginning, once.
///
/// # Errors
/// Those of the database.
pub async fn page(db: &Db, filter: &Filter, before: Option<JobId>, limit: u32) -> Result<Page, StoreError> {
    // One more than asked for tells whether there are more.
    let wanted = i64::from(limit) + 1;
    let look_through = if *filter == Filter::default() { wanted } else { LOOK_THROUGH };
    let (queued, finished) = match filter.state {
        None => (None, false),
        Some(State::Queued(state)) => (Some(<&str>::from(state)), false),
        Some(State::Finished) => (None, true),
    };
    let rows = sqlx::query_file!(
        "sql/listing.sql",
        before.map(|id| id.0),
        look_through,
        wanted,
        queued,
        finished,
        filter.repository,
        filter.mode.map(<&str>::from),
        filter.kind.map(<&str>::from),
        filter.outcome.map(<&str>::from),
        filter.since,
    )
    .fetch_all(&db.pool)
    .await?;
    let looked_at_all = rows.first().is_none_or(|row| row.looked < look_through);
    let oldest_looked_at = rows.first().and_then(|row| row.oldest).map(JobId);
    let mut jobs = Vec::new();
    for row in rows {
        // Where nothing passed there is one row, which only says how far was looked.
        let Some(job_id) = row.job_id else { continue };
        let state = match &row.state {
            Some(state) => State::Queued(parse("queue.state", state)?),
            None => State::Finished,
        };
        jobs.push(Line {
            job_id: JobId(job_id),
            created_at: row.created_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            repository: row.repository.unwrap_or_default(),
            kind: parse("jobs.kind", &row.kind.unwrap_or_default())?,
            mode: row.mode.map(|mode| parse("jobs.mode", &mode)).transpose()?,
            title: row.title.unwrap_or_default(),
            state,
            waiting_for: row.waiting_for,
            outcome: row.outcome.map(|outcome| parse("jobs.outcome", &outcome)).transpose()?,
            finished_at: row.finished_at,
            steps: row.steps.unwrap_or_default(),
            cost_microusd: MicroUsd(row.cost_microusd.unwrap_or_default()),
        });
    }
    let next = if jobs.len() > limit as usize {
        jobs.truncate(limit as usize);
        jobs.last().map(|job| job.job_id)
    } else if looked_at_all {
        None
    } else {
        oldest_looked_at
    };
    Ok(Page { jobs, next })
}

/// One step of a job, for people.
#[derive(Clone, PartialEq, Debug)]
pub struct StepLine {
    /// From 1.
    pub step_no: i32,
    /// The model's name in the price table.
    pub model: String,
    /// When the reply was stored.
    pub created_at: OffsetDateTime,
    /// How long the model took.
    pub model_ms: i64,
    /// How long its tools took; `None` = they have not run to their end.
    pub tools_ms: Option<i64>,
    /// The workspace's tree after it; `None` = as before.
    pub tree: Option<String>,
    /// The fields of its event `model_replied`: tools, tokens, cost.
    pub replied: Option<Value>,
    /// What the tools said, if that was asked for.
    pub results: Option<Value>,
}

/// The steps of a job after number `after`, in order, at most `limit`; with what the tools said if `results`.
///
/// # Errors
/// Those of the database.
pub async fn steps(db: &Db, job_id: JobId, after: i32, limit: u32, results: bool) -> Result<Vec<StepLine>, StoreError> {
    let rows = sqlx::query_file_as!(StepLine, "sql/listing_steps.sql", job_id.0, after, i64::from(limit), results);
    Ok(rows.fetch_all(&db.pool).await?)
}
