//! From a [`Command`] to a running process: the only place that starts one.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::command::{Command, find};
use crate::sandbox::{self, Layers, Sandbox, Slot};
use crate::spawner::{self, Far};
use crate::{Handed, ProcessError, error, undertaker};

/// The process group of a child, killed when this value is dropped.
///
/// The kernel does not give a group's number to anybody else while a member lives. When the leader has
/// just been reaped and no other member is left, a signal finds nobody.
#[derive(Debug)]
pub(crate) struct Group {
    id: Option<Pid>,
    /// The user whose processes the spawner kills, which are then more than the group.
    user: Option<u32>,
    watched: bool,
}

impl Group {
    /// Has every member killed also when we are killed and can do nothing about it any more.
    pub(crate) fn watch(&mut self) {
        // The spawner sees our end itself.
        if let (Some(group), None) = (self.id, self.user) {
            undertaker::watch(group);
            self.watched = true;
        }
    }

    /// Kills every member. Nothing is left to kill when they have ended already.
    pub(crate) fn kill(&mut self) {
        let Some(group) = self.id.take() else { return };
        if let Some(user) = self.user {
            return spawner::kill(user).unwrap_or_else(|error| tracing::warn!("cannot end what the user {user} runs: {error}"));
        }
        if let Err(error) = kill_process_group(group, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(process.group = group.as_raw_nonzero().get(), "cannot kill a process group: {error}");
        }
        if self.watched {
            undertaker::forget(group);
        }
    }

