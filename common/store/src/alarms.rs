//! Alarms: each change of an alarm's state once, with what was meant to be done and what was.
//!
//! Whoever acts holds the row for a while. What is done in this database goes into one transaction with the row that says so; what
//! is done elsewhere is written down right after. Whoever goes on after a crash finds all of it in [`Held::actions`].

mod jobs;
mod sessions;
mod spending;
mod workers;

use std::time::Duration;

use domain::{AlarmAction, AlarmChange, AlarmState, Epoch};
use serde::Serialize;
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::error::parse;
use crate::json::{json, text};
use crate::session::Tx;
use crate::{Db, StoreError};

pub use jobs::{STUCK_AFTER, Waiting, Workers, take_stuck, waiting, workers};
pub use sessions::{Holder, IDLE_TOO_LONG, Idle, Sessions, end_session, sessions};
pub use spending::close_gate;
pub use workers::{STALE_AFTER, Silent, cross_off, silent, take_back};

/// How long somebody may take for one change.
pub const HELD: Duration = Duration::from_secs(75);

/// A change that the caller acts on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Its row.
    pub alarm_id: i64,
    /// The epoch that every write names.
    pub epoch: Epoch,
    /// What was done already, by whoever held it before.
    pub actions: Vec<AlarmAction>,
}

/// Who acts on a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Intent {
    /// The caller.
    Ours(Held),
    /// Somebody else, at this moment: come back later, he may not get to the end.
    Busy {
        /// Its row.
        alarm_id: i64,
    },
    /// Nobody any more: everything was done.
    Done {
        /// Its row.
        alarm_id: i64,
    },
}

