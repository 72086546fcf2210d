//! A database for a while, on a server that somebody named: what runs there meets nobody else's jobs and
//! leaves nothing behind.

use std::str::FromStr;

use domain::{JobId, Secret};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::StoreError;

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
    /// When the server cannot be reached.
    pub async fn remove(self) -> Result<(), StoreError> {
        let mut connection = PgConnection::connect_with(&self.server).await?;
        connection.execute(AssertSqlSafe(format!("drop database if exists {} with (force)", self.name))).await?;
        Ok(connection.close().await?)
    }
}
