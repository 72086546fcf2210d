//! Who uses up the connections of the database server.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::json::text;
use crate::{Db, StoreError};

/// How long a session may be idle within a transaction.
pub const IDLE_TOO_LONG: Duration = Duration::from_secs(300);

/// The sessions of clients that the server has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sessions {
    /// The most that the server takes.
    pub max_connections: i32,
    /// Those that there are.
    pub used: i64,
    /// Those of them whose state this role may not see.
    pub hidden: i64,
    /// The role that asks.
    pub role: String,
    /// Who has them, the most first.
    pub holders: Vec<Holder>,
    /// Those that are idle within a transaction, the longest first.
    pub idle: Vec<Idle>,
}

/// Sessions that look alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Holder {
    /// What they call themselves.
    pub application: String,
    /// Their role.
    pub user: String,
    /// Such as `active` or `idle`; `unknown` where this role may not see it.
    pub state: String,
    /// How many.
    pub sessions: i64,
}

/// A session that keeps a transaction open and does nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Idle {
    /// The server's number of it.
    pub pid: i32,
    /// When it began: numbers are used again.
    #[serde(with = "time::serde::rfc3339")]
    pub began_at: OffsetDateTime,
    /// Its role.
    pub user: String,
    /// What it calls itself.
    pub application: String,
    /// How long it has been idle.
    pub idle_secs: i64,
    /// Whether it is in the database of the product: no other session is ended.
    pub is_ours: bool,
}

/// Looks at the server's sessions; up to `limit` of each list.
///
/// # Errors
/// Those of the database.
pub async fn sessions(db: &Db, limit: u32) -> Result<Sessions, StoreError> {
    let limit = i64::from(limit);
    // What kind of session it is is hidden as well from a role that may not see its state.
    let all = sqlx::query!(
        r#"select current_setting('max_connections')::int as "max_connections!", current_user::text as "role!",
                  count(*) as "used!", count(*) filter (where backend_type is null) as "hidden!"
           from pg_stat_activity
           where backend_type = 'client backend' or (backend_type is null and usename is not null)"#
    )
    .fetch_one(&db.pool)
    .await?;
    let holders = sqlx::query!(
        r#"select coalesce(application_name, '') as "application!", coalesce(usename::text, '') as "user!", coalesce(state, 'unknown') as "state!",
                  count(*) as "sessions!"
           from pg_stat_activity
           where backend_type = 'client backend' or (backend_type is null and usename is not null)
           group by 1, 2, 3
           order by count(*) desc, 1, 2, 3
           limit $1"#,
        limit,
    );
    let holders = holders.fetch_all(&db.pool).await?.into_iter().map(|row| Holder {
        application: text(&row.application),
        user: row.user,
        state: row.state,
        sessions: row.sessions,
    });
    let holders = holders.collect();
    let idle = sqlx::query!(
        r#"select pid as "pid!", backend_start as "began_at!", coalesce(usename::text, '') as "user!",
                  coalesce(application_name, '') as "application!", extract(epoch from now() - state_change)::bigint as "idle_secs!",
                  coalesce(datname = current_database(), false) as "is_ours!"
           from pg_stat_activity
           where state in ('idle in transaction', 'idle in transaction (aborted)')
           order by state_change, pid
           limit $1"#,
        limit,
    );
    let idle = idle.fetch_all(&db.pool).await?.into_iter().map(|row| Idle {
        pid: row.pid,
        began_at: row.began_at,
        user: row.user,
        application: text(&row.application),
        idle_secs: row.idle_secs,
        is_ours: row.is_ours,
    });
    let idle = idle.collect();
    Ok(Sessions { max_connections: all.max_connections, used: all.used, hidden: all.hidden, role: all.role, holders, idle })
}

/// Ends a session of the product's database that has been idle within a transaction for `idle_for`; `false` = it is not any more.
///
/// # Errors
/// [`StoreError::Refused`] when this role may not, with what to do about it; those of the database.
pub async fn end_session(db: &Db, session: &Idle, idle_for: Duration) -> Result<bool, StoreError> {
    let ended = sqlx::query_scalar!(
        r#"select pg_terminate_backend(pid) as "ended!"
           from pg_stat_activity
           where pid = $1 and backend_start = $2 and datname = current_database()
             and state in ('idle in transaction', 'idle in transaction (aborted)') and state_change <= now() - make_interval(secs => $3)"#,
        session.pid,
        session.began_at,
        idle_for.as_secs_f64(),
    );
    match ended.fetch_optional(&db.pool).await {
        Ok(ended) => Ok(ended.unwrap_or(false)),
        // 42501: insufficient privilege.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
            Err(StoreError::Refused(format!("{}: whoever owns the server can type `grant pg_signal_backend to …`", error.message())))
        }
        Err(error) => Err(error.into()),
    }
}
