//! seccomp's notifications: a call waits until we answer it.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const LOAD_CALL: libc::sock_filter = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
const ALLOW: libc::sock_filter = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
const NOTIFY: libc::sock_filter = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_USER_NOTIF };

/// Skips the next instruction unless the call is `number`.
const fn unless(number: i64) -> libc::sock_filter {
    libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: number as u32 }
}

/// `socket` and `connect` are told to us.
const BOTH: &[libc::sock_filter] = &[LOAD_CALL, unless(libc::SYS_socket), NOTIFY, unless(libc::SYS_connect), NOTIFY, ALLOW];
/// `socket` is.
const SOCKET: &[libc::sock_filter] = &[LOAD_CALL, unless(libc::SYS_socket), NOTIFY, ALLOW];

/// Has the calling thread, and whatever it starts, wait for the listener's answers: for `socket`, and for `connect` as well where
/// `connects`. The listener is told.
///
/// Called between fork and exec: it makes system calls only. What kind of machine a call is for is looked at by the other filters.
#[expect(unsafe_code, reason = "the filter library has no notifications")]
pub(crate) fn install(connects: bool) -> io::Result<OwnedFd> {
    let filter = if connects { BOTH } else { SOCKET };
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // With it a call that we have begun to answer is not begun again because of a signal; Linux 5.19.
    for flags in [listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, listener] {
        // SAFETY: the program lives as long as the call, which copies it and writes nothing.
        let made = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
        match i32::try_from(made) {
            // SAFETY: the kernel made this descriptor for us just now.
            Ok(made) if made >= 0 => return Ok(unsafe { OwnedFd::from_raw_fd(made) }),
            _ => {}
        }
    }
    Err(io::Error::last_os_error())
}

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    id: u64,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// Whether a call waits; an error when nobody can call any more.
pub(super) fn waits(listener: BorrowedFd<'_>, most: Duration) -> io::Result<bool> {
    let mut all = [PollFd::new(&listener, PollFlags::IN)];
    let most = Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
    poll(&mut all, Some(&most))?;
    let found = all[0].revents();
    match found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        true => Err(io::ErrorKind::BrokenPipe.into()),
        false => Ok(found.contains(PollFlags::IN)),
    }
}

/// The call that waits; `None` when it does not any more. Only after [`waits`]: else it would wait for one.
#[expect(unsafe_code, reason = "no library has these requests")]
pub(super) fn next(listener: BorrowedFd<'_>) -> io::Result<Option<Call>> {
    // SAFETY: all zero is a value of this plain record, and the kernel wants it so.
    let mut told: libc::seccomp_notif = unsafe { mem::zeroed() };
    // SAFETY: the kernel fills in the record, which is of the size that the request's number says.
    match unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut told) } {
        0 => Ok(Some(Call { id: told.id, number: told.data.nr.into(), arguments: told.data.args })),
        _ => match io::Error::last_os_error() {
            error if [libc::ENOENT, libc::EINTR].map(Some).contains(&error.raw_os_error()) => Ok(None),
            error => Err(error),
        },
    }
}

/// Lets the call end with this result, or with an error's number.
pub(super) fn answer(listener: BorrowedFd<'_>, call: Call, result: Result<i64, i32>) -> io::Result<()> {
    let (val, error) = match result {
        Ok(value) => (value, 0),
        Err(errno) => (0, -errno),
    };
    let mut answer = libc::seccomp_notif_resp { id: call.id, val, error, flags: 0 };
    ask(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answer).map(drop)
}

/// Puts a copy of `descriptor` among those of the caller, and lets its call end with the number.
///
/// In two requests, though the kernel has one for both: when a signal comes to us in the middle of that one, the call ends
/// with 0 and without a descriptor.
pub(super) fn hand_over(listener: BorrowedFd<'_>, call: Call, descriptor: BorrowedFd<'_>, close_on_exec: bool) -> io::Result<()> {
    let mut given = libc::seccomp_notif_addfd {
        id: call.id,
        flags: 0,
        srcfd: descriptor.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
    };
    match ask(listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut given)? {
        Some(made) => answer(listener, call, Ok(made.into())),
        None => Ok(()),
    }
}

/// Makes a request of the kernel until no signal is in its way; `None` where the call does not wait any more, since its caller
/// has died.
#[expect(unsafe_code, reason = "no library has these requests")]
fn ask<T>(listener: BorrowedFd<'_>, request: libc::Ioctl, record: &mut T) -> io::Result<Option<libc::c_int>> {
    loop {
        // SAFETY: the kernel reads the record, which is the one of this request and of the size that its number says.
        let answer = unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut *record) };
        if answer >= 0 {
            return Ok(Some(answer));
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            error if error.raw_os_error() == Some(libc::EINTR) => {}
            error => return Err(error),
        }
    }
}

/// Whether a thread's sockets can be ours here, found by trying.
pub(crate) fn works() -> bool {
    const MOST: Duration = Duration::from_secs(5);
    let (tell, told) = std::sync::mpsc::channel();
    let attempt = move || {
        if rustix::thread::set_no_new_privs(true).is_err() {
            return false;
        }
        let Ok(listener) = install(false) else { return false };
        if tell.send(listener).is_err() {
            return false;
        }
        // The one that is made for us is of another family.
        let made = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        made.is_ok_and(|made| rustix::net::sockopt::socket_domain(made).is_ok_and(|family| family == AddressFamily::UNIX))
    };
    let Ok(thread) = std::thread::Builder::new().name("probe".to_owned()).spawn(attempt) else { return false };
    let answered = told.recv_timeout(MOST).is_ok_and(|listener| {
        let answered = || -> io::Result<()> {
            let (ours, _other) = std::os::unix::net::UnixStream::pair()?;
            waits(listener.as_fd(), MOST)?;
            let call = next(listener.as_fd())?.ok_or(io::ErrorKind::NotFound)?;
            hand_over(listener.as_fd(), call, ours.as_fd(), true)
        };
        // Where it was not answered, the end of the listener ends the call.
        answered().is_ok()
    });
    thread.join().unwrap_or(false) && answered
}
