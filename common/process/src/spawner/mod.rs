//! The process that starts sandboxed commands, and may become the users of the slots, for one that has given that right up.
//!
//! When a program of ours starts as root, its first act is [`begin`]: it starts the spawner, the same program with an empty
//! environment, and then becomes a user without rights, before it loads a secret. The spawner keeps SETUID, SETGID, KILL and
//! CHOWN of root's capabilities. It holds no secret, reads no file that a job can write, and does what it is asked for over a
//! socket of its own: take a user, give it a folder, start a command as that user, kill all that it runs, do a [`Work`] as that
//! user. Descriptors for streams travel with the request.
//!
//! Commands are children of the spawner, and so are the daemons that they leave. When the process that it works for ends, be
//! it by SIGKILL, the spawner sees the end of its socket, kills everything that the users it holds run, and ends.
//!
//! CHOWN is there for one thing: to give a fresh checkout to its user. It is used in a child that has become the user of the
//! process that asks, on what belongs to that user, beneath a descriptor that this process has opened.

mod channel;
mod child;
mod files;
mod serve;
mod wire;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::geteuid;
use rustix::thread::{Gid, Uid, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokio::io::AsyncReadExt;

pub(crate) use channel::{receive, send};
pub(crate) use child::Far;

use crate::Command;
use crate::sandbox::{self, SlotError, protect_this_process};
use wire::Request;

/// What can be done as the user of a slot beside commands: its name, and what it is told; its result, or why there is none. It
/// runs in a process of its own that has begun with the spawner's memory.
pub type Work = fn(work: &str, input: &[u8]) -> Result<Vec<u8>, String>;

/// The name that the spawner runs under.
pub const NAME: &str = "codeteam-spawner";
/// The variable that tells a process of ours that its standard input leads to a spawner: see [`adopt`].
pub const INHERITED: &str = "CODETEAM_SPAWNER";

static SOCKET: OnceLock<OwnedFd> = OnceLock::new();
static ROOT_GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Whom a process becomes that was started as root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Is the spawner, where this process was started as one, and then does not return. The first thing that `main` does.
pub fn serve_if_asked(work: Work) {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) {
        let owner = arguments.next().and_then(|owner| owner.to_str()?.parse().ok());
        serve::serve(work, owner);
    }
}

/// Starts the spawner, and becomes `user`, if one is named. To be called before there is another thread and before a secret is
/// loaded. Does nothing and says `false` in a process that has not what it takes to become other users: that is not root's.
///
/// # Errors
/// When root could not be given up, or no spawner started: then the program must not go on.
pub fn begin(user: Option<User>) -> io::Result<bool> {
    if !sandbox::may_become_others() {
        return Ok(false);
    }
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    start(theirs, user.map_or_else(|| geteuid().as_raw(), |user| user.uid))?;
    channel::wait(&mut channel::ask(ours.as_fd(), &Request::Hello.encode(), &[])?)?;
    if let Some(user) = user {
        become_user(user)?;
    }
    SOCKET.set(ours).map_err(|_| io::Error::other("there is a spawner already"))?;
    Ok(true)
}

/// Takes over the spawner that another process of ours has had started for this one, and whose socket is the standard input. The
/// user is then the one that the other process has become.
///
/// # Errors
/// When nobody answers there.
pub fn adopt() -> io::Result<()> {
    let ours = io::stdin().as_fd().try_clone_to_owned()?;
    channel::wait(&mut channel::ask(ours.as_fd(), &Request::Hello.encode(), &[])?)?;
    ROOT_GIVEN_UP.store(true, Ordering::Relaxed);
    SOCKET.set(ours).map_err(|_| io::Error::other("there is a spawner already"))
}

/// The socket of a spawner for another process of ours, which can start none itself since we have given root up; `None` = it can,
/// or there are no users to start commands as.
pub(crate) fn for_another() -> Option<io::Result<OwnedFd>> {
    (root_is_given_up() && is_there()).then(|| {
        let (theirs, its) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        ask(&Request::Another, &[its.as_fd()])?;
        Ok(theirs)
    })
}

/// Whether this process was started as root and is an ordinary user's now.
pub fn root_is_given_up() -> bool {
    ROOT_GIVEN_UP.load(Ordering::Relaxed)
}

/// Waits until the spawner of this process has ended, which happens only to one that was killed; for ever where there is none.
pub async fn ended() {
    // It never says anything here, so that there is something to read only at the end.
    let watched = socket().and_then(|socket| sandbox::watched(socket.try_clone_to_owned()?));
    match watched {
        Ok(socket) => drop(socket.readable().await),
        Err(_) => std::future::pending().await,
    }
}

/// Whether there is a spawner that works for this process.
pub(crate) fn is_there() -> bool {
    SOCKET.get().is_some()
}

