//! The connection pool and the migrations.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::Secret;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{Connection, Executor};
use tokio::time::timeout;

use crate::StoreError;
use crate::finish::Finishes;
use crate::session::Pool;
use crate::wake::Bells;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// The transaction-level lock under which a pooler's client migrates; any number that nobody else uses.
const MIGRATION_LOCK: i64 = 0x636f_6465_7465_616d;

/// How a session plans. Every statement is a look-up by key or by index, so one plan serves all parameters; to
/// make it anew each time costs more than to run it, most of all over partitions. That plan is often made while
/// a table is still empty, when reading all of it looks cheapest, and is kept while it grows: so no such plan
/// where there is another. A test explains them all so.
const SESSION: [(&str, &str); 3] = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off")];

/// A session that was used this recently is not asked whether it is still alive: that question would cost as
/// much as most statements, and whoever meets a session that died just now tries again anyway.
const TRUST: Duration = Duration::from_secs(1);

/// How long the end of a process waits for statements under way.
const CLOSING: Duration = Duration::from_secs(5);

/// A pool of connections to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pub(crate) pool: Pool,
    pub(crate) bells: Arc<Bells>,
    pub(crate) finishes: Arc<Finishes>,
}

/// What a URL leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Route {
    /// A server: a session is ours for as long as we keep it.
    #[default]
    Session,
    /// A pooler that gives each transaction another session (PgBouncer's `pool_mode = transaction`).
    Transaction,
}

/// Whom a URL leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// The host's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who wants to come in.
    pub user: String,
    /// Whether the server has to prove with a certificate that the host's name is its own (`sslmode=verify-full`).
    pub verified: bool,
}

impl Server {
    /// The one that `url` names.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn of(url: &Secret) -> Result<Self, StoreError> {
        let options = options(url)?;
        let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) && options.get_socket().is_none();
        Ok(Self { host: options.get_host().to_owned(), port: options.get_port(), user: options.get_username().to_owned(), verified })
    }
}

/// `url` with `password` in the place of the one that it has, or has not.
pub fn with_password(url: &Secret, password: &Secret) -> Secret {
    let url = url.expose();
    let parameter: String = form_urlencoded::Serializer::new(String::new()).append_pair("password", password.expose()).finish();
    let separator = if url.contains('?') { '&' } else { '?' };
    Secret::new(format!("{url}{separator}{parameter}"))
}

impl Route {
    fn options(self, url: &Secret) -> Result<PgConnectOptions, StoreError> {
        let options = options(url)?;
        Ok(match self {
            Self::Session => options.options(SESSION),
            // A pooler refuses start-up parameters that it cannot keep apart for its clients.
            Self::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
        })
    }
}

impl Db {
    /// Connects to the server at `url` (`postgres://user:password@host:port/database`, or `?host=/directory` for
    /// a socket) with at most `connections` sessions, waiting up to `patience` for a server that is starting.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no session can be had in that time; the URL is never part of the text.
    pub async fn connect(url: &Secret, connections: u32, patience: Duration) -> Result<Self, StoreError> {
        Self::connect_by(Route::Session, url, connections, patience).await
    }

    /// The same for whatever `url` leads to.
    ///
    /// # Errors
    /// As above; [`StoreError::Refused`] when a pooler in transaction mode answers and `route` says otherwise.
    pub async fn connect_by(route: Route, url: &Secret, connections: u32, patience: Duration) -> Result<Self, StoreError> {
        let options = route.options(url)?;
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
        let sessions = pool.connect_with(options).await.map_err(|error| match StoreError::from(error) {
            StoreError::Database(error) | StoreError::Unavailable(error) if error.to_string().contains("unsupported startup parameter") => {
                StoreError::Refused(
                    "a pooler answers where DATABASE_URL leads: set DATABASE_POOLER=transaction, and DATABASE_LISTEN_URL to the server itself"
                        .to_owned(),
                )
            }
            StoreError::Database(error) | StoreError::Unavailable(error) => match distrust(&error) {
                Some(remedy) => StoreError::Refused(remedy),
                None => StoreError::Unavailable(error),
            },
            other => other,
        })?;
        let pool = Pool { sessions, sticky: route == Route::Session };
        Ok(Self { pool, bells: Arc::default(), finishes: Arc::default() })
    }

