//! A server that runs beside us until it is stopped.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::spawn::{Group, Streams, spawn};
use crate::{Command, Exit, ProcessError};

/// A running server with a session and process group of its own. Dropping it kills the group.
///
/// The command's input, timeout and output cap are not used: it reads nothing, writes to a log file and
/// has no end of its own.
#[derive(Debug)]
pub struct Service {
    program: String,
    child: tokio::process::Child,
    group: Group,
    id: u32,
}

impl Service {
    /// Starts `command`; its standard output and error go to `log`.
    ///
    /// # Errors
    /// When it could not be started.
    pub fn start(command: &Command, log: File) -> Result<Self, ProcessError> {
        let program = command.name();
        let copy = log.try_clone().map_err(|source| ProcessError::Spawn { program: program.clone(), source })?;
        let (child, group) = spawn(command, Streams { stdin: Stdio::null(), stdout: log.into(), stderr: copy.into() })?;
        let id = child.id().expect("a child that was not waited for has an id");
        Ok(Self { program, child, group, id })
    }

    /// The same with our own standard output and error, and something to read; killed ourselves, we take it with us.
    pub(crate) fn start_beside(command: &Command, stdin: Stdio) -> Result<Self, ProcessError> {
        let streams = Streams { stdin, stdout: Stdio::inherit(), stderr: Stdio::inherit() };
        let (child, mut group) = spawn(command, streams)?;
        group.watch();
        let id = child.id().expect("a child that was not waited for has an id");
        Ok(Self { program: command.name(), child, group, id })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the operating system lost it.
    pub fn ended(&mut self) -> Result<Option<Exit>, ProcessError> {
        let status = self.child.try_wait().map_err(|source| self.lost(source))?;
        Ok(status.map(Exit::from))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When the operating system lost it.
    pub async fn wait(&mut self) -> Result<Exit, ProcessError> {
        let status = self.child.wait().await.map_err(|source| self.lost(source))?;
        Ok(status.into())
    }

    /// Sends a signal to the server itself, not to what it started. A server that has ended gets none.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        // Once it is reaped its id may be somebody else's; tokio forgets the id then.
        let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return Ok(()) };
        kill_process(id, signal).map_err(|error| self.lost(error.into()))
    }

    /// Asks it to end by each signal in turn, waits as long as it says, and kills what is left of its group.
    ///
    /// # Errors
    /// When the operating system lost it.
    pub async fn stop(mut self, requests: &[(Signal, Duration)]) -> Result<Exit, ProcessError> {
        for (signal, patience) in requests {
            self.signal(*signal)?;
            if let Ok(exit) = timeout(*patience, self.wait()).await {
                self.group.kill();
                return exit;
            }
        }
        self.group.kill();
        self.wait().await
    }

    /// Lets it run on after us; its id.
    pub fn detach(mut self) -> u32 {
        self.group.forget();
        self.id
    }

    fn lost(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Lost { program: self.program.clone(), source }
    }
}