#[expect(clippy::disallowed_methods, reason = "`process` is the one crate that starts processes; this is the one that starts the others")]
fn start(socket: OwnedFd, owner: u32) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    // A copy of this program that remembers nothing: not even the environment that we were started with.
    let mut spawner = std::process::Command::new("/proc/self/exe");
    spawner.arg0(NAME).arg(owner.to_string()).env_clear().current_dir("/").stdin(Stdio::from(socket)).stdout(Stdio::null());
    // It ends when we do, and is init's then.
    drop(spawner.spawn()?);
    Ok(())
}

/// Becomes `user`, for ever. The groups of the slots are kept: what is theirs is read by them.
fn become_user(user: User) -> io::Result<()> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("root can only be given up before there is a second thread"));
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if uid.is_root() || sandbox::is_slot(user.uid) {
        return Err(io::Error::other(format!("user {} is root's or a slot's: name another", user.uid)));
    }
    set_thread_groups(&sandbox::groups())?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_no_new_privs(true)?;
    // The kernel decides anew when the user changes.
    protect_this_process();
    ROOT_GIVEN_UP.store(true, Ordering::Relaxed);
    Ok(())
}

fn socket() -> io::Result<BorrowedFd<'static>> {
    SOCKET.get().map(AsFd::as_fd).ok_or_else(|| io::Error::other("there is no spawner"))
}

/// Asks, and waits for the answer.
fn ask(request: &Request<'_>, with: &[BorrowedFd<'_>]) -> io::Result<Vec<u8>> {
    channel::wait(&mut channel::ask(socket()?, &request.encode(), with)?)
}

/// A free user, or this one; `None` inside = it is not free. `None` where there is no spawner.
pub(crate) fn take(user: Option<u32>) -> Option<Result<Option<u32>, SlotError>> {
    is_there().then(|| match ask(&user.map_or(Request::Take, Request::TakeThis), &[]) {
        Ok(taken) => wire::Reader(&taken).number().map(|user| u32::try_from(user).ok()).map_err(SlotError::Spawner),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(None),
        Err(error) => Err(SlotError::Spawner(error)),
    })
}

pub(crate) fn release(user: u32) {
    let told = socket().and_then(|socket| channel::ask(socket, &Request::Release(user).encode(), &[]));
    if let Err(error) = told {
        tracing::warn!("the user {user} of the sandbox stays taken until this process ends: {error}");
    }
}

/// Gives a folder of ours, and all that is in it, to a user that we hold.
pub(crate) fn give(user: u32, folder: &Path) -> io::Result<()> {
    ask(&Request::Give(user), &[open(folder)?.as_fd()]).map(drop)
}

/// Kills everything that a user runs that we hold.
pub(crate) fn kill(user: u32) -> io::Result<()> {
    ask(&Request::Kill(user), &[]).map(drop)
}

/// Does what `files` names with a folder, as `user`. It is opened by us, and what is done with what is in it is done by the user.
pub(crate) fn tend(user: u32, what: &str, folder: &Path) -> io::Result<Vec<u8>> {
    ask(&Request::Act { user, work: what, input: &[] }, &[open(folder)?.as_fd()])
}

/// What `folders` of `user` hold together; `None` when it cannot be found out.
pub(crate) fn disk_bytes(user: u32, folders: &[PathBuf]) -> Option<u64> {
    let each = folders.iter().map(|folder| wire::Reader(&tend(user, "disk", folder)?).number());
    let bytes: io::Result<u64> = each.sum();
    bytes.inspect_err(|error| tracing::warn!("what the user {user} has on the disk cannot be told: {error}")).ok()
}

/// Starts a command as the user of its slot.
pub(crate) fn spawn(command: &Command, with: &[BorrowedFd<'_>]) -> io::Result<Far> {
    let user = command.sandbox.as_ref().and_then(|sandbox| sandbox.slot()).map_or(0, sandbox::Slot::uid);
    let mut answers = channel::ask(socket()?, &Request::Spawn(Box::new(command.clone())).encode(), with)?;
    let id = channel::wait(&mut answers)?;
    Far::new(wire::Reader(&id).number()? as u32, user, answers)
}

/// Has a [`Work`] done as `user`.
pub(crate) async fn act(user: u32, work: &str, input: &[u8]) -> io::Result<Vec<u8>> {
    let answers = channel::ask(socket()?, &Request::Act { user, work, input }.encode(), &[])?;
    answers.set_nonblocking(true)?;
    let mut answers = tokio::net::UnixStream::from_std(answers)?;
    let mut bytes = [0; channel::HEAD];
    answers.read_exact(&mut bytes).await.map_err(channel::gone)?;
    let (kind, length) = channel::head(bytes);
    let mut text = vec![0; length];
    answers.read_exact(&mut text).await.map_err(channel::gone)?;
    channel::meaning(kind, text)
}

fn open(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::empty()) {
        // Its user has closed it to us; the user itself can still get in.
        Err(rustix::io::Errno::ACCESS) => Ok(rustix::fs::open(folder, flags & !OFlags::RDONLY | OFlags::PATH, Mode::empty())?),
        folder => Ok(folder?),
    }
}
