//! The connection pool and the migrations.

use std::str::FromStr;
use std::time::Duration;

use domain::Secret;
use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// How a session plans. Every statement is a look-up by key or by index, so one plan serves all parameters; to
/// make it anew each time costs more than to run it, most of all over partitions. A test explains them all so.
const SESSION: [(&str, &str); 2] = [("plan_cache_mode", "force_generic_plan"), ("jit", "off")];

/// A session that was used this recently is not asked whether it is still alive: that question would cost as
/// much as most statements, and whoever meets a session that died just now tries again anyway.
const TRUST: Duration = Duration::from_secs(1);

/// A pool of connections to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pub(crate) pool: PgPool,
}

impl Db {
    /// Connects to `url` (`postgres://user:password@host:port/database`, or `?host=/directory` for a socket)
    /// with at most `connections` sessions, waiting up to `patience` for a server that is starting.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no session can be had in that time; the URL is never part of the text.
    pub async fn connect(url: &Secret, connections: u32, patience: Duration) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url.expose()).map_err(|error| match error {
            sqlx::Error::Configuration(why) => StoreError::Url(why.to_string()),
            other => StoreError::Url(other.to_string()),
        })?;
        let options = options.application_name("codeteam").options(SESSION);
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(patience).test_before_acquire(false).before_acquire(
            |session, known| {
                Box::pin(async move {
                    if known.idle_for >= TRUST {
                        session.ping().await?;
                    }
                    Ok(true)
                })
            },
        );
        let pool = pool.connect_with(options).await.map_err(|error| match StoreError::from(error) {
            StoreError::Database(error) => StoreError::Unavailable(error),
            other => other,
        })?;
        Ok(Self { pool })
    }

    /// Brings the schema up to date: only forward, and under a lock, so that several processes may start at
    /// once. Also creates the partitions of the coming months.
    ///
    /// # Errors
    /// A migration that fails, or a database that a newer release has migrated.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATIONS.run(&self.pool).await?;
        self.create_partitions().await
    }

    /// Creates the partitions of this and the coming months where they are missing. Long-running processes
    /// call it now and then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn create_partitions(&self) -> Result<(), StoreError> {
        sqlx::query!("select create_partitions(2)").execute(&self.pool).await?;
        Ok(())
    }

    /// Whether the schema is the one this release was built with.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with what to type when it is not.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let applied: Vec<i64> =
            match sqlx::query_scalar("select version from _sqlx_migrations where success order by version").fetch_all(&self.pool).await {
                Ok(versions) => versions,
                // 42P01: no such table.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Vec::new(),
                Err(error) => return Err(error.into()),
            };
        let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        match (applied.iter().any(|version| !known.contains(version)), known.iter().all(|version| applied.contains(version))) {
            (true, _) => Err(StoreError::Refused("the database was migrated by a newer release: update this program".to_owned())),
            (false, false) => {
                Err(StoreError::Refused("the database's schema is older than this program: run `codeteam migrate`".to_owned()))
            }
            (false, true) => Ok(()),
        }
    }

    /// The server's version, such as `18.6`.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        Ok(sqlx::query_scalar!(r#"select current_setting('server_version') as "version!""#).fetch_one(&self.pool).await?)
    }

    /// Closes all sessions, waiting for statements under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The pool itself, for tests that look at or disturb the tables from outside.
    #[doc(hidden)]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}
