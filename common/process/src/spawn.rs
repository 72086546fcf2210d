//! From a [`Command`] to a running process: the only place that starts one.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::command::{Command, find};
use crate::sandbox::{self, Layers};
use crate::{Handed, ProcessError, error, undertaker};

/// The process group of a child, killed when this value is dropped.
///
/// The kernel does not give a group's number to anybody else while a member lives. When the leader has
/// just been reaped and no other member is left, a signal finds nobody.
#[derive(Debug)]
pub(crate) struct Group {
    id: Option<Pid>,
    watched: bool,
}

impl Group {
    /// Has every member killed also when we are killed and can do nothing about it any more.
    pub(crate) fn watch(&mut self) {
        if let Some(group) = self.id {
            undertaker::watch(group);
            self.watched = true;
        }
    }

    /// Kills every member. Nothing is left to kill when they have ended already.
    pub(crate) fn kill(&mut self) {
        let Some(group) = self.id.take() else { return };
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

/// Starts `command` as the leader of a session and process group of its own, without a terminal.
pub(crate) fn spawn(command: &Command, streams: Streams) -> Result<(tokio::process::Child, Group), ProcessError> {
    let child = match &command.sandbox {
        Some(_) => {
            let mark = command.env.get(OsStr::new(sandbox::MARK)).map(|mark| error::shown(mark)).unwrap_or_default();
            sandbox::registered(&mark, || start(command, streams, true).map(|child| (child.id(), child)).map(|(id, child)| (child, id)))?
        }
        None => start(command, streams, true)?,
    };
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok((child, Group { id, watched: false }))
}

/// Starts `command` in our own session and group, with our streams. It is killed when dropped.
pub(crate) fn spawn_attached(command: &Command) -> Result<tokio::process::Child, ProcessError> {
    let streams = Streams { stdin: Stdio::inherit(), stdout: Stdio::inherit(), stderr: Stdio::inherit() };
    start(command, streams, false)
}

#[expect(clippy::disallowed_methods, reason = "`process` is the one crate that starts processes, and it does so here")]
fn start(command: &Command, streams: Streams, own_session: bool) -> Result<tokio::process::Child, ProcessError> {
    let mut child = tokio::process::Command::new(locate(command)?);
    child.arg0(&command.program).args(&command.args).env_clear().envs(&command.env);
    child.stdin(streams.stdin).stdout(streams.stdout).stderr(streams.stderr).kill_on_drop(!own_session);
    if let Some(directory) = &command.cwd {
        if !directory.is_dir() {
            return Err(ProcessError::NoDirectory { program: command.name(), directory: directory.clone() });
        }
        child.current_dir(directory);
    }
    let slot = command.sandbox.as_ref().and_then(|sandbox| sandbox.slot.as_ref()).map(|slot| (slot.uid(), slot.uid()));
    if let Some((uid, gid)) = slot.or(command.user) {
        child.uid(uid).gid(gid);
    }
    let failed = |source| ProcessError::Spawn { program: command.name(), source };
    let layers = command.sandbox.as_ref().map(Layers::prepare).transpose().map_err(failed)?;
    let mut limits = command.limits;
    // Between fork and exec a child has our memory. A child behind walls stays as closed as we are until it
    // is another program, and then we write its score ourselves.
    if layers.is_some() && slot.is_none() {
        // The kernel counts what the user runs already, which a sandbox has no part in.
        let user = command.user.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
        limits.processes = limits.processes.map(|most| most + sandbox::threads_of(user));
    }
    let score = layers.as_ref().and_then(|_| limits.oom_score_adj.take());
    before_exec(&mut child, limits, layers, command.handed.clone(), own_session);
    let child = child.spawn().map_err(failed)?;
    if let (Some(score), Some(id)) = (score, child.id()) {
        // It may have ended already.
        std::fs::write(format!("/proc/{id}/oom_score_adj"), score.to_string()).ok();
    }
    Ok(child)
}

#[expect(unsafe_code, reason = "a session, limits and walls of its own can only be given between fork and exec")]
fn before_exec(
    child: &mut tokio::process::Command,
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