    /// Opens further sessions by `url`, which names the same database and has another password. Sessions that are open stay.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn log_in_by(&self, url: &Secret) -> Result<(), StoreError> {
        let route = if self.pool.sticky { Route::Session } else { Route::Transaction };
        self.pool.sessions.set_connect_options(route.options(url)?);
        Ok(())
    }

    /// Brings the schema up to date: only forward, and under a lock, so that several processes may start at
    /// once. Also creates the partitions of the coming months.
    ///
    /// # Errors
    /// A migration that fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self.pool.sticky {
            true => migrations(true).run(&self.pool.sessions).await?,
            false => self.migrate_in_one_transaction().await?,
        }
        self.create_partitions().await
    }

    /// Without a session of our own, the lock is the transaction's, and so is everything else.
    async fn migrate_in_one_transaction(&self) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("select pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *tx).await?;
        migrations(false).run_direct(None, tx.connection(), false).await?;
        // The migrator names its statements; the session's next client would stumble over them.
        tx.connection().execute("deallocate all").await?;
        Ok(tx.commit().await?)
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

    /// Whether the schema has everything that this release needs. A newer release may have migrated it further: each
    /// leaves what the one before it works with, so that both run side by side while one replaces the other.
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
        match MIGRATIONS.iter().all(|migration| applied.contains(&migration.version)) {
            true => Ok(()),
            false => Err(StoreError::Refused("the database's schema is older than this program: run `codeteam migrate`".to_owned())),
        }
    }

    /// The server's version, such as `18.6`.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        Ok(sqlx::query_scalar!(r#"select current_setting('server_version') as "version!""#).fetch_one(&self.pool).await?)
    }

    /// Closes all sessions, waiting a while for statements under way. One that takes longer ends when this process does.
    pub async fn close(&self) {
        if timeout(CLOSING, self.pool.sessions.close()).await.is_err() {
            tracing::warn!("a statement still runs after {} s: its session is left to itself", CLOSING.as_secs());
        }
    }

    /// The pool itself, for tests that look at or disturb the tables from outside.
    #[doc(hidden)]
    pub fn pool(&self) -> &PgPool {
        &self.pool.sessions
    }
}

/// The migrations of this release, in a database that may have more of them. With `locking`, one session at a time
/// migrates.
fn migrations(locking: bool) -> Migrator {
    Migrator { migrations: Cow::Borrowed(&MIGRATIONS.migrations), ignore_missing: true, locking, ..Migrator::DEFAULT }
}

/// What to do about a server whose certificate does not hold; `None` = it is something else.
fn distrust(error: &sqlx::Error) -> Option<String> {
    let told = error.to_string();
    let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
    Some(if has(&["UnknownIssuer", "BadSignature", "CaUsedAsEndEntity"]) {
        "the database's certificate is not signed by an authority in the file that sslrootcert in DATABASE_URL names: for RDS download \
         https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem and name that file"
            .to_owned()
    } else if has(&["NotValidForName", "not valid for name"]) {
        format!("the database's certificate is for another host: write the host's name in DATABASE_URL as the certificate has it ({told})")
    } else if has(&["certificate expired", "Expired"]) {
        format!("the database's certificate has expired, or this machine's clock is wrong ({told})")
    } else if has(&["does not support TLS"]) {
        "the server that DATABASE_URL names speaks no TLS, and its sslmode asks for it: is it the right server?".to_owned()
    } else {
        return None;
    })
}

/// What a URL says of a server.
pub(crate) fn options(url: &Secret) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url.expose()).map_err(|error| match error {
        sqlx::Error::Configuration(why) => StoreError::Url(why.to_string()),
        other => StoreError::Url(other.to_string()),
    })?;
    Ok(options.application_name("codeteam"))
}
