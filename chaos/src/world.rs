//! Everything that a run needs: a database, a model, repositories, a forge, and the product's processes
//! between them. What is asked of it is in `asking.rs`, how it comes to rest in `ending.rs`.

mod asking;
mod ending;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use process::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::disk::Mount;
use crate::fleet::{Launcher, Process};
use crate::hub::Hub;
use crate::losses::{self, How, Loss};
use crate::model::{KEY, Model};
use crate::postgres::Database;
use crate::proxy::{Proxy, Target};
use crate::repository::Repository;
use crate::tickets::Ticket;
use crate::webhook::SECRET;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// This suite's binary.
    pub program: PathBuf,
    /// Where worlds are made, and kept when something is wrong.
    pub folder: PathBuf,
    /// Everything random comes from it.
    pub seed: u64,
    /// Workers at the same time.
    pub workers: usize,
    /// Jobs at the same time in each of them.
    pub slots: usize,
    /// Jobs that are ready or worked on at the same time: fewer than there are slots, so that a job that
    /// comes back finds a free hand at once.
    pub load: usize,
    /// Another build of the product, for the rolling deployment.
    pub previous: Option<PathBuf>,
}

/// A world. Dropped, its processes die; its folder stays only if it was kept.
pub struct World {
    /// What it is made of.
    pub plan: Plan,
    /// Where it lies.
    pub folder: PathBuf,
    /// The database.
    pub database: Database,
    /// The model.
    pub model: Model,
    /// The way to the model.
    pub model_door: Proxy,
    /// GitHub; `None` = the forge is a local one.
    pub hub: Option<Hub>,
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// How processes are started.
    pub launcher: Launcher,
    /// The processes that take requests.
    pub servers: Vec<Process>,
    /// The processes that work.
    pub workers: Vec<Process>,
    /// The cap of tokens that its processes lower every mode's own to.
    pub token_cap: Option<i64>,
    /// What was asked.
    pub tickets: Vec<Ticket>,
    /// What was lost.
    pub losses: Vec<Loss>,
    /// Where everything random comes from.
    pub rng: StdRng,
    _disk: Option<Mount>,
    _folder: TempDir,
}

