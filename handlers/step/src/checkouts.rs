//! The checkouts of the jobs that this process works on, kept from step to step.
//!
//! A checkout belongs to one job under one epoch: a worker that lost its lease keeps scribbling in its own.
//! A marker beside it says which step it is at; where it says none (tools are running, or were when the process
//! died) it is not trusted and made again from the last checkpoint.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agent::{Environment, Workspace};
use anyhow::Context;
use config::failure;
use dispatch::{Ctx, HandlerError};
use domain::{Epoch, JobId};
use failpoints::fail_point;
use git::{Checkout, CommitId, Git, GitError};
use github::words::{Language, Note, translated};
use github::{Access, Forge};
use process::Sandbox;
use process::sandbox::variables;
use store::Db;
use store::jobs::Job;
use store::steps::{self, Prepared, Work};
use tokio::time::Instant;

use crate::base::Base;
use crate::maps::Maps;
use crate::prepare;
use crate::review::{self, Commits};
use crate::walls::Walls;

/// The checkout of a job.
pub(crate) struct JobCheckout {
    /// As git sees it.
    pub git: Checkout,
    /// As the file tools see it.
    pub workspace: Workspace,
    /// What its base commit says.
    pub base: Arc<Base>,
    /// What the tools run behind.
    pub sandbox: Sandbox,
    /// What the tools' commands find around them.
    pub environment: Environment,
    /// What the model is told about the network.
    pub network: Option<String>,
    marker: Marker,
}

impl JobCheckout {
    /// From now on it is in no known state.
    pub(crate) fn begin(&self) -> anyhow::Result<()> {
        self.marker.write("-")
    }

    /// It is as it is after step `step_no`, which is stored.
    pub(crate) fn end(&self, step_no: u32) -> anyhow::Result<()> {
        self.marker.write(&step_no.to_string())
    }

    /// Lets us read what the job has written, where it did not let us.
    pub(crate) async fn open_up(&self) -> anyhow::Result<()> {
        let Some(slot) = self.sandbox.slot().cloned() else { return Ok(()) };
        let workspace = self.git.workspace().to_owned();
        let opened = tokio::task::spawn_blocking(move || slot.open_up(&[&workspace])).await?;
        opened.with_context(|| format!("cannot open {} for reading", self.git.workspace().display()))
    }
}

/// Where jobs are checked out. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Checkouts {
    git: Git,
    forge: Arc<dyn Forge>,
    root: Arc<PathBuf>,
    bases: Bases,
    maps: Maps,
    pub(crate) walls: Walls,
}

/// What the base commit says, by checkout. It cannot change, and a git for it would cost a step more than all its
/// commits.
type Bases = Arc<Mutex<HashMap<PathBuf, Arc<Base>>>>;

impl Checkouts {
    pub(crate) fn new(git: Git, forge: Arc<dyn Forge>, root: PathBuf) -> Self {
        Self { git, forge, root: Arc::new(root), bases: Bases::default(), maps: Maps::default(), walls: Walls::default() }
    }

    /// Where the repositories are.
    pub(crate) fn forge(&self) -> &dyn Forge {
        &*self.forge
    }

