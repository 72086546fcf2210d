//! The product's processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use process::{Command, Exit, Output, Service, Signal, run};
use tokio::time::{Instant, sleep};

use crate::environment::variable;
use crate::product;

/// How long a process may take to be ready, or to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// How processes are started: the program, what every one of them finds in its environment, and where their
/// logs go.
pub struct Launcher {
    program: PathBuf,
    /// What every process finds in its environment.
    pub environment: Vec<(String, String)>,
    logs: PathBuf,
    started: AtomicU32,
}

/// A process of the product.
pub struct Process {
    service: Service,
    log: PathBuf,
    /// What it is, for people: `work 12`.
    pub name: String,
    /// Its identity in the queue, once it is ready.
    pub owner: Option<String>,
    /// Where it listens, once it is ready.
    pub address: Option<String>,
}

impl Launcher {
    /// Makes `program` (this suite's binary) available under the product's name below `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(program: &Path, folder: &Path, environment: Vec<(String, String)>) -> Result<Self> {
        let (bin, logs) = (folder.join("bin"), folder.join("logs"));
        std::fs::create_dir_all(&bin)?;
        std::fs::create_dir_all(&logs)?;
        std::os::unix::fs::symlink(program, bin.join(product::NAME)).context("cannot link the product")?;
        Ok(Self { program: bin.join(product::NAME), environment, logs, started: AtomicU32::new(0) })
    }

    /// A call of the product with further variables.
    pub fn command(&self, arguments: &[&str], further: &[(&str, &str)]) -> Command {
        self.command_of(&self.program, arguments).envs(further.iter().copied())
    }

    /// A call of another build of the product.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let command = Command::new(program).args(arguments).envs(self.environment.iter().cloned());
        command.path(variable("PATH").unwrap_or_default()).timeout(Duration::from_secs(120))
    }

    /// Runs the product to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(run(self.command(arguments, &[]), &Default::default()).await?)
    }

    /// Starts a process; it is not ready yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str], further: &[(&str, &str)]) -> Result<Process> {
        self.launch(&self.command(arguments, further), arguments[0])
    }

    /// Starts a process by a command of the caller's own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&self, command: &Command, what: &str) -> Result<Process> {
        let name = format!("{what} {}", self.started.fetch_add(1, Ordering::Relaxed) + 1);
        let log = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        let service = Service::start(command, File::create(&log)?)?;
        Ok(Process { service, log, name, owner: None, address: None })
    }
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.service.id()
    }

    /// Waits until it says that it is at work.
    ///
    /// # Errors
    /// When it ends before, or takes a minute.
    pub async fn ready(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if said.contains("working on jobs")
                && let Some(owner) = field(&said, "owner")
            {
                self.owner = Some(owner);
                return Ok(());
            }
            if let Some(address) = said.split("listening on http://").nth(1) {
                self.address = address.split([';', '\n', ' ']).next().map(str::to_owned);
                return Ok(());
            }
            if let Some(exit) = self.ended()? {
                bail!("{} ended before it was ready ({exit}): {said}", self.name);
            }
            ensure!(Instant::now() < until, "{} is not ready after a minute: {said}", self.name);
            sleep(LOOK).await;
        }
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        std::fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the system lost it.
    pub fn ended(&mut self) -> Result<Option<Exit>> {
        Ok(self.service.ended()?)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(self.service.signal(signal)?)
    }

    /// Whether it was stopped, by itself or by somebody.
    pub fn stands(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // The name, which may hold anything, ends at the last bracket; the state follows.
        status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// When the system lost it.
    pub async fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.service.wait().await?;
        Ok(())
    }

    /// Tells it to end as a deployment does, and waits for it.
    ///
    /// # Errors
    /// When it takes a minute, or ends with anything but 0.
    pub async fn end(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let Ok(exit) = tokio::time::timeout(PATIENCE, self.service.wait()).await else {
            bail!("{} still runs a minute after SIGTERM; its log: {}", self.name, self.log.display());
        };
        let exit = exit?;
        ensure!(exit.success(), "{} ended with {exit} after SIGTERM: {}", self.name, self.said());
        Ok(())
    }

    /// The same for one that may have ended already, in whatever way, or does so when it is told to.
    ///
    /// # Errors
    /// When it takes a minute.
    pub async fn end_or_ended(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let ended = tokio::time::timeout(PATIENCE, self.service.wait()).await;
        ended.with_context(|| format!("{} still runs a minute after SIGTERM", self.name))??;
        Ok(())
    }
}

/// The first value of `name` in a log of JSON lines.
fn field(log: &str, name: &str) -> Option<String> {
    let values = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?[name].as_str().map(str::to_owned));
    values.into_iter().next()
}
