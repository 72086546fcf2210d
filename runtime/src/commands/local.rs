//! Everything on this machine: a private database when none is given, and a worker in this process. Shared
//! by `demo`, `run` and `up`.

use std::path::PathBuf;
use std::time::Duration;

use config::{Services, Settings};
use domain::{JobId, Mode, Secret};
use process::{PostgresOptions, PrivatePostgres};
use store::jobs::Finished;
use store::scratch::Scratch;
use store::{Db, Route};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::follow;
use crate::background;
use crate::exit::Failure;
use crate::screen;
use crate::worker::Worker;

/// How long somebody who watches waits for a provider or a repository that is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database for this process alone: on the server that `DATABASE_URL` names, or on a private one. Nobody
/// else's workers see its jobs, and its worker sees nobody else's.
pub(crate) struct Database {
    home: Home,
    /// Where it is.
    pub url: Secret,
    /// What it is, for people.
    pub source: String,
}

enum Home {
    Private(Box<PrivatePostgres>),
    Scratch(Box<Scratch>),
    Given,
}

impl Database {
    /// A fresh database, gone when it is closed unless `keep`.
    pub(crate) async fn fresh(settings: &Settings, keep: bool) -> Result<Self, Failure> {
        let Some(url) = &settings.database_url else { return Self::open(settings, None, keep).await };
        let scratch = Scratch::create(url).await?;
        let source = "a database of its own on the server that DATABASE_URL names".to_owned();
        Self { url: scratch.url(), source, home: Home::Scratch(Box::new(scratch)) }.migrated(settings.database_route).await
    }

    /// The database that `DATABASE_URL` names, or a private server (in `data_dir`, or a fresh one that goes
    /// with it unless `keep`).
    pub(crate) async fn open(settings: &Settings, data_dir: Option<PathBuf>, keep: bool) -> Result<Self, Failure> {
        let database = match &settings.database_url {
            Some(url) => Self { home: Home::Given, url: url.clone(), source: "the database that DATABASE_URL names".to_owned() },
            None => {
                let options = PostgresOptions {
                    environment: settings.environment.0.clone(),
                    cache_dir: Some(settings.cache_dir.clone()),
                    bin_dir: settings.postgres_bin.clone(),
                    data_dir,
                    keep,
                    ..PostgresOptions::default()
                };
                let server = PrivatePostgres::start(options, &mut |line| screen::progress(&format!("  {line}")))
                    .await
                    .map_err(|error| Failure::Environment(error.into()))?;
                Self { url: Secret::new(server.url()), source: server.source(), home: Home::Private(Box::new(server)) }
            }
        };
        database.migrated(settings.database_route).await
    }

    async fn migrated(self, route: Route) -> Result<Self, Failure> {
        let db = Db::connect_by(route, &self.url, 1, Duration::from_secs(10)).await?;
        db.migrate().await?;
        db.close().await;
        Ok(self)
    }

    /// Whether the server goes when this process does.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self.home, Home::Private(_))
    }

    /// What to type to stop a server that was kept.
    pub(crate) fn stop_hint(&self) -> String {
        match &self.home {
            Home::Private(server) => format!("stop it       {}", server.stop_command()),
            Home::Scratch(_) | Home::Given => String::new(),
        }
    }

    /// Stops a private server, removes a scratch database. One that its server does not let go now is named: what was done in it is
    /// done, and is not to be lost over it.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self.home {
            Home::Private(server) => server.stop().await.map_err(|error| Failure::Environment(error.into())),
            Home::Scratch(scratch) => {
                if let Err(remains) = scratch.remove().await {
                    screen::progress(&remains.to_string());
                }
                Ok(())
            }
            Home::Given => Ok(()),
        }
    }
}

/// That somebody can be asked for `model`, or for the first of `mode` where none is named.
///
/// # Errors
/// [`Failure::Usage`] for a model that nobody knows, [`Failure::Environment`] for a key that is missing.
pub(crate) fn check_model(services: &Services, mode: Mode, model: Option<&str>) -> Result<(), Failure> {
    let (models, providers) = (services.models()?, services.providers()?);
    let model = match model {
        Some(name) => models.lookup(name).map_err(|error| Failure::Usage(error.to_string()))?,
        None => models.default_for(mode, &providers).map_err(|error| Failure::Environment(error.into()))?,
    };
    providers.provider_for(model).map(drop).map_err(|error| Failure::Environment(error.into()))
}

/// What comes before a job. An interruption drops it, and all that it has begun goes with it: folders, children,
/// a private database.
pub(crate) async fn unless_interrupted<T>(
    interrupt: &CancellationToken,
    begin: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    interrupt.run_until_cancelled(begin).await.unwrap_or_else(|| Err(Failure::Job("interrupted: no job was begun".to_owned())))
}

/// Runs triage, sweeper and a worker in this process until `job_id` has ended, showing its events, or until
/// `interrupt`.
pub(crate) async fn work_on(services: &Services, job_id: JobId, mode: Mode, interrupt: &CancellationToken) -> Result<Finished, Failure> {
    let db = services.db().await?;
    let end = CancellationToken::new();
    let mut tasks = JoinSet::new();
    background::spawn_sweeper(&mut tasks, db.clone(), end.clone());
    background::spawn_triage(&mut tasks, services, end.clone()).await?;
    background::spawn_listener(&mut tasks, services, end.clone()).await?;
    let worker = Worker::new(services, vec![mode], 1, PATIENCE).await?;
    let working = {
        let end = end.clone();
        async move { worker.run(end, false).await }
    };
    tasks.spawn(working);
    let job = store::jobs::get(&db, job_id).await?.job;
    let caps = services.settings.caps(mode).lowered_by(job.caps);
    let finished = tokio::select! {
        finished = follow::follow(&db, job_id, Some(caps), false) => finished,
        () = interrupt.cancelled() => Err(Failure::Job("interrupted: the job was not finished".to_owned())),
    };
    end.cancel();
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a background task panicked: {error}");
        }
    }
    finished
}