    /// The checkout of a job as it is after its last stored step: the one that this process has `kept` since then, or the one on
    /// disk, or a new one from the base commit and the last checkpoint. The first preparation fixes the base commit.
    pub(crate) async fn open(
        &self,
        ctx: &Ctx,
        db: &Db,
        epoch: Epoch,
        (work, kept): (&Work, Option<JobCheckout>),
        path: &str,
    ) -> Result<JobCheckout, HandlerError> {
        let job = &work.job;
        let folder = self.folder(job.job_id, epoch);
        let done = work.steps.iter().filter(|step| step.results.is_some()).map(|step| step.step_no.unsigned_abs()).max().unwrap_or(0);
        if let Some(kept) = kept.filter(|kept| kept.marker.is_there()) {
            return Ok(kept);
        }
        if Marker::read(&folder) == Some(done)
            && let Some(checkout) = Checkout::open(&self.git, &folder).await.map_err(failure::of_git)?
            && self.walls.stand(&folder, checkout.workspace())?
        {
            let said = self.base(db, job, epoch, &checkout, None).await?;
            return self.job_checkout(checkout, said, &folder, path);
        }
        let started = Instant::now();
        self.walls.fall(&folder);
        remove(&folder).await.context("cannot clear an old checkout")?;
        let place = (job.repository.as_str(), job.remote.as_deref());
        let (_, mirror) = config::mirror(&self.git, &*self.forge, place, Access::Read, &ctx.cancel).await?;
        let (base, against) = match &job.base_commit {
            Some(commit) => {
                review::bring(&mirror, job, &ctx.cancel).await?;
                (commit.parse().map_err(failure::of_git)?, known_against(db, job).await?)
            }
            None if review::has_head(job) => {
                let Commits { head, against } = review::commits(&*self.forge, &mirror, job, &ctx.cancel).await?;
                (head, Some(against))
            }
            None => (mirror.resolve(job.input.base.as_deref()).await.map_err(failure::of_git)?, None),
        };
        if let Some(against) = &against {
            mirror.bring(against, &ctx.cancel).await.map_err(failure::of_git)?;
        }
        self.walls.close(&folder)?;
        let checkout = Checkout::create(&mirror, &base, &folder, &ctx.cancel).await.map_err(failure::of_git)?;
        let mut is_as_in_base = true;
        if let Some((tree, pack)) = steps::checkpoint(db, job.job_id, done as i32).await.map_err(failure::of_store)? {
            let tree = tree.parse().map_err(failure::of_git)?;
            checkout.restore(&tree, &pack).await.map_err(failure::of_git)?;
            is_as_in_base = match checkout.changed(&tree).await {
                Ok(changed) => !changed.iter().any(|file| prepare::steers(&file.path)),
                Err(GitError::TooLarge { .. }) => false,
                Err(error) => return Err(failure::of_git(error)),
            };
        }
        let said = self.base(db, job, epoch, &checkout, against.as_ref()).await?;
        self.walls.raise(&folder, &[checkout.workspace(), &home(&folder)?])?;
        let opened = self.job_checkout(checkout, Arc::clone(&said), &folder, path)?;
        let mut notes = said.notes.clone();
        notes.extend(self.fetched(&opened, is_as_in_base, Language::of(&job.input), ctx).await?);
        fail_point!(BeforePrepared);
        let prepared = Prepared {
            base_commit: base.as_str(),
            against: against.as_ref().map(CommitId::as_str),
            notes: &notes,
            caps: said.project.caps,
            took: started.elapsed(),
        };
        steps::prepared(db, job.job_id, epoch, prepared).await.map_err(failure::of_store)?;
        fail_point!(AfterPrepared);
        opened.end(done)?;
        Ok(opened)
    }

    /// Fetches what the job depends on, if it may; what a person should know about its network. What the job itself has
    /// changed must not say what is fetched, and from where.
    async fn fetched(
        &self,
        checkout: &JobCheckout,
        is_as_in_base: bool,
        language: Language,
        ctx: &Ctx,
    ) -> Result<Vec<String>, HandlerError> {
        let given = self.walls.network(checkout.base.project.network);
        let Some(proxy) = given.fetches else {
            let refused = given.told.filter(|_| given.is_refused);
            return Ok(refused.iter().map(|told| translated(told, language)).collect());
        };
        if !is_as_in_base {
            return Ok(vec![Note::NotFetchedAgain.sentence(language)]);
        }
        Ok(prepare::fetch(&checkout.sandbox, proxy, checkout.git.workspace(), (&checkout.environment, language), &ctx.cancel).await?)
    }

    fn job_checkout(&self, git: Checkout, base: Arc<Base>, folder: &Path, path: &str) -> Result<JobCheckout, HandlerError> {
        let home = home(folder)?;
        let workspace = Workspace::open(git.workspace()).with_context(|| format!("cannot open {}", git.workspace().display()))?;
        let workspace = workspace.allowing(base.project.allowed_paths.clone());
        let lender = git.lender().map_err(failure::of_git)?;
        let given = self.walls.network(base.project.network);
        let sandbox = self.walls.around(folder, lender, vec![git.workspace().to_owned(), home.clone()], given.network)?;
        let environment = environment(path, &home).behind(sandbox.clone());
        Ok(JobCheckout { git, workspace, base, sandbox, environment, network: given.told, marker: Marker::open(folder)? })
    }

