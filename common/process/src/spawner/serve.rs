//! The spawner's own side.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::process::{Pid, PidfdFlags, WaitOptions, getpriority_user, pidfd_open, set_child_subreaper, setsid, wait};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::wire::{Request, Writer};
use super::{Work, channel, files};
use crate::sandbox::{Slot, SlotError, Slots, is_slot, protect_this_process};
use crate::spawn::{Streams, kill_user, start_for_another};

/// What is kept of root.
const KEPT: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::KILL).union(CapabilitySet::CHOWN);

/// How often the end of everything is looked for, a millisecond apart.
const PATIENCE: u32 = 2000;

/// Serves until nobody can ask any more.
pub(super) fn serve(work: Work, owner: Option<u32>) -> ! {
    let ended = owner.ok_or_else(|| io::Error::other("it was not told for whom")).and_then(|owner| {
        give_up()?;
        Spawner { work, owner, slots: Slots::default(), held: HashMap::new(), running: HashMap::new() }.run(&io::stdin())
    });
    if let Err(error) = &ended {
        complain(&format!("the spawner of sandboxed commands ends: {error}"));
    }
    std::process::exit(i32::from(ended.is_err()))
}

/// Keeps what a spawner needs and nothing else, for itself and for whatever it starts.
fn give_up() -> io::Result<()> {
    protect_this_process();
    // What a terminal sends its programs is not meant for us: we end when the one that we work for does.
    setsid()?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    for capability in CapabilitySet::all() & !KEPT {
        match remove_capability_from_bounding_set(capability) {
            // This kernel does not have it.
            Err(rustix::io::Errno::INVAL) => {}
            other => other?,
        }
    }
    set_capabilities(None, CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: CapabilitySet::empty() })?;
    Ok(set_no_new_privs(true)?)
}

fn complain(message: &str) {
    use std::io::Write;
    // Its log is the standard error of the process that it works for, which may be gone.
    writeln!(io::stderr(), "codeteam: {message}").ok();
}

struct Spawner {
    work: Work,
    /// The user of the process that we work for.
    owner: u32,
    slots: Slots,
    held: HashMap<u32, Slot>,
    running: HashMap<Pid, Running>,
}

/// A child of ours.
struct Running {
    handle: OwnedFd,
    /// Who waits for its end.
    waits: Option<UnixStream>,
}

impl Spawner {
    fn run(&mut self, socket: &impl AsFd) -> io::Result<()> {
        loop {
            let mut all: Vec<PollFd<'_>> = vec![PollFd::new(socket, PollFlags::IN)];
            all.extend(self.running.values().map(|running| PollFd::new(&running.handle, PollFlags::IN)));
            match poll(&mut all, None) {
                Err(rustix::io::Errno::INTR) => {}
                other => drop(other?),
            }
            let asked = !all[0].revents().is_empty();
            self.reap();
            if asked {
                // A request that cannot be read is the end as well: nobody else has this socket.
                match channel::next(socket.as_fd()) {
                    Ok(Some(arrived)) => self.handle(arrived),
                    Ok(None) => break,
                    Err(error) => complain(&format!("a request of the spawner is not understood: {error}")),
                }
            }
        }
        self.end();
        Ok(())
    }

