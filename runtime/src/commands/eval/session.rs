//! The product around the tasks of a run: a database, a forge, triage, a sweeper and one worker, all in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use config::{Configured, Services, Settings};
use domain::{MicroUsd, Mode, Scope};
use enqueue::Enqueue;
use github::{LocalForge, Unregistered};
use store::cost::{self, By};
use store::{Db, budgets};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hidden::{Runner, User};
use super::performer::Performer;
use super::purse::Purse;
use super::task::Task;
use crate::background;
use crate::cli::Eval;
use crate::commands::local::{self, Database};
use crate::exit::Failure;
use crate::perform::Handlers;
use crate::sandbox;
use crate::screen::progress;
use crate::worker::{Share, Worker};

/// How long a job of a run waits for a provider that is away.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that the tasks of a run share.
pub(super) struct Session {
    pub settings: Settings,
    pub db: Db,
    pub forge: LocalForge,
    pub enqueue: Enqueue,
    pub performer: Performer,
    pub runner: Runner,
    /// The model of all jobs; `None` = each mode's first.
    pub model: Option<String>,
    /// `None` = nothing is paid.
    pub purse: Option<Purse>,
    /// The programs that tasks need: as whom they can be run, or why they cannot.
    users: BTreeMap<&'static str, Result<User, String>>,
    folder: TempDir,
    count: AtomicU32,
    database: Database,
    end: CancellationToken,
    tasks: JoinSet<()>,
}

impl Session {
    /// Starts everything that `tasks` need.
    ///
    /// # Errors
    /// [`Failure::Environment`] for a key or database that is missing, [`Failure::Usage`] for a model that nobody knows.
    pub(super) async fn start(args: &Eval, tasks: &[Task], settings: Settings) -> Result<Self, Failure> {
        sandbox::check(&settings, args.sandbox_min)?;
        let folder = tempfile::Builder::new().prefix("codeteam-eval-").permissions(sandbox::passable()).tempdir()?;
        let mut settings = Settings { local_remotes: true, script: None, ..settings };
        settings.state_dir = folder.path().to_owned();
        if args.live {
            let modes: BTreeSet<&str> = tasks.iter().map(|task| task.mode.into()).collect();
            let model = args.model.as_deref().or(settings.model.as_deref());
            for mode in modes.into_iter().filter_map(|mode| mode.parse().ok()) {
                local::check_model(&Services::new(settings.clone()), mode, model)?;
            }
        }
        let runner = Runner::new(&settings);
        let programs: BTreeSet<&str> = tasks.iter().flat_map(Task::programs).collect();
        let mut users = BTreeMap::new();
        for program in programs {
            let user = runner.user_for(program).await;
            if let Ok(User::Ours) = user {
                progress(&format!("{program} lies where only you may read: its tests run as you, behind Landlock and seccomp"));
            }
            users.insert(program, user);
        }
        let database = Database::fresh(&settings, false).await?;
        settings.database_url = Some(database.url.clone());
        let forge = LocalForge::new(folder.path().join("forge"), Unregistered::Refuse);
        let services = Services::new(settings.clone()).with_forge(Arc::new(forge.clone()));
        let db = services.db().await?;
        if let Some(budget) = args.budget {
            budgets::set(&db, &Scope::All, budget).await?;
        }
        let handlers = Handlers::new(&services).await?;
        let performer = if args.live { Performer::live(handlers) } else { Performer::scripted(handlers) };
        let (end, mut running) = (CancellationToken::new(), JoinSet::new());
        background::spawn_sweeper(&mut running, db.clone(), end.clone());
        background::spawn_triage(&mut running, &services, end.clone()).await?;
        background::spawn_listener(&mut running, &services, end.clone()).await?;
        let share = Share { modes: vec![Mode::Mechanic, Mode::Genius], slots: args.parallel, patience: PATIENCE };
        let worker = Worker::with(&services, share, performer.clone()).await?;
        let until = end.clone();
        running.spawn(async move { worker.run(until, false).await });
        Ok(Self {
            enqueue: Enqueue::configure(&services).await?,
            purse: args.budget.map(Purse::new),
            model: if args.live { args.model.clone() } else { Some("scripted".to_owned()) },
            settings,
            db,
            forge,
            performer,
            runner,
            users,
            folder,
            count: AtomicU32::new(0),
            database,
            end,
            tasks: running,
        })
    }

    /// A folder and a name for one more repository. The name says nothing about the task: models read it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn place(&self) -> std::io::Result<(PathBuf, String)> {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let folder = self.folder.path().join(format!("repository-{number}"));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok((folder, format!("evals/repository-{number}")))
    }

    /// As whom the tests of `task` run.
    ///
    /// # Errors
    /// Why they cannot be run here, and what to do about that.
    pub(super) fn user_for(&self, task: &Task) -> Result<User, String> {
        let mut user = User::Own;
        for program in task.programs() {
            if self.users.get(program).cloned().unwrap_or(Ok(User::Own))? == User::Ours {
                user = User::Ours;
            }
        }
        Ok(user)
    }

    /// The handlers that answer with the replies in `script`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn scripted_by(&self, script: &Path) -> anyhow::Result<Handlers> {
        let settings = Settings { script: Some(script.to_owned()), ..self.settings.clone() };
        self.performer.handlers().asking(&Services::new(settings))
    }

    /// Ends everything, and says what all calls cost, those of unfinished jobs as well.
    ///
    /// # Errors
    /// When the ledger cannot be read, or the database not be stopped.
    pub(super) async fn close(self) -> Result<MicroUsd, Failure> {
        self.end.cancel();
        let mut tasks = self.tasks;
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| anyhow!("a background task panicked: {error}"))?;
        }
        let costs = cost::cost(&self.db, By::Day, None, None).await;
        self.db.close().await;
        self.database.close().await?;
        Ok(costs?.into_iter().map(|cost| cost.paid_microusd + cost.held_microusd).sum())
    }
}