    /// The leases that have a checkout here.
    pub(crate) async fn list(&self) -> anyhow::Result<Vec<(JobId, Epoch)>> {
        let mut folders = match tokio::fs::read_dir(&*self.root).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            folders => folders.with_context(|| format!("cannot list {}", self.root.display()))?,
        };
        let mut leases = Vec::new();
        while let Some(folder) = folders.next_entry().await? {
            let name = folder.file_name();
            let parts = name.to_str().and_then(|name| name.rsplit_once('-'));
            if let Some((Ok(job_id), Ok(epoch))) = parts.map(|(job_id, epoch)| (job_id.parse(), epoch.parse())) {
                leases.push((job_id, Epoch(epoch)));
            }
        }
        Ok(leases)
    }

    /// What the base commit says.
    async fn base(
        &self,
        db: &Db,
        job: &Job,
        epoch: Epoch,
        checkout: &Checkout,
        against: Option<&CommitId>,
    ) -> Result<Arc<Base>, HandlerError> {
        let folder = self.folder(job.job_id, epoch);
        let known = self.bases.lock().unwrap_or_else(PoisonError::into_inner).get(&folder).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let against = match against {
            Some(against) => Some(against.clone()),
            None => known_against(db, job).await?,
        };
        let task = format!("{}\n{}", job.input.title, job.input.body);
        let read = Arc::new(Base::read(checkout, &self.maps, (&task, Language::of(&job.input)), against.as_ref()).await?);
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).insert(folder, Arc::clone(&read));
        Ok(read)
    }

    /// Removes a checkout.
    pub(crate) async fn remove(&self, job_id: JobId, epoch: Epoch) {
        let folder = self.folder(job_id, epoch);
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).remove(&folder);
        self.walls.fall(&folder);
        if let Err(error) = remove(&folder).await {
            tracing::warn!(job.id = %job_id, "cannot remove the checkout {}: {error}", folder.display());
        }
    }

    fn folder(&self, job_id: JobId, epoch: Epoch) -> PathBuf {
        self.root.join(format!("{job_id}-{epoch}"))
    }
}

/// What the change that is there already is compared with, as the first preparation found it.
async fn known_against(db: &Db, job: &Job) -> Result<Option<CommitId>, HandlerError> {
    if !review::has_head(job) {
        return Ok(None);
    }
    let against = steps::preparation(db, job.job_id).await.map_err(failure::of_store)?.against;
    against.map(|commit| commit.parse()).transpose().map_err(failure::of_git)
}

/// The variables of a job's commands.
fn environment(path: &str, home: &Path) -> Environment {
    let found = variables(path.as_ref());
    found.iter().fold(Environment::new(path, home), |environment, (name, value)| environment.with(name, &value.display().to_string()))
}

fn home(folder: &Path) -> anyhow::Result<PathBuf> {
    let home = folder.join("home");
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    Ok(home)
}

/// Says beside a checkout at which step it is. To hand its reading or writing to another thread would take longer.
#[derive(Debug)]
struct Marker {
    file: File,
    path: PathBuf,
}

impl Marker {
    fn path(folder: &Path) -> PathBuf {
        folder.join("at-step")
    }

    /// `None` = the checkout is in no known state, or there is none.
    fn read(folder: &Path) -> Option<u32> {
        fs::read_to_string(Self::path(folder)).ok()?.trim_end().parse().ok()
    }

    /// Leaves what it says as it is.
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = Self::path(folder);
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        Ok(Self { file: file.with_context(|| format!("cannot open {}", path.display()))?, path })
    }

    /// Whether nobody has removed it, with its checkout, since it was opened.
    fn is_there(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }

    /// Writes over all that it said. It is neither removed nor cut: ext4 then looks long for a number for the next file, which costs a
    /// step as much as its commits.
    fn write(&self, text: &str) -> anyhow::Result<()> {
        let written = self.file.write_all_at(format!("{text:<10}").as_bytes(), 0);
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// What belongs to the user of a slot is removed by that user.
async fn remove(folder: &Path) -> std::io::Result<()> {
    let theirs = ["workspace", "home"].map(|name| folder.join(name));
    let cleared = tokio::task::spawn_blocking(move || theirs.iter().try_for_each(|folder| process::sandbox::clear(folder)));
    cleared.await.map_err(std::io::Error::other)??;
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