    fn handle(&mut self, arrived: channel::Arrived) {
        let channel::Arrived { text, mut answers, with } = arrived;
        let answer = match Request::decode(&text) {
            Err(error) => Err(error),
            Ok(Request::Hello) => Ok(Vec::new()),
            Ok(Request::Another) => match one(with) {
                Ok(socket) => return self.serve_beside(answers, socket),
                Err(error) => Err(error),
            },
            Ok(Request::Take) => self.slots.take().map_err(told).map(|slot| self.hold(slot)),
            Ok(Request::TakeThis(user)) => match is_slot(user).then(|| self.slots.try_take(user)) {
                Some(Ok(Some(slot))) => Ok(self.hold(slot)),
                Some(Err(error)) => Err(told(error)),
                _ => Err(io::Error::from_raw_os_error(libc::EBUSY)),
            },
            Ok(Request::Release(user)) => {
                if self.held.contains_key(&user) {
                    self.kill(user).unwrap_or_else(|error| complain(&format!("what the user {user} runs may live on: {error}")));
                    self.held.remove(&user);
                }
                return;
            }
            Ok(Request::Kill(user)) => self.must_hold(user).and_then(|()| self.kill(user)).map(|()| Vec::new()),
            Ok(Request::Spawn(command)) => match self.spawn(&command, with) {
                Ok(id) => {
                    channel::answer(&mut answers, &Ok(number(id.as_raw_nonzero().get().unsigned_abs().into())));
                    return self.waits_for(id, answers);
                }
                Err(error) => Err(error),
            },
            Ok(Request::Give(user)) => match self.must_hold(user).and_then(|()| one(with)) {
                Ok(folder) => {
                    let owner = self.owner;
                    let give = move || {
                        become_giver(owner)?;
                        files::give(folder.as_fd(), owner, user).map(|()| Vec::new())
                    };
                    return self.fork(answers, give);
                }
                Err(error) => Err(error),
            },
            Ok(Request::Act { user, work, input }) => {
                let known = if is_slot(user) { Ok(()) } else { Err(io::Error::other(format!("user {user} is no slot's"))) };
                match known {
                    Ok(()) => {
                        let (work, input, does) = (work.to_owned(), input.to_vec(), self.work);
                        let act = move || {
                            become_slot(user)?;
                            perform(does, &work, &input, with)
                        };
                        return self.fork(answers, act);
                    }
                    Err(error) => Err(error),
                }
            }
        };
        channel::answer(&mut answers, &answer);
    }

    fn hold(&mut self, slot: Slot) -> Vec<u8> {
        let user = slot.uid();
        self.held.insert(user, slot);
        number(user.into())
    }

    fn must_hold(&self, user: u32) -> io::Result<()> {
        match self.held.contains_key(&user) {
            true => Ok(()),
            false => Err(io::Error::other(format!("the user {user} of the sandbox is not held"))),
        }
    }

    fn spawn(&self, command: &crate::Command, with: Vec<OwnedFd>) -> io::Result<Pid> {
        let user = command.sandbox.as_ref().and_then(|sandbox| sandbox.slot()).map_or(0, Slot::uid);
        self.must_hold(user)?;
        let mut with = with.into_iter();
        let mut stream = || with.next().map(Stdio::from).ok_or_else(|| io::Error::other("a command came without its streams"));
        let streams = Streams { stdin: stream()?, stdout: stream()?, stderr: stream()? };
        let id = start_for_another(command, streams, with.next()).map_err(|error| match error {
            crate::ProcessError::Spawn { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Pid::from_raw(id.cast_signed()).ok_or_else(|| io::Error::other("a process without a number"))
    }

    fn waits_for(&mut self, id: Pid, waits: UnixStream) {
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(handle) => drop(self.running.insert(id, Running { handle, waits: Some(waits) })),
            Err(error) => complain(&format!("the end of a process will not be noticed: {error}")),
        }
    }

    /// Does something in a child, which answers.
    fn fork(&mut self, mut answers: UnixStream, work: impl FnOnce() -> io::Result<Vec<u8>>) {
        match fork(None) {
            Err(error) => channel::answer(&mut answers, &Err(error)),
            Ok(None) => {
                // It does one thing for one user, and has no business with the others.
                self.held.clear();
                self.running.clear();
                channel::answer(&mut answers, &work());
                std::process::exit(0);
            }
            Ok(Some(id)) => {
                if let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) {
                    self.running.insert(id, Running { handle, waits: None });
                }
            }
        }
    }

    /// Starts a spawner beside us: what it holds and runs is its own, and it ends with the process that has the other end of
    /// `socket`.
    fn serve_beside(&mut self, mut answers: UnixStream, socket: OwnedFd) {
        match fork(Some(socket.as_fd())) {
            Err(error) => channel::answer(&mut answers, &Err(error)),
            Ok(None) => {
                self.held.clear();
                self.running.clear();
                // It is our standard input now, and nothing that we fork may have another way to it.
                drop(socket);
                // What a command leaves behind comes to whoever started the command.
                let ready = set_child_subreaper(Some(rustix::process::getpid())).map(|()| Vec::new()).map_err(io::Error::from);
                channel::answer(&mut answers, &ready);
                drop(answers);
                let ended = ready.and_then(|_| self.run(&io::stdin()));
                if let Err(error) = &ended {
                    complain(&format!("a spawner of sandboxed commands ends: {error}"));
                }
                std::process::exit(i32::from(ended.is_err()));
            }
            Ok(Some(id)) => {
                if let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) {
                    self.running.insert(id, Running { handle, waits: None });
                }
            }
        }
    }