impl World {
    /// A world with its processes at work and nothing to do.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(plan: &Plan, name: &str) -> Result<Self> {
        Self::empty(plan, name, None).await?.at_work().await
    }

    /// The same, whose processes allow no job more tokens than this.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn capped(plan: &Plan, name: &str, tokens: i64) -> Result<Self> {
        let mut world = Self::empty(plan, name, None).await?;
        world.launcher.environment.push(("TOKEN_CAP".to_owned(), tokens.to_string()));
        world.token_cap = Some(tokens);
        world.at_work().await
    }

    /// The same on a GitHub, with a repository each of so many owners.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn on_github(plan: &Plan, name: &str, owners: usize) -> Result<Self> {
        let mut world = Self::empty(plan, name, None).await?;
        world.repositories.clear();
        for owner in 0..owners {
            let repository =
                Repository::new(&format!("Owner-{owner:02}/shop"), &world.folder.join("git"), &world.folder.join("state")).await?;
            world.repositories.push(repository);
        }
        let hub = Hub::start(plan.seed, &world.repositories).await;
        let file = world.folder.join("github-app.json");
        hub.write_credentials(&file)?;
        world.launcher.environment.push(("GITHUB_APP_FILE".to_owned(), file.to_string_lossy().into_owned()));
        world.hub = Some(hub);
        world.at_work().await
    }

    /// The same with a disk of so many MiB for the database. Only root can.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn on_small_disk(plan: &Plan, name: &str, mib: u32) -> Result<Self> {
        Self::empty(plan, name, Some(mib)).await?.at_work().await
    }

    async fn at_work(mut self) -> Result<Self> {
        let plan = self.plan.clone();
        let world = &mut self;
        for _ in 0..2 {
            world.servers.push(world.launcher.start(&["serve", "--listen", "127.0.0.1:0"], &[])?);
        }
        for _ in 0..plan.workers {
            let worker = world.worker(&[])?;
            world.workers.push(worker);
        }
        for process in world.servers.iter_mut().chain(&mut world.workers) {
            process.ready().await?;
        }
        Ok(self)
    }

    /// A world without processes.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn empty(plan: &Plan, name: &str, disk_mib: Option<u32>) -> Result<Self> {
        std::fs::create_dir_all(&plan.folder)?;
        let temporary = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&plan.folder)?;
        let folder = temporary.path().to_owned();
        // The server of the database is not ours, and has to walk through.
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        for sub in ["state", "tmp", "disk"] {
            std::fs::create_dir(folder.join(sub))?;
        }
        let disk = match disk_mib {
            Some(mib) => Some(Mount::new(&folder.join("disk"), mib).await?),
            None => None,
        };
        let database = Database::start(&folder.join("disk")).await?;
        let model = Model::start(plan.seed).await?;
        let model_door = Proxy::start(Target::Port(model.address())).await?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let environment = [
            ("DATABASE_URL", database.url()),
            ("DATABASE_CONNECTIONS", (plan.slots + 4).to_string()),
            ("CODETEAM_STATE_DIR", text(folder.join("state"))),
            // The world belongs to whoever torments it.
            ("CODETEAM_USER", "root".to_owned()),
            ("TMPDIR", text(folder.join("tmp"))),
            ("ANTHROPIC_API_KEY", KEY.to_owned()),
            ("ANTHROPIC_BASE_URL", format!("http://{}", model_door.address())),
            ("GITHUB_WEBHOOK_SECRET", SECRET.to_owned()),
            ("RUST_LOG", "info".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let launcher = Launcher::new(&plan.program, &folder, environment)?;
        let migrated = launcher.run(&["migrate"]).await?;
        ensure!(migrated.exit.success(), "codeteam migrate: {}", migrated.stderr_text());
        let mut repositories = Vec::new();
        for name in ["acme/one", "acme/two", "acme/three"] {
            repositories.push(Repository::new(name, &folder.join("git"), &folder.join("state")).await?);
        }
        Ok(Self {
            plan: plan.clone(),
            folder,
            database,
            model,
            model_door,
            hub: None,
            repositories,
            launcher,
            servers: Vec::new(),
            workers: Vec::new(),
            token_cap: None,
            tickets: Vec::new(),
            losses: Vec::new(),
            rng: StdRng::seed_from_u64(plan.seed),
            _disk: disk,
            _folder: temporary,
        })
    }

    /// A new worker, not ready yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn worker(&self, further: &[(&str, &str)]) -> Result<Process> {
        self.launcher.start(&["work", "--slots", &self.plan.slots.to_string()], further)
    }

    /// A new worker in the place of `index`; the old one is returned.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn replace_worker(&mut self, index: usize, further: &[(&str, &str)]) -> Result<Process> {
        let mut worker = self.worker(further)?;
        worker.ready().await?;
        Ok(std::mem::replace(&mut self.workers[index], worker))
    }

    /// A random pause.
    pub async fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        let pause = self.rng.random_range(milliseconds);
        sleep(Duration::from_millis(pause)).await;
    }

    /// Where workers keep their checkouts.
    pub fn checkouts(&self) -> PathBuf {
        self.folder.join("state/checkouts")
    }

    /// What the worker `index` holds at this moment.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn look(&self, worker: &Process, how: How) -> Result<Loss> {
        let owner = worker.owner.as_deref().context("the worker is not ready")?;
        losses::look(&self.database.sql, owner, how, &self.model.book(), &self.checkouts()).await
    }

    /// Kills the worker `index` if that counts, and puts another in its place. `false` = it held nothing.
    ///
    /// # Errors
    /// When a process cannot be signalled or started.
    pub async fn strike(&mut self, index: usize) -> Result<bool> {
        let worker = &self.workers[index];
        worker.signal(Signal::STOP)?;
        let loss = self.look(worker, How::Killed).await?;
        if !loss.counts() {
            worker.signal(Signal::CONT)?;
            return Ok(false);
        }
        self.losses.push(loss);
        // The new one starts while the old one is buried.
        let fresh = self.worker(&[])?;
        let old = std::mem::replace(&mut self.workers[index], fresh);
        old.kill().await?;
        self.workers[index].ready().await?;
        Ok(true)
    }
}
