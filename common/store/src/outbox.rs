//! What is still to be said on the forge: reactions, the comment and check run of a job, notices.
//!
//! A part that lives (comment, check run) is one row for as long as its job goes on. What it says is made when it is sent, out of
//! how the job stands at that moment, so nothing old is ever sent late. Who sends takes a *channel* (the repositories of one
//! owner) for a while, so one owner's parts go one after the other; [`turn`] keeps every mutation there a second apart,
//! those of other processes included.

use std::time::Duration;

use domain::conversation::channel;
use domain::{Emotion, JobId, OwnerId, Subject, Trigger};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::jobs::Job;
use crate::json::text;
use crate::session::Tx;
use crate::wake::{self, Signal};
use crate::{Db, StoreError};

/// The least time between two mutations on one channel (GitHub's rule for what people see).
pub const PACE: Duration = Duration::from_secs(1);
/// How long somebody may take to send one part.
pub const HELD: Duration = Duration::from_secs(90);
/// The least time between two edits of one comment while nothing but progress is new.
const EDITS: Duration = Duration::from_secs(5);

/// Something to say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// A reaction.
    Reaction {
        /// To what.
        #[serde(flatten)]
        subject: Subject,
        /// Which.
        emotion: Emotion,
    },
    /// The comment that tells how the job goes.
    Comment {
        /// On which issue or pull request.
        number: u64,
        /// In the thread of this comment at a line, if it was asked there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<u64>,
        /// What the person wrote or did who asked: the last reaction goes there.
        asked: Subject,
    },
    /// The check run of the job, once there is a commit for it.
    CheckRun,
    /// Words to somebody, once.
    Notice {
        /// On which issue or pull request.
        number: u64,
        /// In the thread of this comment at a line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<u64>,
        /// Markdown.
        body: String,
    },
}

impl Part {
    /// Its name, as `outbox.part` keeps it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reaction { .. } => "reaction",
            Self::Comment { .. } => "comment",
            Self::CheckRun => "check_run",
            Self::Notice { .. } => "notice",
        }
    }

    /// What people wait for most goes first.
    fn urgency(&self) -> i16 {
        match self {
            Self::Reaction { emotion: Emotion::Eyes, .. } => 0,
            Self::Notice { .. } => 10,
            Self::Comment { .. } => 20,
            Self::Reaction { .. } => 30,
            Self::CheckRun => 40,
        }
    }
}

/// A part to be written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPart {
    /// `owner/name`.
    pub repository: String,
    /// The job that it is about.
    pub job_id: Option<JobId>,
    /// Two with one key are one, for as long as the first is not cleared away.
    pub key: String,
    /// What it is.
    pub part: Part,
}

/// A part whose time has come, held by who asked for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Its id.
    pub outbox_id: i64,
    /// Its channel.
    pub channel: String,
    /// `owner/name`.
    pub repository: String,
    /// The job that it is about.
    pub job_id: Option<JobId>,
    /// The key under which it was written down.
    pub key: String,
    /// What it is.
    pub part: Part,
    /// What the forge called it when it was first sent.
    pub remote_id: Option<u64>,
    /// Failures since it was last sent.
    pub attempt: i32,
    seq: i64,
    state: Option<String>,
}

/// What comes after a part was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It lives on, and is sent again when its job has news.
    Lives,
    /// Nothing: it is said.
    Done,
}

/// Writes parts down, those whose key is new.
///
/// # Errors
/// Those of the database.
pub async fn say(db: &Db, parts: &[NewPart]) -> Result<(), StoreError> {
    let mut tx = db.pool.begin().await?;
    write(&mut tx, parts).await?;
    tx.commit().await?;
    wake::notify(db, Signal::Outbox).await;
    Ok(())
}

/// Begins the conversation of `job`, where somebody on the forge asked for it: a reaction, its comment and its check run. Twice is
/// once.
///
/// # Errors
/// Those of the database.
pub async fn open(db: &Db, job: &Job) -> Result<(), StoreError> {
    match conversation(job) {
        parts if parts.is_empty() => Ok(()),
        parts => say(db, &parts).await,
    }
}