/// Writes a change down with what is to be done about it, and takes it up for `held`, unless it was done or somebody acts on it.
///
/// # Errors
/// Those of the database.
pub async fn intend(db: &Db, change: &AlarmChange, reaction: &str, intended: &str, held: Duration) -> Result<Intent, StoreError> {
    let mut tx = db.pool.begin().await?;
    // Locks the row: two deliveries at the same time go one after the other.
    let alarm_id = sqlx::query_scalar!(
        "insert into alarms (key, name, state, changed_at, change, reaction, intended)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (key) do update set deliveries = alarms.deliveries + 1
         returning alarm_id",
        text(&change.key()),
        text(&change.name),
        <&str>::from(change.state),
        change.changed_at,
        json(change),
        reaction,
        intended,
    )
    .fetch_one(&mut *tx)
    .await?;
    let taken = sqlx::query!(
        r#"update alarms
           set epoch = epoch + 1, held_until = now() + make_interval(secs => $2), problem = null
           where alarm_id = $1 and completed_at is null and (held_until is null or held_until <= now())
           returning epoch, actions as "actions: Json<Vec<AlarmAction>>""#,
        alarm_id,
        held.as_secs_f64(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    let is_done = sqlx::query_scalar!(r#"select completed_at is not null as "is_done!" from alarms where alarm_id = $1"#, alarm_id)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(match taken {
        Some(row) => Intent::Ours(Held { alarm_id, epoch: Epoch(row.epoch), actions: row.actions.0 }),
        None if is_done => Intent::Done { alarm_id },
        None => Intent::Busy { alarm_id },
    })
}

/// Writes down what was done outside of this database; `false` = somebody else has taken the change up.
///
/// # Errors
/// Those of the database.
pub async fn did(db: &Db, held: &Held, actions: &[AlarmAction]) -> Result<bool, StoreError> {
    let mut tx = db.pool.begin().await?;
    let ours = note(&mut tx, held, actions).await?;
    tx.commit().await?;
    Ok(ours)
}

/// Adds `actions` to the row, in the transaction that does them; `false` = the change is somebody else's, and nothing may be done.
async fn note(tx: &mut Tx, held: &Held, actions: &[AlarmAction]) -> Result<bool, StoreError> {
    let noted = sqlx::query!(
        "update alarms set actions = actions || $3::jsonb where alarm_id = $1 and epoch = $2 and completed_at is null",
        held.alarm_id,
        held.epoch.0,
        json(&actions),
    );
    Ok(noted.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Says that everything was done; `false` = somebody else has taken the change up.
///
/// # Errors
/// Those of the database.
pub async fn complete(db: &Db, held: &Held) -> Result<bool, StoreError> {
    let completed = sqlx::query!(
        "update alarms set completed_at = now(), held_until = null, problem = null
         where alarm_id = $1 and epoch = $2 and completed_at is null",
        held.alarm_id,
        held.epoch.0,
    );
    Ok(completed.execute(&db.pool).await?.rows_affected() == 1)
}

/// Says why not everything could be done, and lets the next delivery go on at once.
///
/// # Errors
/// Those of the database.
pub async fn failed(db: &Db, held: &Held, problem: &str) -> Result<(), StoreError> {
    let failed = sqlx::query!(
        "update alarms set held_until = null, problem = $3 where alarm_id = $1 and epoch = $2 and completed_at is null",
        held.alarm_id,
        held.epoch.0,
        text(problem),
    );
    failed.execute(&db.pool).await?;
    Ok(())
}

/// Whether people were told of the last time the alarm `name` went off before `before`.
///
/// # Errors
/// Those of the database.
pub async fn was_told(db: &Db, name: &str, before: OffsetDateTime) -> Result<bool, StoreError> {
    let told = sqlx::query_scalar!(
        r#"select actions @> '[{"action": "told"}]' as "told!"
           from alarms
           where name = $1 and state = 'ALARM' and changed_at <= $2
           order by changed_at desc
           limit 1"#,
        text(name),
        before,
    );
    Ok(told.fetch_optional(&db.pool).await?.unwrap_or(false))
}

/// A change of an alarm's state, for people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Alarm {
    /// Its number.
    pub alarm_id: i64,
    /// The alarm.
    pub name: String,
    /// What it says.
    pub state: AlarmState,
    /// Since when, by the clock of whoever watches.
    #[serde(with = "time::serde::rfc3339")]
    pub changed_at: OffsetDateTime,
    /// All that was told of it.
    pub change: AlarmChange,
    /// Which reaction answers it, or `unknown`.
    pub reaction: String,
    /// What was to be done.
    pub intended: String,
    /// When it was told first.
    #[serde(with = "time::serde::rfc3339")]
    pub received_at: OffsetDateTime,
    /// How often it was told.
    pub deliveries: i32,
    /// What was done.
    pub actions: Vec<AlarmAction>,
    /// Why the last try came to no end.
    pub problem: Option<String>,
    /// When everything was done; `None` = it is not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
}

struct AlarmRow {
    alarm_id: i64,
    name: String,
    state: String,
    changed_at: OffsetDateTime,
    change: Json<AlarmChange>,
    reaction: String,
    intended: String,
    received_at: OffsetDateTime,
    deliveries: i32,
    actions: Json<Vec<AlarmAction>>,
    problem: Option<String>,
    completed_at: Option<OffsetDateTime>,
}

impl TryFrom<AlarmRow> for Alarm {
    type Error = StoreError;

    fn try_from(row: AlarmRow) -> Result<Self, StoreError> {
        Ok(Self {
            alarm_id: row.alarm_id,
            name: row.name,
            state: parse("alarms.state", &row.state)?,
            changed_at: row.changed_at,
            change: row.change.0,
            reaction: row.reaction,
            intended: row.intended,
            received_at: row.received_at,
            deliveries: row.deliveries,
            actions: row.actions.0,
            problem: row.problem,
            completed_at: row.completed_at,
        })
    }
}

/// The changes that were told, newest first, at most `limit`; those before the number `before`, if given.
///
/// # Errors
/// Those of the database, or a row that this release cannot read.
pub async fn list(db: &Db, before: Option<i64>, limit: u32) -> Result<Vec<Alarm>, StoreError> {
    let rows = sqlx::query_as!(
        AlarmRow,
        r#"select alarm_id, name, state, changed_at, change as "change: Json<AlarmChange>", reaction, intended, received_at, deliveries,
                  actions as "actions: Json<Vec<AlarmAction>>", problem, completed_at
           from alarms
           where alarm_id < $1
           order by alarm_id desc
           limit $2"#,
        before.unwrap_or(i64::MAX),
        i64::from(limit),
    );
    rows.fetch_all(&db.pool).await?.into_iter().map(Alarm::try_from).collect()
}

/// The change with this number.
///
/// # Errors
/// [`StoreError::NotFound`], those of the database, or a row that this release cannot read.
pub async fn get(db: &Db, alarm_id: i64) -> Result<Alarm, StoreError> {
    let row = sqlx::query_as!(
        AlarmRow,
        r#"select alarm_id, name, state, changed_at, change as "change: Json<AlarmChange>", reaction, intended, received_at, deliveries,
                  actions as "actions: Json<Vec<AlarmAction>>", problem, completed_at
           from alarms
           where alarm_id = $1"#,
        alarm_id,
    );
    let missing = || StoreError::NotFound(format!("no alarm {alarm_id}: `codeteam alarms` lists those that there are"));
    row.fetch_optional(&db.pool).await?.ok_or_else(missing)?.try_into()
}
