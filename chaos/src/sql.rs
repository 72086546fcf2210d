//! The tables, seen from outside: statements of the suite's own, past the store whose defects it seeks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::{Instant, sleep};

/// How long a database that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sessions of the suite. They follow the server when it starts again elsewhere.
pub struct Sql {
    pool: Mutex<PgPool>,
}

impl Sql {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { pool: Mutex::new(pool(url)?) })
    }

    /// From now on the server is there.
    ///
    /// # Errors
    /// A URL that is none.
    pub fn moved(&self, url: &str) -> Result<()> {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = pool(url)?;
        Ok(())
    }

    /// The rows of a query, by the names of its columns.
    ///
    /// # Errors
    /// What the database says, or that it is away for a minute.
    pub async fn rows<T: DeserializeOwned>(&self, query: &str) -> Result<Vec<T>> {
        let wrapped = format!("select coalesce(json_agg(row_to_json(found)), '[]')::text from ({query}) found");
        let text = self
            .insist(query, async |pool| sqlx::query_scalar::<_, String>(AssertSqlSafe(wrapped.as_str())).fetch_one(&pool).await)
            .await?;
        serde_json::from_str(&text).with_context(|| format!("unexpected rows of {query:?}: {text:.300}"))
    }

    /// The one value of a query.
    ///
    /// # Errors
    /// Those of [`Sql::rows`], or another number of rows.
    pub async fn value<T: DeserializeOwned>(&self, query: &str) -> Result<T> {
        #[derive(serde::Deserialize)]
        struct One<T> {
            value: T,
        }
        let mut rows: Vec<One<T>> = self.rows(&format!("select ({query}) as value")).await?;
        rows.pop().map(|row| row.value).with_context(|| format!("no row of {query:?}"))
    }

    /// Runs statements.
    ///
    /// # Errors
    /// What the database says, or that it is away for a minute.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        self.insist(statements, async |pool| pool.execute(AssertSqlSafe(statements)).await).await.map(drop)
    }

    async fn insist<T>(&self, what: &str, ask: impl AsyncFn(PgPool) -> Result<T, sqlx::Error>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match ask(pool).await {
                Ok(answer) => return Ok(answer),
                Err(sqlx::Error::Database(error))
                    if !error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("53")) =>
                {
                    bail!("{what:?} was refused: {error}")
                }
                Err(error) if Instant::now() > until => return Err(error).with_context(|| format!("the database is away: {what:?}")),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

fn pool(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse().with_context(|| format!("{url:?} names no database"))?;
    let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(5));
    Ok(pool.connect_lazy_with(options.application_name("chaos")))
}
