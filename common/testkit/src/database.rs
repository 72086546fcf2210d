//! One PostgreSQL server a test binary, one fresh database a test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::Secret;
use process::{PostgresOptions, PrivatePostgres};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Postgres, Transaction};
use store::Db;
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_secs(30);

/// A database of its own, with the schema of this release, at its start empty.
pub struct TestDb {
    /// A pool of sessions.
    pub db: Db,
    /// Where it is, for other processes.
    pub url: Secret,
}

impl TestDb {
    /// A fresh database: on the server that `DATABASE_URL` names, else on a private one that lives as long as
    /// this process.
    ///
    /// # Panics
    /// When no server can be had.
    pub async fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        execute(server(), &format!("create database {name} template {}", template().await)).await;
        let url = with_database(server(), &name);
        let db = Db::connect(&url, 8, PATIENCE).await.expect("the database was just created");
        Self { db, url }
    }

    /// Runs a statement that no test would want to check at compile time.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn execute(&self, statement: &str) -> u64 {
        self.try_execute(statement).await.expect("the statement is a test's own")
    }

    /// Runs a statement that may be refused.
    ///
    /// # Errors
    /// The database's words.
    pub async fn try_execute(&self, statement: &str) -> Result<u64, String> {
        let done = self.db.pool().execute(sqlx::AssertSqlSafe(statement)).await.map_err(|error| error.to_string())?;
        Ok(done.rows_affected())
    }

    /// Keeps a snapshot of now until it is dropped, as a report or a backup does that never ends.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn pin_snapshot(&self) -> Open {
        let mut open = self.open().await;
        for statement in ["set transaction isolation level repeatable read", "select count(*) from queue"] {
            open.execute(statement).await;
        }
        open
    }

    /// The one value that a query returns, as text; empty for null.
    ///
    /// # Panics
    /// When it returns no row.
    pub async fn value(&self, query: &str) -> String {
        let query = format!("select ({query})::text");
        let value: Option<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(self.db.pool()).await.expect("the query is a test's own");
        value.unwrap_or_default()
    }
}

/// A server of a test's own, for what all others on the shared one would feel.
pub struct TestServer(PrivatePostgres);

impl TestServer {
    /// Starts one.
    ///
    /// # Panics
    /// When none can be had.
    pub async fn start() -> Self {
        Self(PrivatePostgres::start(private_server(), &mut |_| ()).await.expect("tests need a PostgreSQL"))
    }

    /// Where it is.
    pub fn url(&self) -> Secret {
        Secret::new(self.0.url())
    }
}

/// A transaction that a test holds open for as long as it likes.
pub struct Open(Transaction<'static, Postgres>);

impl TestDb {
    /// Opens a transaction.
    ///
    /// # Panics
    /// When no session can be had.
    pub async fn open(&self) -> Open {
        Open(self.db.pool().begin().await.expect("a session can be had"))
    }
}

impl Open {
    /// Runs a statement in it.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn execute(&mut self, statement: &str) {
        self.0.execute(sqlx::AssertSqlSafe(statement)).await.expect("the statement is a test's own");
    }

    /// Ends it: what it wrote is there, or never was.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn end(self, commit: bool) {
        let ended = if commit { self.0.commit().await } else { self.0.rollback().await };
        ended.expect("the database ends a transaction");
    }
}

/// The server of this process. Its owner is a thread of its own, so that the server outlives the runtime of
/// the test that happened to start it.
fn server() -> &'static Secret {
    static SERVER: OnceLock<Secret> = OnceLock::new();
    SERVER.get_or_init(|| given().unwrap_or_else(start))
}

#[expect(clippy::disallowed_methods, reason = "tests have no `config`: the server to test on is named by the environment")]
fn given() -> Option<Secret> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()).map(Secret::new)
}

/// How a private server is found and started.
#[expect(
    clippy::disallowed_methods,
    reason = "a private server is found by PATH and HOME, and fetched with the proxy settings of the person"
)]
pub(crate) fn private_server() -> PostgresOptions {
    let bin_dir = std::env::var_os("CODETEAM_POSTGRES_BIN").map(Into::into);
    PostgresOptions { environment: std::env::vars_os().collect(), bin_dir, ..PostgresOptions::default() }
}

fn start() -> Secret {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
        runtime.block_on(async {
            let server = PrivatePostgres::start(private_server(), &mut |line| eprintln!("{line}")).await.expect("tests need a PostgreSQL");
            tell.send(Secret::new(server.url())).expect("somebody waits for the server");
            // Until the process ends; then the server's watchdog stops it and removes its data.
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the server starts")
}

/// A database with the schema, made once a process: copying it is faster than migrating each time.
async fn template() -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let make = || async {
        let name = format!("template_{}", std::process::id());
        execute(server(), &format!("drop database if exists {name}")).await;
        execute(server(), &format!("create database {name}")).await;
        let db = Db::connect(&with_database(server(), &name), 1, PATIENCE).await.expect("the database was just created");
        db.migrate().await.expect("the migrations apply");
        db.close().await;
        name
    };
    TEMPLATE.get_or_init(make).await
}

async fn execute(url: &Secret, statement: &str) {
    let mut connection = PgConnection::connect(url.expose()).await.expect("the server answers");
    connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("the server lets tests create databases");
    connection.close().await.expect("the session ends");
}

fn with_database(url: &Secret, name: &str) -> Secret {
    let options: PgConnectOptions = url.expose().parse().expect("a URL of PostgreSQL");
    Secret::new(options.database(name).to_url_lossy().to_string())
}
