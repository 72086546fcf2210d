//! Runs a command to its end.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::capture::Capture;
use crate::sandbox::{self, Broker, Excess, Run, Watch};
use crate::spawn::{Pipes, spawn_attached, spawn_piped};
use crate::{Command, ProcessError};

/// How long the output of a killed group may take to end. A process that left the group can hold the
/// pipes open for ever; what it writes later is not ours.
const DRAIN: Duration = Duration::from_millis(500);

/// How long the kernel may take to bury a killed child. Only a process that waits for a broken disk
/// needs longer, and it is left to be reaped in the background.
const REAP: Duration = Duration::from_secs(2);

/// The variable that tells a command with loopback which ports it has, as `FIRST-LAST`.
const PORTS: &str = "CODETEAM_PORTS";

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal, which was not ours.
    Signal(i32),
    /// We killed it at its timeout.
    TimedOut,
    /// We killed it because the caller did not want it any more.
    Cancelled,
    /// We killed it because it used too much.
    Exceeded(Excess),
}

impl Exit {
    /// Whether it ended by itself and said that all is well.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Exceeded(excess) => write!(f, "killed: {excess}"),
        }
    }
}

/// What a command left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output; where bytes were omitted, its head directly followed by its tail.
    pub stdout: Vec<u8>,
    /// Its standard error, likewise.
    pub stderr: Vec<u8>,
    /// Bytes missing in the middle of `stdout`.
    pub stdout_omitted_bytes: u64,
    /// Bytes missing in the middle of `stderr`.
    pub stderr_omitted_bytes: u64,
    /// From its start to its end.
    pub duration: Duration,
}

impl Output {
    /// Standard output as text; a line says where bytes were omitted, and how many.
    pub fn stdout_text(&self) -> String {
        text(&self.stdout, self.stdout_omitted_bytes)
    }

    /// Standard error as text, likewise.
    pub fn stderr_text(&self) -> String {
        text(&self.stderr, self.stderr_omitted_bytes)
    }
}

fn text(bytes: &[u8], omitted_bytes: u64) -> String {
    if omitted_bytes == 0 {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    format!("{}\n[… {omitted_bytes} bytes omitted …]\n{}", String::from_utf8_lossy(head), String::from_utf8_lossy(tail))
}

/// Runs `command` to its end and keeps its output.
///
/// It leads a session and a process group of its own. When it ends, at its timeout, when `cancel` is
/// cancelled, when this future is dropped and when we are killed ourselves, whatever is left of the group
/// is killed. Output beyond the cap is read and dropped, so it neither blocks the child nor fills our memory.
///
/// # Errors
/// Only when it could not be run: a failing, killed or overdue command is an [`Exit`].
pub async fn run(mut command: Command, cancel: &CancellationToken) -> Result<Output, ProcessError> {
    let started = Instant::now();
    let mut all = command.sandbox.as_ref().map(Run::new);
    if let Some(all) = &all {
        command = command.env(sandbox::MARK, all.mark());
    }
    let failed = |source| ProcessError::Spawn { program: command.name(), source };
    let mut broker = command.sandbox.as_ref().map(Broker::of).transpose().map_err(failed)?.flatten();
    if let (Some(broker), Some(sandbox)) = (&broker, &mut command.sandbox) {
        sandbox.first_port = broker.first_port();
        command.env.extend(broker.ports().map(|ports| (PORTS.into(), ports.into())));
    }
    let theirs = broker.as_mut().and_then(Broker::other_end);
    let (mut child, Pipes { stdin, stdout, stderr }, mut group) = spawn_piped(&command, theirs)?;
    let _brokering = broker.map(Broker::serve);
    group.watch();
    if let Some(all) = &mut all {
        all.led_by(child.id());
    }
    let watch = command.sandbox.as_ref().zip(all.as_ref()).map(|(sandbox, all)| Watch::new(sandbox, all.members()));
    let too_much = async {
        match &watch {
            Some(watch) => watch.excess().await,
            None => std::future::pending().await,
        }
    };
    let mut too_much = Box::pin(too_much);
    let lost = |source| ProcessError::Lost { program: command.name(), source };
    let (mut kept_stdout, mut kept_stderr) = (Capture::new(command.output_cap), Capture::new(command.output_cap));
    let streams = async { tokio::try_join!(feed(stdin, &command.stdin), kept_stdout.read(stdout), kept_stderr.read(stderr)) };
    let mut streams = Box::pin(streams);
    let deadline = started + command.timeout;
    let mut open = true;
    let exit = loop {
        tokio::select! {
            status = child.wait() => break Exit::from(status.map_err(lost)?),
            () = tokio::time::sleep_until(deadline) => break Exit::TimedOut,
            () = cancel.cancelled() => break Exit::Cancelled,
            excess = &mut too_much => break Exit::Exceeded(excess),
            result = &mut streams, if open => {
                result.map_err(lost)?;
                open = false;
            }
        }
    };
    group.kill();
    if matches!(exit, Exit::TimedOut | Exit::Cancelled | Exit::Exceeded(_))
        && let Ok(status) = timeout(REAP, child.wait()).await
    {
        status.map_err(lost)?;
    }
    end(&mut all).await;
    if open && let Ok(result) = timeout(DRAIN, &mut streams).await {
        result.map_err(lost)?;
    }
    drop(streams);
    let (stdout, stdout_omitted_bytes) = kept_stdout.finish();
    let (stderr, stderr_omitted_bytes) = kept_stderr.finish();
    Ok(Output { exit, stdout, stderr, stdout_omitted_bytes, stderr_omitted_bytes, duration: started.elapsed() })
}

/// Kills what left the group, before anybody looks at what it wrote.
async fn end(all: &mut Option<Run>) {
    if let Some(mut all) = all.take()
        && !all.is_over()
    {
        let ended = tokio::task::spawn_blocking(move || all.end()).await;
        ended.unwrap_or_else(|error| tracing::warn!("what a command started may still run: {error}"));
    }
}

/// Runs `command` with our own standard streams, terminal and session, until it ends by itself or
/// `cancel` is cancelled. Its input, timeout and output cap are not used: a person watches it.
///
/// # Errors
/// As [`run`].
pub async fn run_attached(command: Command, cancel: &CancellationToken) -> Result<Exit, ProcessError> {
    let lost = |source| ProcessError::Lost { program: command.name(), source };
    let mut child = spawn_attached(&command)?;
    tokio::select! {
        status = child.wait() => Ok(status.map_err(lost)?.into()),
        () = cancel.cancelled() => {
            child.kill().await.map_err(lost)?;
            Ok(Exit::Cancelled)
        }
    }
}

/// A child may end or close its input without having read everything: that is its right.
async fn feed(mut stdin: ChildStdin, bytes: &[u8]) -> io::Result<()> {
    match stdin.write_all(bytes).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
