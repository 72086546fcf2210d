//! Schedules: jobs that come again by themselves.

use domain::schedule::{Missed, Timetable};
use domain::{JobId, NewJob, Trigger};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::enqueue::{self, Enqueued};
use crate::error::parse;
use crate::json::json;
use crate::session::Tx;
use crate::{Db, StoreError, wake};

/// A schedule to be written.
#[derive(Clone, PartialEq, Debug)]
pub struct NewSchedule {
    /// What people call it: lower-case letters, digits, `.`, `_` and `-`, at most 63.
    pub name: String,
    /// Five fields, or `@daily` and its like.
    pub cron: String,
    /// A name of the IANA database.
    pub time_zone: String,
    /// What becomes of runs that were missed.
    pub missed: Missed,
    /// The job that comes again. Its trigger and key are set at each run.
    pub job: NewJob,
}

/// A schedule.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Schedule {
    /// What people call it.
    pub name: String,
    /// Five fields, or `@daily` and its like.
    pub cron: String,
    /// A name of the IANA database.
    pub time_zone: String,
    /// What becomes of runs that were missed.
    pub missed: Missed,
    /// The job that comes again: a [`NewJob`].
    pub job: Value,
    /// Whether it runs.
    pub enabled: bool,
    /// When it runs next; `None` = never again, or not enabled.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_run_at: Option<OffsetDateTime>,
    /// The instant that its last job was for.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_run_at: Option<OffsetDateTime>,
    /// Its last job.
    pub last_job_id: Option<JobId>,
    /// Why it was disabled by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What became of a schedule that was due.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ran {
    /// Its name.
    pub name: String,
    /// The jobs that were written, oldest first.
    pub jobs: Vec<JobId>,
    /// Runs that were left out, since they were missed.
    pub left_out: usize,
    /// Why it was disabled: it cannot be understood.
    pub problem: Option<String>,
}

struct Row {
    name: String,
    cron: String,
    time_zone: String,
    missed: String,
    job: Value,
    enabled: bool,
    next_run_at: Option<OffsetDateTime>,
    last_run_at: Option<OffsetDateTime>,
    last_job_id: Option<Uuid>,
    problem: Option<String>,
}

impl TryFrom<Row> for Schedule {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            missed: parse("schedules.missed", &row.missed)?,
            name: row.name,
            cron: row.cron,
            time_zone: row.time_zone,
            job: row.job,
            enabled: row.enabled,
            next_run_at: row.next_run_at,
            last_run_at: row.last_run_at,
            last_job_id: row.last_job_id.map(JobId),
            problem: row.problem,
        })
    }
}

/// Writes a schedule; it runs from its next time on.
///
/// # Errors
/// [`StoreError::Refused`] for a name, expression or zone that cannot be understood, and for a name that is taken.
pub async fn add(db: &Db, schedule: &NewSchedule) -> Result<Schedule, StoreError> {
    let NewSchedule { name, cron, time_zone, missed, job } = schedule;
    if !is_name(name) {
        return Err(StoreError::Refused(format!("the name {name:?} does not fit: {NAMES}")));
    }
    let next = next_run(db, name, cron, time_zone).await?;
    let written = sqlx::query!(
        "insert into schedules (name, cron, time_zone, missed, job, next_run_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
        name,
        cron,
        time_zone,
        <&str>::from(*missed),
        stored(job),
        next,
    );
    if written.execute(&db.pool).await?.rows_affected() == 0 {
        let what_to_do = format!("`codeteam schedule remove {name}` takes it away");
        return Err(StoreError::Refused(format!("there is a schedule {name:?} already: choose another name; {what_to_do}")));
    }
    get(db, name).await
}

/// All schedules by name.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db) -> Result<Vec<Schedule>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select name, cron, time_zone, missed, job, enabled, next_run_at, last_run_at, last_job_id, problem from schedules order by name"
    );
    rows.fetch_all(&db.pool).await?.into_iter().map(Schedule::try_from).collect()
}

/// The schedule `name`.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none.
pub async fn get(db: &Db, name: &str) -> Result<Schedule, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "select name, cron, time_zone, missed, job, enabled, next_run_at, last_run_at, last_job_id, problem
         from schedules where name = $1",
        name
    );
    row.fetch_optional(&db.pool).await?.ok_or_else(|| nothing(name))?.try_into()
}

/// Takes a schedule away; its jobs stay.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none.
pub async fn remove(db: &Db, name: &str) -> Result<(), StoreError> {
    let removed = sqlx::query!("delete from schedules where name = $1", name).execute(&db.pool).await?;
    if removed.rows_affected() == 1 { Ok(()) } else { Err(nothing(name)) }
}

/// Lets a schedule run from its next time on, or stops it; what it missed while it stood still is not made up for.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none, [`StoreError::Refused`] when it can no longer be understood.
pub async fn set_enabled(db: &Db, name: &str, enabled: bool) -> Result<Schedule, StoreError> {
    let schedule = get(db, name).await?;
    let next = if enabled { next_run(db, name, &schedule.cron, &schedule.time_zone).await? } else { None };
    // Asked twice, the first answer stays: a run that is due must not be moved away.
    sqlx::query!(
        "update schedules set enabled = $2, next_run_at = $3, problem = null where name = $1 and enabled <> $2",
        name,
        enabled,
        next
    )
    .execute(&db.pool)
    .await?;
    get(db, name).await
}