/// The conversation of a job; empty where nobody on the forge asked for it.
fn conversation(job: &Job) -> Vec<NewPart> {
    let (true, Some(number)) = (job.trigger.is_of_forge(), job.input.number) else { return Vec::new() };
    let (subject, thread) = asked(&job.trigger, number);
    let parts = [Part::Reaction { subject, emotion: Emotion::Eyes }, Part::Comment { number, thread, asked: subject }, Part::CheckRun];
    parts.into_iter().map(|part| part.of(job.job_id, &job.repository)).collect()
}

/// What the person did who asked, and the thread in which they did it.
pub fn asked(trigger: &Trigger, number: u64) -> (Subject, Option<u64>) {
    match trigger {
        Trigger::Command { comment: Some(comment), .. } => (comment.subject(), comment.thread()),
        _ => (Subject::Issue { number }, None),
    }
}

impl Part {
    /// This part as one of `job_id`: there is one of its name for each job, and two reactions.
    pub fn of(self, job_id: JobId, repository: &str) -> NewPart {
        let name = match &self {
            Self::Reaction { emotion, .. } => format!("reaction:{emotion}"),
            part => part.name().to_owned(),
        };
        NewPart { repository: repository.to_owned(), job_id: Some(job_id), key: format!("{name}:{job_id}"), part: self }
    }
}

/// The key of the notice that `login` is told on issue `number` when something is refused them: one for each person on each issue,
/// whatever it was.
pub fn refusal_key(repository: &str, number: u64, login: &str) -> String {
    format!("refusal:{repository}#{number}:{}", login.to_lowercase())
}

