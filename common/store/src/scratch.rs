//! A database for a while, on a server that somebody named: what runs there meets nobody else's jobs and
//! leaves nothing behind.

use std::str::FromStr;
use std::time::Duration;

use domain::{JobId, Secret};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::time::timeout;

use crate::StoreError;

/// How long the server may take to remove a database. It waits until every session has heard of it, those in other databases too,
/// and one whose client does not read what it is sent hears nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much longer we wait for a server that does not even say that it gave up.
const GRACE: Duration = Duration::from_secs(5);

/// A database of its own. Must be dropped by [`Scratch::remove`]; what is not remains.
#[derive(Debug)]
pub struct Scratch {
    server: PgConnectOptions,
    name: String,
}

impl Scratch {
    /// Creates an empty database on the server that `url` names.
    ///
    /// # Errors
    /// When the server cannot be reached or its user may not create databases.
    pub async fn create(url: &Secret) -> Result<Self, StoreError> {
        let server = PgConnectOptions::from_str(url.expose()).map_err(|error| StoreError::Url(error.to_string()))?;
        let name = format!("codeteam_scratch_{}", JobId::new().short());
        let mut connection = PgConnection::connect_with(&server).await?;
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        connection.close().await?;
        Ok(Self { server, name })
    }

    /// Where it is.
    pub fn url(&self) -> Secret {
        Secret::new(self.server.clone().database(&self.name).to_url_lossy().to_string())
    }

    /// Removes it, whoever is still connected.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the server does not let it go in time, or cannot be reached: with the database's name and what to
    /// type later.
    pub async fn remove(self) -> Result<(), StoreError> {
        let Self { server, name } = self;
        let removal = format!("drop database if exists {name} with (force)");
        let removed = async {
            let mut connection = PgConnection::connect_with(&server).await?;
            connection.execute(AssertSqlSafe(format!("set statement_timeout = {}", PATIENCE.as_millis()))).await?;
            connection.execute(AssertSqlSafe(removal.as_str())).await?;
            connection.close().await
        };
        let why = match timeout(PATIENCE + GRACE, removed).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the server does not answer".to_owned(),
        };
        Err(StoreError::Refused(format!(
            "the database {name} is still there: {why}; once no session of that server hangs, type in psql: {removal}"
        )))
    }
}
