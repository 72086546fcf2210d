//! Which processes belong to a command, and their end.
//!
//! Where the slot has a user of its own these are the processes of that user. Else they are the descendants of
//! the command: this process is the subreaper, so what a daemon orphans comes to us, and what we did not start
//! and is behind our filters is a command's. Which one's it is says a mark in its environment; a process that
//! has hidden it belongs to whoever asks first.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpriority_user, kill_process, set_child_subreaper, waitpid};
use rustix::thread::Uid;
use tokio::time::Instant;

use super::Sandbox;
use super::usage::kib;
use crate::spawn::end_user;

/// The variable that tells whose an orphan is.
pub(crate) const MARK: &str = "CODETEAM_COMMAND";

/// How often the end of all is looked for, a millisecond apart.
const PATIENCE: u32 = 2000;

/// The commands that run now: the process that leads each, and its mark. Locked while one is started, so that
/// nobody takes a child for an orphan before it is written down.
static LIVE: Mutex<Option<HashMap<u32, String>>> = Mutex::new(None);

fn live() -> MutexGuard<'static, Option<HashMap<u32, String>>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child, which `start` tells the id of, as the leader of a command with this mark.
pub(crate) fn registered<T, E>(mark: &str, start: impl FnOnce() -> Result<(T, Option<u32>), E>) -> Result<T, E> {
    let mut live = live();
    let commands = live.get_or_insert_with(|| {
        if let Err(error) = set_child_subreaper(Some(rustix::process::getpid())) {
            tracing::warn!("daemons that tools leave behind may live on: {error}");
        }
        HashMap::new()
    });
    let (child, id) = start()?;
    commands.extend(id.map(|id| (id, mark.to_owned())));
    Ok(child)
}

/// All processes of one command. When it is dropped none of them is left.
#[derive(Debug)]
pub(crate) struct Run {
    mark: String,
    user: Option<u32>,
    leader: Option<u32>,
    ended: bool,
}

impl Run {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { mark, user: sandbox.slot.as_ref().map(super::Slot::uid), leader: None, ended: false }
    }

    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    pub(crate) fn led_by(&mut self, leader: Option<u32>) {
        self.leader = leader;
    }

    /// Who is asked about how much memory is used.
    pub(crate) fn members(&self) -> Members {
        Members { mark: self.mark.clone(), user: self.user, leader: self.leader }
    }

    /// Kills what is left. Blocks for as long as the kernel takes to end it, which is moments.
    pub(crate) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let members = self.members();
        for _ in 0..PATIENCE {
            if members.are_gone() {
                break;
            }
            members.kill();
            std::thread::sleep(Duration::from_millis(1));
        }
        if let (Some(commands), Some(leader)) = (live().as_mut(), self.leader) {
            commands.remove(&leader);
        }
    }

    /// Whether nothing is left, found out without waiting.
    pub(crate) fn is_over(&mut self) -> bool {
        if self.members().are_gone() {
            self.end();
        }
        self.ended
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

/// The processes of one command.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    mark: String,
    user: Option<u32>,
    leader: Option<u32>,
}

impl Members {
    /// The memory of all of them: private, shared and swapped out.
    pub(super) fn memory_bytes(&self) -> u64 {
        let processes = processes();
        let mut roots: Vec<u32> = match self.user {
            Some(user) => return processes.iter().filter(|process| process.uid == user).map(|process| process.memory_bytes).sum(),
            None => self.orphans().into_iter().chain(self.leader).collect(),
        };
        let mut bytes = 0;
        while let Some(parent) = roots.pop() {
            bytes += processes.iter().filter(|process| process.id == parent).map(|process| process.memory_bytes).sum::<u64>();
            roots.extend(processes.iter().filter(|process| process.parent == parent).map(|process| process.id));
        }
        bytes
    }

    fn are_gone(&self) -> bool {
        match self.user {
            Some(user) => getpriority_user(Uid::from_raw(user)) == Err(rustix::io::Errno::SRCH),
            None => self.orphans().is_empty(),
        }
    }

    fn kill(&self) {
        if let Some(user) = self.user
            && let Err(error) = end_user(user)
        {
            tracing::warn!("cannot end what the user {user} runs: {error}");
        }
        for orphan in self.orphans().into_iter().filter_map(pid) {
            // A child of ours keeps its number until we have reaped it, so this hits nobody else.
            kill_process(orphan, Signal::KILL).ok();
            waitpid(Some(orphan), WaitOptions::NOHANG).ok();
        }
    }

    /// Children of ours that are a command's and that no command is led by: this command's, or nobody's.
    fn orphans(&self) -> Vec<u32> {
        let live = live();
        let commands = live.as_ref();
        let is_leader = |child: &u32| commands.is_some_and(|commands| commands.contains_key(child));
        let is_ours = |child: &u32| match self.user {
            Some(user) => process(*child).is_some_and(|process| process.uid == user),
            None => {
                let filtered = process(*child).is_some_and(|process| process.filters > own_filters());
                filtered && !self.belongs_to_another(*child, commands)
            }
        };
        children().unwrap_or_default().into_iter().filter(|child| !is_leader(child) && is_ours(child)).collect()
    }

    fn belongs_to_another(&self, child: u32, commands: Option<&HashMap<u32, String>>) -> bool {
        let Ok(environment) = fs::read(format!("/proc/{child}/environ")) else { return false };
        let mark = environment.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"CODETEAM_COMMAND=".as_slice()));
        let alive = |mark: &[u8]| commands.is_some_and(|commands| commands.values().any(|live| live.as_bytes() == mark));
        mark.is_some_and(|mark| mark != self.mark.as_bytes() && alive(mark))
    }
}

/// A process as the kernel shows it.
struct Process {
    id: u32,
    parent: u32,
    uid: u32,
    threads: u64,
    filters: u32,
    memory_bytes: u64,
}

fn process(id: u32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let number = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u32>().ok());
    let memory_bytes = ["RssAnon:", "RssShmem:", "VmSwap:"].iter().filter_map(|name| kib(&status, name)).sum();
    let threads = number("Threads:").unwrap_or(1).into();
    let filters = number("Seccomp_filters:").unwrap_or(0);
    Some(Process { id, parent: number("PPid:")?, uid: number("Uid:")?, threads, filters, memory_bytes })
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// How many processes and threads `user` has, as the kernel counts them for its limit; at most five seconds old.
pub(crate) fn threads_of(user: u32) -> u64 {
    static COUNTED: Mutex<Option<(u32, Instant, u64)>> = Mutex::new(None);
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    match *counted {
        Some((known, at, count)) if known == user && at.elapsed() < Duration::from_secs(5) => count,
        _ => {
            let count = processes().iter().filter(|process| process.uid == user).map(|process| process.threads).sum();
            *counted = Some((user, Instant::now(), count));
            count
        }
    }
}

/// How many filters we are behind ourselves: a container's are inherited by everything.
fn own_filters() -> u32 {
    process(std::process::id()).map_or(0, |process| process.filters)
}

/// Our children, whichever thread started them.
fn children() -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(thread?.path().join("children")) {
            Ok(text) => children.extend(text.split_whitespace().filter_map(|id| id.parse::<u32>().ok())),
            // The thread has ended, or this kernel has no such file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}