    /// Lets the members live on.
    pub(crate) fn forget(&mut self) {
        if let Some(group) = self.id.take()
            && self.watched
        {
            undertaker::forget(group);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the three standard streams of a child lead.
pub(crate) struct Streams {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

/// A process that was started for us: a child of ours, or of the spawner's.
#[derive(Debug)]
pub(crate) enum Child {
    /// Ours.
    Own(tokio::process::Child),
    /// The spawner's.
    Far(Far),
}

impl Child {
    pub(crate) fn id(&self) -> Option<u32> {
        match self {
            Self::Own(child) => child.id(),
            Self::Far(child) => Some(child.id()),
        }
    }

    /// How it ended. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Own(child) => child.wait().await,
            Self::Far(child) => child.wait().await,
        }
    }
}

/// Our ends of the three standard streams of a child.
pub(crate) struct Pipes {
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// Starts `command` with pipes: by the spawner where it has to be another user and there is one. `broker` is the way on which
/// its walls tell us of the sockets that it asks for.
pub(crate) fn spawn_piped(command: &Command, broker: Option<OwnedFd>) -> Result<(Child, Pipes, Group), ProcessError> {
    let failed = |source| ProcessError::Spawn { program: command.name(), source };
    let far = command.sandbox.as_ref().and_then(Sandbox::slot).is_some_and(Slot::is_with_spawner);
    if !far {
        let (mut child, group) =
            spawn_with(command, Streams { stdin: Stdio::piped(), stdout: Stdio::piped(), stderr: Stdio::piped() }, broker)?;
        let pipes = Pipes {
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: child.stdout.take().expect("stdout is piped"),
            stderr: child.stderr.take().expect("stderr is piped"),
        };
        return Ok((Child::Own(child), pipes, group));
    }
    if !command.handed.is_empty() {
        return Err(failed(io::Error::other("what runs as the user of a slot is handed no descriptor")));
    }
    locate(command)?;
    exists(command)?;
    let pipe = || io::pipe().map_err(failed);
    let ((stdin, our_stdin), (our_stdout, stdout), (our_stderr, stderr)) = (pipe()?, pipe()?, pipe()?);
    let mut with = vec![stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    with.extend(broker.as_ref().map(AsFd::as_fd));
    let child = spawner::spawn(command, &with).map_err(failed)?;
    let pipes = Pipes {
        stdin: ChildStdin::from_std(OwnedFd::from(our_stdin).into()).map_err(failed)?,
        stdout: ChildStdout::from_std(OwnedFd::from(our_stdout).into()).map_err(failed)?,
        stderr: ChildStderr::from_std(OwnedFd::from(our_stderr).into()).map_err(failed)?,
    };
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let group = Group { id, user: Some(child.user()), watched: false };
    Ok((Child::Far(child), pipes, group))
}

/// Starts `command` as the leader of a session and process group of its own, without a terminal.
pub(crate) fn spawn(command: &Command, streams: Streams) -> Result<(tokio::process::Child, Group), ProcessError> {
    spawn_with(command, streams, None)
}

fn spawn_with(command: &Command, streams: Streams, broker: Option<OwnedFd>) -> Result<(tokio::process::Child, Group), ProcessError> {
    let start = || start(command, streams, true, broker);
    let child = match &command.sandbox {
        Some(_) => {
            let mark = command.env.get(OsStr::new(sandbox::MARK)).map(|mark| error::shown(mark)).unwrap_or_default();
            sandbox::registered(&mark, || start().map(|child| (child.id(), child)).map(|(id, child)| (child, id)))?
        }
        None => start()?,
    };
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok((child, Group { id, user: None, watched: false }))
}

/// Starts `command` in our own session and group, with our streams. It is killed when dropped.
pub(crate) fn spawn_attached(command: &Command) -> Result<tokio::process::Child, ProcessError> {
    let streams = Streams { stdin: Stdio::inherit(), stdout: Stdio::inherit(), stderr: Stdio::inherit() };
    start(command, streams, false, None)
}

fn start(command: &Command, streams: Streams, own_session: bool, broker: Option<OwnedFd>) -> Result<tokio::process::Child, ProcessError> {
    let mut limits = command.limits;
    // Between fork and exec a child has our memory. A child behind walls stays as closed as we are until it
    // is another program, and then we write its score ourselves.
    let score = command.sandbox.as_ref().and_then(|_| limits.oom_score_adj.take());
    if let Some(sandbox) = &command.sandbox
        && sandbox.slot.is_none()
    {
        // The kernel counts what the user runs already, which a sandbox has no part in.
        let user = command.user.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
        limits.processes = limits.processes.map(|most| most + sandbox::threads_of(user));
    }
    let child = prepared(command, streams, limits, own_session, broker)?;
    let mut child = tokio::process::Command::from(child);
    child.kill_on_drop(!own_session);
    let child = child.spawn().map_err(|source| ProcessError::Spawn { program: command.name(), source })?;
    if let (Some(score), Some(id)) = (score, child.id()) {
        // It may have ended already.
        std::fs::write(format!("/proc/{id}/oom_score_adj"), score.to_string()).ok();
    }
    Ok(child)
}

/// Starts `command` for another process, which we are the spawner of; the number of the process. We have no secret, so a child
/// may be as open as its user before it is another program.
pub(crate) fn start_for_another(command: &Command, streams: Streams, broker: Option<OwnedFd>) -> Result<u32, ProcessError> {
    let mut child = prepared(command, streams, command.limits, true, broker)?;
    Ok(child.spawn().map_err(|source| ProcessError::Spawn { program: command.name(), source })?.id())
}

/// A program with everything that it gets before it begins.
#[expect(clippy::disallowed_methods, reason = "`process` is the one crate that starts processes, and it does so here")]
fn prepared(
    command: &Command,
    streams: Streams,
    limits: crate::Limits,
    own_session: bool,
    broker: Option<OwnedFd>,
) -> Result<std::process::Command, ProcessError> {
    let mut child = std::process::Command::new(locate(command)?);
    child.arg0(&command.program).args(&command.args).env_clear().envs(&command.env);
    child.stdin(streams.stdin).stdout(streams.stdout).stderr(streams.stderr);
    exists(command)?;
    if let Some(directory) = &command.cwd {
        child.current_dir(directory);
    }
    let slot = command.sandbox.as_ref().and_then(|sandbox| sandbox.slot.as_ref()).map(|slot| (slot.uid(), slot.uid()));
    if let Some((uid, gid)) = slot.or(command.user) {
        child.uid(uid).gid(gid);
    }
    let failed = |source| ProcessError::Spawn { program: command.name(), source };
    let layers = command.sandbox.as_ref().map(|sandbox| Layers::prepare(sandbox, broker)).transpose().map_err(failed)?;
    before_exec(&mut child, limits, layers, command.handed.clone(), own_session);
    Ok(child)
}

/// That there is a folder to run it in.
fn exists(command: &Command) -> Result<(), ProcessError> {
    match &command.cwd {
        Some(directory) if !directory.is_dir() => Err(ProcessError::NoDirectory { program: command.name(), directory: directory.clone() }),
        _ => Ok(()),
    }
}

#[expect(unsafe_code, reason = "a session, limits and walls of its own can only be given between fork and exec")]
fn before_exec(
    child: &mut std::process::Command,
    limits: crate::Limits,
    mut layers: Option<Layers>,
    handed: Vec<Handed>,
    own_session: bool,
) {
    let prepare = move || {
        if own_session {
            rustix::process::setsid()?;
        }
        handed.iter().try_for_each(Handed::pass)?;
        limits.apply()?;
        layers.as_mut().map_or(Ok(()), Layers::apply)
    };
    // SAFETY: between fork and exec only system calls are allowed, since other threads may have held
    // locks when we forked. The closure makes system calls, and neither allocates nor locks.
    unsafe { child.pre_exec(prepare) };
}

/// Kills every process of the user `uid`, which we or our spawner hold.
pub(crate) fn end_user(uid: u32) -> io::Result<()> {
    if spawner::is_there() { spawner::kill(uid) } else { kill_user(uid) }
}

/// Kills every process of the user `uid`, all at once: the kernel lets none of them start another meanwhile.
#[expect(clippy::disallowed_methods, reason = "only a process of that user can ask the kernel for it")]
#[expect(unsafe_code, reason = "the signal is sent between fork and exec, and no exec follows")]
pub(crate) fn kill_user(uid: u32) -> io::Result<()> {
    let mut killer = std::process::Command::new("/nonexistent");
    killer.uid(uid).gid(uid).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let kill_all = move || {
        // As root it would end everything there is.
        if uid != 0 && rustix::process::geteuid().as_raw() == uid && rustix::process::getuid().as_raw() == uid {
            // The group -1 is everybody that we may signal, but for ourselves. There may be nobody.
            kill_process_group(Pid::INIT, Signal::KILL).ok();
        }
        Err(io::Error::from_raw_os_error(libc::ECANCELED))
    };
    // SAFETY: as above; the closure makes system calls only.
    unsafe { killer.pre_exec(kill_all) };
    match killer.spawn() {
        Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("a process that should only have sent a signal was started")),
    }
}

fn locate(command: &Command) -> Result<PathBuf, ProcessError> {
    let program = PathBuf::from(&command.program);
    let found = if command.program.as_encoded_bytes().contains(&b'/') {
        Some(program).filter(|program| program.is_relative() || program.exists())
    } else {
        find(&program, command.search_path())
    };
    found.ok_or_else(|| ProcessError::NotFound { program: command.name(), path: error::shown(command.search_path()) })
}
