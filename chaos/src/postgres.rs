//! A private PostgreSQL that can be killed and comes back, behind a door that never moves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use process::{PostgresOptions, PrivatePostgres, Signal};
use rustix::process::{Pid, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::environment;
use crate::proxy::{Proxy, Target};
use crate::sql::Sql;

/// How long a server that was killed may take to come back: it replays its log, and its old sessions have to
/// notice first.
const RETURN: Duration = Duration::from_secs(60);

/// The database of a world.
pub struct Database {
    server: Mutex<Option<PrivatePostgres>>,
    data: PathBuf,
    /// The product's way in.
    pub door: Proxy,
    /// Our own.
    pub sql: Sql,
    /// What it is, for people.
    pub source: String,
}

impl Database {
    /// Starts a server with its data in `folder`.
    ///
    /// # Errors
    /// When there is no PostgreSQL to be had.
    pub async fn start(folder: &Path) -> Result<Self> {
        let data = folder.join("postgres");
        let server = start(&data).await?;
        let door = Proxy::start(Target::Socket(socket(&server))).await?;
        let sql = Sql::new(&server.url())?;
        let source = server.source();
        Ok(Self { server: Mutex::new(Some(server)), data, door, sql, source })
    }

    /// Where the product finds it.
    pub fn url(&self) -> String {
        format!("postgres://codeteam@{}/codeteam?sslmode=disable", self.door.address())
    }

    /// Kills the server with all that it has in memory.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&self) -> Result<()> {
        if let Some(server) = self.server.lock().await.take() {
            let id = i32::try_from(server.id()).ok().and_then(Pid::from_raw).context("a process id is a positive number")?;
            kill_process(id, Signal::KILL)?;
        }
        Ok(())
    }

    /// Starts it again on what it left on disk.
    ///
    /// # Errors
    /// When it does not come back within a minute.
    pub async fn restart(&self) -> Result<()> {
        let until = Instant::now() + RETURN;
        let mut place = self.server.lock().await;
        let server = loop {
            match start(&self.data).await {
                Ok(server) => break server,
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        };
        self.door.lead_to(Target::Socket(socket(&server)));
        self.sql.moved(&server.url())?;
        *place = Some(server);
        Ok(())
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(&self) -> Result<()> {
        match self.server.lock().await.take() {
            Some(server) => Ok(server.stop().await?),
            None => Ok(()),
        }
    }
}

async fn start(data: &Path) -> Result<PrivatePostgres> {
    let options = PostgresOptions {
        environment: environment::of_the_person(),
        bin_dir: environment::variable("CODETEAM_POSTGRES_BIN").map(PathBuf::from),
        data_dir: Some(data.to_owned()),
        ..PostgresOptions::default()
    };
    Ok(PrivatePostgres::start(options, &mut |_| {}).await?)
}

fn socket(server: &PrivatePostgres) -> PathBuf {
    server.directory().join(".s.PGSQL.5432")
}

/// Somebody who takes the database's sessions.
pub struct Hog {
    sessions: Vec<PgConnection>,
}

impl Hog {
    /// Takes all sessions that can be had but `free`.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn leaving(database: &Database, free: usize) -> Result<Self> {
        let url = database.server.lock().await.as_ref().context("the server runs")?.url();
        let options = url.parse::<PgConnectOptions>()?.application_name("chaos");
        let mut sessions = Vec::new();
        while let Ok(session) = PgConnection::connect_with(&options).await {
            sessions.push(session);
        }
        for session in sessions.drain(sessions.len().saturating_sub(free)..) {
            session.close().await.ok();
        }
        Ok(Self { sessions })
    }

    /// Gives them all back.
    pub async fn let_go(self) {
        for session in self.sessions {
            session.close().await.ok();
        }
    }
}