async fn write(tx: &mut Tx, parts: &[NewPart]) -> Result<(), StoreError> {
    for NewPart { repository, job_id, key, part } in parts {
        let channel = channel(repository);
        sqlx::query!("insert into outbox_channels (channel) values ($1) on conflict do nothing", channel).execute(&mut **tx).await?;
        sqlx::query!(
            "insert into outbox (channel, repository, job_id, part, key, detail, urgency)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (key) do nothing",
            channel,
            repository,
            job_id.map(|job_id| job_id.0),
            part.name(),
            key,
            crate::json::json(part),
            part.urgency(),
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Gives `again`, which repeats `job_id`, a conversation in the same place.
pub(crate) async fn repeat(tx: &mut Tx, job_id: JobId, again: JobId) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into outbox (channel, repository, job_id, part, key, detail, urgency)
         select channel, repository, $2, part, part || ':' || $2::uuid, detail, urgency
         from outbox
         where job_id = $1 and part in ('comment', 'check_run')
         on conflict (key) do nothing",
        job_id.0,
        again.0,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The thread at a line of a pull request in which the conversation of a job goes on; `None` = it is not in one.
///
/// # Errors
/// Those of the database.
pub async fn thread(db: &Db, job_id: JobId) -> Result<Option<u64>, StoreError> {
    let thread = sqlx::query_scalar!(
        r#"select (detail ->> 'thread')::bigint as "thread!"
           from outbox
           where job_id = $1 and part = 'comment' and detail ? 'thread'"#,
        job_id.0,
    );
    Ok(thread.fetch_optional(&db.pool).await?.map(i64::cast_unsigned))
}

/// Whether people are told on the forge how `job_id` goes, and so how it ends.
///
/// # Errors
/// Those of the database.
pub async fn is_told(db: &Db, job_id: JobId) -> Result<bool, StoreError> {
    let told = sqlx::query_scalar!(r#"select exists (select from outbox where job_id = $1 and part = 'comment') as "told!""#, job_id.0,);
    Ok(told.fetch_one(&db.pool).await?)
}

/// Takes the most urgent part of a channel that nobody holds and that may be written to; `None` = nothing is due.
///
/// Progress alone waits five seconds, and longer where many jobs of one owner go on, since each edit costs their channel a
/// second.
///
/// # Errors
/// Those of the database, or a row that this release cannot read.
pub async fn take(db: &Db, holder: OwnerId) -> Result<Option<Due>, StoreError> {
    let row = sqlx::query_file!("sql/take_part.sql", holder.0, HELD.as_secs_f64(), EDITS.as_secs_f64(), PACE.as_secs_f64());
    let Some(row) = row.fetch_optional(&db.pool).await? else { return Ok(None) };
    let Json(part) = row.detail;
    Ok(Some(Due {
        outbox_id: row.outbox_id,
        channel: row.channel,
        repository: row.repository,
        job_id: row.job_id.map(JobId),
        key: row.key,
        part,
        remote_id: row.remote_id.map(i64::cast_unsigned),
        attempt: row.attempt,
        seq: row.seq,
        state: row.state,
    }))
}

/// Writes down that `due` was sent, as the forge's `remote_id`, and what else is to be said now; gives the channel back. Nothing
/// happens where somebody else has taken the channel meanwhile: that one sends the part again, which is harmless.
///
/// # Errors
/// Those of the database.
pub async fn sent(db: &Db, holder: OwnerId, due: &Due, remote_id: Option<u64>, next: Next, follow: &[NewPart]) -> Result<(), StoreError> {
    let mut tx = db.pool.begin().await?;
    let updated = sqlx::query!(
        "with given_back as (
             update outbox_channels set holder = null, held_until = '-infinity' where channel = $1 and holder = $2 returning channel
         )
         update outbox
         set remote_id = coalesce($4, remote_id), shown_seq = $5, shown_state = $6, attempt = 0, problem = null, due_at = now(),
             done_at = case when $7 then now() end
         from given_back
         where outbox_id = $3",
        due.channel,
        holder.0,
        due.outbox_id,
        remote_id.map(u64::cast_signed),
        due.seq,
        due.state,
        next == Next::Done,
    );
    if updated.execute(&mut *tx).await?.rows_affected() == 1 {
        write(&mut tx, follow).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Writes down that `due` could not be sent, and gives the channel back. It is tried again after `after`; `None` = never.
///
/// # Errors
/// Those of the database.
pub async fn failed(db: &Db, holder: OwnerId, due: &Due, problem: &str, after: Option<Duration>) -> Result<(), StoreError> {
    sqlx::query!(
        "with given_back as (
             update outbox_channels set holder = null, held_until = '-infinity' where channel = $1 and holder = $2 returning channel
         )
         update outbox
         set attempt = attempt + 1, problem = $4, due_at = now() + make_interval(secs => coalesce($5::double precision, 0)),
             done_at = case when $5::double precision is null then now() end
         from given_back
         where outbox_id = $3",
        due.channel,
        holder.0,
        due.outbox_id,
        text(problem),
        after.map(|after| after.as_secs_f64()),
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}

/// A place in the row of mutations on `channel`: how long the caller has to wait before its own, one [`PACE`] after the one before.
/// `Err` = that would be longer than `patience`, so it got none: when to ask again.
///
/// # Errors
/// Those of the database.
pub async fn turn(db: &Db, channel: &str, patience: Duration) -> Result<Result<Duration, Duration>, StoreError> {
    let place = sqlx::query!(
        r#"with known as (
               insert into outbox_channels as known (channel, next_mutation_at) values ($1, clock_timestamp() + make_interval(secs => $2))
               on conflict (channel) do update
               set next_mutation_at = greatest(known.next_mutation_at, clock_timestamp()) + make_interval(secs => $2)
               where known.next_mutation_at <= clock_timestamp() + make_interval(secs => $3)
               returning extract(epoch from next_mutation_at - clock_timestamp())::double precision - $2 as wait
           )
           select (select wait from known) as wait,
                  (select extract(epoch from next_mutation_at - clock_timestamp())::double precision from outbox_channels where channel = $1) as busy"#,
        channel,
        PACE.as_secs_f64(),
        patience.as_secs_f64(),
    );
    let place = place.fetch_one(&db.pool).await?;
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0));
    Ok(match place.wait {
        Some(wait) => Ok(seconds(wait)),
        None => Err(seconds(place.busy.unwrap_or_default()).max(PACE)),
    })
}

/// Keeps everybody from mutations on `channel` for a while: the forge asked for it.
///
/// # Errors
/// Those of the database.
pub async fn hold(db: &Db, channel: &str, after: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into outbox_channels as known (channel, next_mutation_at) values ($1, now() + make_interval(secs => $2))
         on conflict (channel) do update
         set next_mutation_at = greatest(known.next_mutation_at, excluded.next_mutation_at)",
        channel,
        after.as_secs_f64(),
    )
    .execute(&db.pool)
    .await?;
    Ok(())
}