    /// Kills everything that a user runs that we hold, and buries it.
    fn kill(&mut self, user: u32) -> io::Result<()> {
        kill_user(user)?;
        self.reap();
        Ok(())
    }

    fn reap(&mut self) {
        while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
            if let Some(Running { waits: Some(mut waits), .. }) = self.running.remove(&id) {
                channel::answer(&mut waits, &Ok(status.as_raw().to_le_bytes().to_vec()));
            }
        }
    }

    /// Nobody needs what still runs.
    fn end(&mut self) {
        let users: Vec<u32> = self.held.keys().copied().collect();
        for _ in 0..PATIENCE {
            let alive: Vec<u32> = users.iter().copied().filter(|user| getpriority_user(Uid::from_raw(*user)).is_ok()).collect();
            if alive.is_empty() {
                return;
            }
            for user in alive {
                self.kill(user).unwrap_or_else(|error| complain(&format!("what the user {user} runs may live on: {error}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn told(error: SlotError) -> io::Error {
    match error {
        SlotError::Full => io::Error::from_raw_os_error(libc::EBUSY),
        other => io::Error::other(other),
    }
}

fn number(number: u64) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(number);
    out.0
}

fn one(with: Vec<OwnedFd>) -> io::Result<OwnedFd> {
    with.into_iter().next().ok_or_else(|| io::Error::other("no folder came with the request"))
}

/// In a child that is the user of a slot.
fn perform(does: Work, work: &str, input: &[u8], with: Vec<OwnedFd>) -> io::Result<Vec<u8>> {
    // A descriptor that was opened by another may only tell where the folder is.
    let folder = || one(with).and_then(|folder| reopened(folder.as_fd()));
    match work {
        "clear" => files::clear(folder()?.as_fd()).map(|()| Vec::new()),
        "open up" => files::open_up(folder()?.as_fd()).map(|()| Vec::new()),
        "disk" => files::disk(folder()?.as_fd(), &mut HashSet::new()).map(number),
        _ => does(work, input).map_err(io::Error::other),
    }
}

/// The same folder, opened by us; where it is closed to us, its owner, it is opened to us first.
fn reopened(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use rustix::fs::OFlags;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&folder));
    let open = || rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    match open() {
        Err(rustix::io::Errno::ACCESS) => {
            rustix::fs::chmod(&path, Mode::from_raw_mode(0o700))?;
            Ok(open()?)
        }
        opened => Ok(opened?),
    }
}

/// Becomes the user of a slot, for ever.
fn become_slot(user: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

/// Becomes the user that we work for, and keeps of all rights the one to give its files away.
fn become_giver(owner: u32) -> io::Result<()> {
    let uid = Uid::from_raw(owner);
    set_keep_capabilities(true)?;
    set_thread_groups(&[])?;
    set_thread_res_uid(uid, uid, uid)?;
    let only = CapabilitySet::CHOWN;
    Ok(set_capabilities(None, CapabilitySets { effective: only, permitted: only, inheritable: CapabilitySet::empty() })?)
}

/// Two of us from now on: `None` in the child, whose standard input is `stdin`, or nothing.
#[expect(unsafe_code, reason = "a child that is another user and the same program, without secrets, is made in no other way")]
fn fork(stdin: Option<BorrowedFd<'_>>) -> io::Result<Option<Pid>> {
    // SAFETY: the spawner has one thread, so the child has all of it, and nothing is locked by a thread that is not there.
    let made = unsafe { libc::fork() };
    match made {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: standard input is the socket on which we are asked; a child that has read what a job wrote must not have it.
            // Nobody owns the descriptor 0.
            let changed = unsafe {
                match stdin {
                    None => libc::close(0),
                    Some(socket) => libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&socket), 0),
                }
            };
            if changed == -1 {
                // Better no child than one with our socket.
                std::process::exit(1);
            }
            Ok(None)
        }
        id => Ok(Pid::from_raw(id)),
    }
}