/// Writes the schedule's job now, beside its times.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none, [`StoreError::Refused`] when its job can no longer be understood.
pub async fn run_now(db: &Db, name: &str) -> Result<JobId, StoreError> {
    let mut tx = db.pool.begin().await?;
    let row = sqlx::query!(r#"select job, now() as "now!" from schedules where name = $1 for update"#, name).fetch_optional(&mut *tx);
    let row = row.await?.ok_or_else(|| nothing(name))?;
    let job = template(&row.job).map_err(|problem| StoreError::Refused(format!("schedule {name:?}: {problem}")))?;
    let job_id = write(&mut tx, name, &job, row.now).await?;
    sqlx::query!("update schedules set last_run_at = $2, last_job_id = $3 where name = $1", name, row.now, job_id.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    wake::notify_all(db).await;
    Ok(job_id)
}

/// Writes the jobs of every schedule that is due, and says when each is due next. Any number of processes may
/// call this at once: one that another has locked is skipped, and a run is a job only once.
///
/// # Errors
/// Those of the database; what was done before stays done.
pub async fn run_due(db: &Db, now: Option<OffsetDateTime>) -> Result<Vec<Ran>, StoreError> {
    let mut all = Vec::new();
    while let Some(ran) = run_one(db, now).await? {
        if !ran.jobs.is_empty() {
            wake::notify_all(db).await;
        }
        all.push(ran);
    }
    Ok(all)
}

/// The schedule that has been due for longest, in a transaction of its own.
async fn run_one(db: &Db, now: Option<OffsetDateTime>) -> Result<Option<Ran>, StoreError> {
    let mut tx = db.pool.begin().await?;
    let row = sqlx::query!(
        r#"select name, cron, time_zone, missed, job, next_run_at as "next_run_at!", coalesce($1, now()) as "now!"
           from schedules
           where enabled and next_run_at <= coalesce($1, now())
           order by next_run_at
           limit 1
           for update skip locked"#,
        now
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut ran = Ran { name: row.name, ..Ran::default() };
    let understood = match (Timetable::parse(&row.cron, &row.time_zone), template(&row.job)) {
        (Ok(timetable), Ok(job)) => Ok((timetable, job)),
        (Err(error), _) => Err(error.to_string()),
        (_, Err(problem)) => Err(problem),
    };
    match understood {
        Ok((timetable, job)) => {
            let due = timetable.due(row.next_run_at, row.now, parse("schedules.missed", &row.missed)?);
            for at in &due.runs {
                ran.jobs.push(write(&mut tx, &ran.name, &job, *at).await?);
            }
            ran.left_out = due.left_out;
            sqlx::query!(
                "update schedules
                 set next_run_at = $2, last_run_at = coalesce($3, last_run_at), last_job_id = coalesce($4, last_job_id)
                 where name = $1",
                ran.name,
                due.next,
                due.runs.last().copied(),
                ran.jobs.last().map(|job_id| job_id.0),
            )
            .execute(&mut *tx)
            .await?;
        }
        // Otherwise it would be due for ever, and those behind it would never run.
        Err(problem) => {
            sqlx::query!("update schedules set enabled = false, next_run_at = null, problem = $2 where name = $1", ran.name, problem)
                .execute(&mut *tx)
                .await?;
            ran.problem = Some(problem);
        }
    }
    tx.commit().await?;
    Ok(Some(ran))
}

/// Writes the job of one instant. The key makes it one job, whoever comes twice.
async fn write(tx: &mut Tx, name: &str, job: &NewJob, at: OffsetDateTime) -> Result<JobId, StoreError> {
    let instant = at.format(&Rfc3339).map_err(|_| StoreError::Corrupt { column: "schedules.next_run_at", value: at.to_string() })?;
    let job = NewJob { trigger: Trigger::Schedule { name: name.to_owned(), at }, idempotency_key: None, ..job.clone() };
    match enqueue::write(tx, &job, Some(&format!("schedule:{name}:{instant}")), None, None).await? {
        Enqueued::New(job_id) | Enqueued::Known(job_id) => Ok(job_id),
        Enqueued::Ignored(reason) => Err(StoreError::Refused(reason)),
        Enqueued::Command(_) | Enqueued::KnownCommand(_) => unreachable!("only a delivery can be a command"),
    }
}

/// A schedule's job. Its remote is what git is given, and may hold a password that git needs.
fn stored(job: &NewJob) -> Value {
    let mut stored = json(job);
    if let Some(remote) = &job.remote {
        stored["remote"] = remote.as_str().into();
    }
    stored
}

fn template(job: &Value) -> Result<NewJob, String> {
    serde_json::from_value(job.clone()).map_err(|error| format!("its job cannot be understood: {error}"))
}

/// When it is due next, by the database's clock.
async fn next_run(db: &Db, name: &str, cron: &str, time_zone: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    let timetable = Timetable::parse(cron, time_zone).map_err(|error| StoreError::Refused(error.to_string()))?;
    let now = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&db.pool).await?;
    match timetable.next_after(now) {
        None => Err(StoreError::Refused(format!("schedule {name:?} would never run: no day fits {cron:?}"))),
        next => Ok(next),
    }
}

/// What a schedule may be called.
pub const NAMES: &str = "expected lower-case letters, digits, '.', '_' and '-', at most 63, beginning with a letter or digit";

/// Whether a schedule may be called `name`.
pub fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    first && rest && name.len() <= 63
}

fn nothing(name: &str) -> StoreError {
    StoreError::NotFound(format!("no schedule {name:?}: `codeteam schedule list` shows those there are"))
}
