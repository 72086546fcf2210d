//! Loopback for one command: sockets that cannot leave the device, and ports of its own.

use std::ffi::c_void;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};

/// How many ports one command has, for its listeners and for the near ends of its connections.
pub(crate) const PORTS: u16 = 256;
/// What the system chooses from by itself: only among these can a socket's choice be narrowed.
const CHOSEN_FROM: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Linux 6.3.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

/// Ports that no other command on this machine has while this lives.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) first: u16,
    // The kernel gives its name back when we die.
    _lock: UnixListener,
}

impl Ports {
    /// Ports that nobody listens on.
    pub(super) fn reserve() -> io::Result<Self> {
        let taken = listened_on()?;
        let (lowest, highest) = chosen_from()?;
        let ranges = (u32::from(highest) + 1 - u32::from(lowest)) / u32::from(PORTS);
        let start = std::process::id() % ranges.max(1);
        for offset in 0..ranges {
            let range = (start + offset) % ranges;
            let first = lowest + (range as u16) * PORTS;
            let name = SocketAddr::from_abstract_name(format!("codeteam-ports-{first}"))?;
            let Ok(lock) = UnixListener::bind_addr(&name) else { continue };
            if !taken.iter().any(|port| (first..=first + (PORTS - 1)).contains(port)) {
                return Ok(Self { first, _lock: lock });
            }
        }
        Err(io::Error::other(format!("no {PORTS} ports for a command's own listeners are free on this machine ({lowest} to {highest})")))
    }

    /// A stream that reaches no other device than loopback, and listens on one of these ports where it names none.
    pub(super) fn socket(&self, family: AddressFamily, flags: SocketFlags) -> io::Result<OwnedFd> {
        let socket = socket_with(family, SocketType::STREAM, flags | SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
        set(&socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, *b"lo\0")?;
        let range = u32::from(self.first) | u32::from(self.first + (PORTS - 1)) << 16;
        set(&socket, libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, range)?;
        Ok(socket)
    }
}

#[expect(unsafe_code, reason = "no library has these options")]
fn set<T>(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: T) -> io::Result<()> {
    let length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads as many bytes of the value as it has.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast::<c_void>(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The lowest and the highest port that the system chooses by itself.
fn chosen_from() -> io::Result<(u16, u16)> {
    let text = fs::read_to_string(CHOSEN_FROM)?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(lowest)), Some(Ok(highest))) if lowest <= highest => Ok((lowest, highest)),
        _ => Err(io::Error::other(format!("{CHOSEN_FROM} is {text:?}: expected two ports"))),
    }
}

/// The ports of this machine that somebody listens on.
fn listened_on() -> io::Result<Vec<u16>> {
    let mut ports = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(table) {
            // A machine without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            text => ports.extend(text?.lines().filter_map(listener)),
        }
    }
    Ok(ports)
}

/// The port of a line of that table, if it is a listener's.
fn listener(line: &str) -> Option<u16> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, port) = fields.next()?.rsplit_once(':')?;
    (fields.nth(1)? == "0A").then(|| u16::from_str_radix(port, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_commands_have_no_port_in_common_and_one_that_is_listened_on_belongs_to_none() {
        let one = Ports::reserve().unwrap();
        let other = Ports::reserve().unwrap();
        assert!(one.first.abs_diff(other.first) >= PORTS);
        let _listener = std::net::TcpListener::bind(("127.0.0.1", one.first)).unwrap();
        assert!(listened_on().unwrap().contains(&one.first));
        let first = one.first;
        drop(one);
        let again: Vec<Ports> = (0..3).map(|_| Ports::reserve().unwrap()).collect();
        assert!(again.iter().all(|ports| ports.first != first));
    }
}
