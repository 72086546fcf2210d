//! Workers on this machine: child processes that come when they are asked for and go when nobody needs them, as tasks of ECS do.
//!
//! Who works has protected itself ([`Workers::protect`]), and only who has not is ever asked to go because fewer are wanted. Both
//! are decided under one lock: a worker that was told to go gets no protection any more, so it takes no job either.

mod state;

use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Capacity, CapacityError, Counts, Mode};
use rustix::process::Signal;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Command, Exit, ProcessError, Service, spawner};
use state::{Fresh, State};

/// How long a worker that was told to go may take: longer than it waits for a model call and gives its jobs back.
const PATIENCE: Duration = Duration::from_secs(28);
/// How often it is looked whether there is room, or a protection ran out, while somebody waits for that.
const LOOK: Duration = Duration::from_millis(500);

/// The program of a worker: of this mode, of this name, with so many jobs at the same time.
pub type Start = dyn Fn(Mode, &str, u16) -> Command + Send + Sync;

/// How workers are started, and how many there is room for.
pub struct Plan {
    /// What is started.
    pub command: Box<Start>,
    /// Jobs at the same time, of all workers together.
    pub room: u16,
    /// Jobs at the same time of one worker; the last that finds room may have fewer.
    pub slots: u16,
    /// How long a worker takes to come before it is even started: nothing, but for those who want to see how it is with a machine
    /// that has to be found first.
    pub start_delay: Duration,
}

/// What people may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// There was no worker of this mode, and one comes.
    Woke(Mode),
    /// The last worker of this mode has gone.
    Slept(Mode),
    /// A worker ended by itself; the next is started after the pause.
    Fell(Mode, Exit, Duration),
}

/// Why a worker is not protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unprotected {
    /// Nobody of that name is there.
    #[error("there is no such worker")]
    Unknown,
    /// It was told to go.
    #[error("the worker was told to go")]
    Going,
}

/// The workers of this process. Clones are the same ones.
#[derive(Clone)]
pub struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    state: Mutex<State>,
    changed: Notify,
    told: mpsc::UnboundedSender<Told>,
}

impl Workers {
    /// None yet, and none wanted; what is to be known of them comes out of the other end.
    pub fn new(plan: Plan) -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (told, hears) = mpsc::unbounded_channel();
        let state = Mutex::new(State::new(plan.room, plan.slots));
        (Self { shared: Arc::new(Shared { plan, state, changed: Notify::new(), told }) }, hears)
    }

    /// Protects the worker `name` for so long, or no longer (`None`); until when it is protected.
    ///
    /// # Errors
    /// It is not there, or was told to go.
    pub fn protect(&self, name: &str, term: Option<Duration>) -> Result<Option<Duration>, Unprotected> {
        let protected = self.state().protect(name, term.map(|term| Instant::now() + term));
        self.shared.changed.notify_one();
        protected.map(|()| term)
    }

    /// The names of the workers that are there, with whether they are protected.
    pub fn names(&self) -> Vec<(String, bool)> {
        self.state().names(Instant::now())
    }

    /// Has workers come and go until `shutdown`; then all are told to go, and what does not is killed. Dropped, it kills them all.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut lives = JoinSet::new();
        while !shutdown.is_cancelled() {
            let (fresh, waits) = self.state().settle(Instant::now());
            for fresh in fresh {
                let workers = self.clone();
                lives.spawn(async move { workers.live(fresh).await });
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.shared.changed.notified() => {}
                () = sleep(LOOK), if waits => {}
                Some(ended) = lives.join_next(), if !lives.is_empty() => panicked(ended),
            }
        }
        self.state().end();
        while let Some(ended) = lives.join_next().await {
            panicked(ended);
        }
    }

    /// One worker from its start to its end.
    async fn live(&self, worker: Fresh) {
        let Fresh { name, mode, slots, first, go } = worker;
        if first {
            self.tell(Told::Woke(mode));
        }
        let born = Instant::now();
        let ended = match go.run_until_cancelled(sleep(self.shared.plan.start_delay)).await {
            Some(()) => self.work(mode, &name, slots, &go).await,
            None => Ok(Exit::Cancelled),
        };
        let exit = ended.unwrap_or_else(|error| {
            tracing::error!("a worker cannot be started: {error}");
            Exit::Code(-1)
        });
        let (last, pause) = self.state().ended(&name, Instant::now(), born.elapsed());
        if let Some(pause) = pause {
            self.tell(Told::Fell(mode, exit, pause));
        }
        if last {
            self.tell(Told::Slept(mode));
        }
        self.shared.changed.notify_one();
    }

    async fn work(&self, mode: Mode, name: &str, slots: u16, go: &CancellationToken) -> Result<Exit, ProcessError> {
        let command = (self.shared.plan.command)(mode, name, slots);
        let mut service = match spawner::for_another() {
            None => Service::start_beside(&command, Stdio::null())?,
            Some(Ok(socket)) => Service::start_beside(&command.env(spawner::INHERITED, "stdin"), socket.into())?,
            Some(Err(source)) => return Err(ProcessError::Spawn { program: command.name(), source }),
        };
        if let Some(exit) = go.run_until_cancelled(service.wait()).await {
            return exit;
        }
        service.signal(Signal::TERM)?;
        match timeout(PATIENCE, service.wait()).await {
            Ok(exit) => exit,
            // It is frozen, say: nothing else helps.
            Err(_) => service.stop(&[]).await,
        }
    }

    fn tell(&self, told: Told) {
        // Nobody has to listen.
        self.shared.told.send(told).ok();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Capacity for Workers {
    async fn counts(&self, mode: Mode) -> Result<Counts, CapacityError> {
        Ok(self.state().counts(mode))
    }

    async fn set_desired(&self, mode: Mode, desired: u32) -> Result<(), CapacityError> {
        self.state().desire(mode, desired);
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn stop(&self, task: &str, reason: &str) -> Result<bool, CapacityError> {
        let stopped = self.state().stop(task);
        if stopped {
            tracing::warn!("the worker {task} is stopped: {reason}");
        }
        Ok(stopped)
    }
}

fn panicked(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("what looked after a worker panicked: {error}");
    }
}
