//! Makes the sockets of one command.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::super::Sandbox;
use super::listeners::{PORTS, Ports};
use super::notify::{self, Call};
use super::{Network, Proxy};
use crate::spawner::receive;

/// The most connections to the proxy that a command has at a time.
const MOST: usize = 256;

/// The way on which the child sends us the listener of its calls, and what is made for it.
pub(crate) struct Broker {
    ours: Blocking,
    theirs: Option<Blocking>,
    makes: Makes,
}

enum Makes {
    Connected(Proxy),
    Bound(Ports),
}

/// Ends the broker when it is dropped.
pub(crate) struct Serving(tokio::task::JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Broker {
    /// The broker of a command's sockets, if it may have some.
    pub(crate) fn of(sandbox: &Sandbox) -> io::Result<Option<Self>> {
        let makes = match &sandbox.profile.network {
            Network::None => return Ok(None),
            Network::Fetch(proxy) => Makes::Connected(proxy.clone()),
            Network::Loopback => Makes::Bound(Ports::reserve()?),
        };
        if let Some(objection) = sandbox.profile.network.objection(sandbox.level, super::Machine::this()) {
            let message = format!("the network profile {} cannot be enforced: {objection}", sandbox.profile.network.name());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let (ours, theirs) = Blocking::pair()?;
        Ok(Some(Self { ours, theirs: Some(theirs), makes }))
    }

    /// The end for the child.
    pub(crate) fn other_end(&mut self) -> Option<OwnedFd> {
        self.theirs.take().map(OwnedFd::from)
    }

    /// The first of the ports that the command has to itself.
    pub(crate) fn first_port(&self) -> Option<u16> {
        match &self.makes {
            Makes::Connected(_) => None,
            Makes::Bound(ports) => Some(ports.first),
        }
    }

    /// The ports, as the command is told.
    pub(crate) fn ports(&self) -> Option<String> {
        self.first_port().map(|first| format!("{first}-{}", first + (PORTS - 1)))
    }

    /// Answers the command's calls until nobody calls any more, or what is returned is dropped.
    pub(crate) fn serve(self) -> Serving {
        Serving(tokio::spawn(async move {
            if let Err(error) = self.answer_all().await
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                tracing::warn!("the sockets of a command are not made any more: {error}");
            }
        }))
    }

    async fn answer_all(self) -> io::Result<()> {
        let Self { ours, theirs, makes } = self;
        drop(theirs);
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        let listener = loop {
            ours.readable().await?;
            match ours.try_io(Interest::READABLE, || receive(ours.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The child has ended before it came so far.
                other => break other?.and_then(|mut all| all.pop()).ok_or(io::ErrorKind::BrokenPipe)?,
            }
        };
        let listener = watched(listener)?;
        let mut connections = Connections::open().await?;
        loop {
            let mut ready = listener.readable().await?;
            let descriptor = listener.get_ref().as_fd();
            while notify::waits(descriptor, Duration::ZERO)? {
                let Some(call) = notify::next(descriptor)? else { continue };
                match make(&makes, call, &mut connections).await {
                    Ok(Made::Socket(socket, close_on_exec)) => notify::hand_over(descriptor, call, socket.as_fd(), close_on_exec)?,
                    Ok(Made::Nothing) => notify::answer(descriptor, call, Ok(0))?,
                    Err(error) => notify::answer(descriptor, call, Err(error.raw_os_error().unwrap_or(libc::EACCES)))?,
                }
            }
            ready.clear_ready();
        }
    }
}

/// `descriptor`, of which one can wait that there is something to read.
#[expect(unsafe_code, reason = "tokio wants to be told that a descriptor stays what it is")]
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: a descriptor that is owned is open, and the same one, for as long as its owner lives.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

enum Made {
    Socket(OwnedFd, bool),
    /// The call was for something that is done already.
    Nothing,
}

async fn make(makes: &Makes, call: Call, connections: &mut Connections) -> io::Result<Made> {
    let refused = |errno| Err(io::Error::from_raw_os_error(errno));
    if call.number == libc::SYS_connect {
        // A socket of ours is connected from its beginning, and nothing else can be.
        return Ok(Made::Nothing);
    }
    let [family, kind, protocol, ..] = call.arguments.map(|argument| argument as libc::c_int);
    let flags = kind & !0xf;
    if kind & 0xf != libc::SOCK_STREAM
        || ![0, libc::IPPROTO_TCP].contains(&protocol)
        || flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0
    {
        return refused(libc::EPERM);
    }
    let nonblocking = flags & libc::SOCK_NONBLOCK != 0;
    let socket = match (makes, family) {
        (Makes::Connected(proxy), libc::AF_INET) => connections.connect(proxy, nonblocking).await?,
        // So programs take the older one.
        (Makes::Connected(_), libc::AF_INET6) => return refused(libc::EAFNOSUPPORT),
        (Makes::Bound(ports), libc::AF_INET | libc::AF_INET6) => {
            let family = if family == libc::AF_INET { AddressFamily::INET } else { AddressFamily::INET6 };
            ports.socket(family, if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() })?
        }
        _ => return refused(libc::EPERM),
    };
    Ok(Made::Socket(socket, flags & libc::SOCK_CLOEXEC != 0))
}

/// The connections of a command to the proxy. They end with it.
struct Connections {
    door: TcpListener,
    open: Arc<AtomicUsize>,
    served: JoinSet<()>,
}

impl Connections {
    async fn open() -> io::Result<Self> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { door, open: Arc::default(), served: JoinSet::new() })
    }

    /// The command's end of a connection, of which the proxy has the other.
    async fn connect(&mut self, proxy: &Proxy, nonblocking: bool) -> io::Result<OwnedFd> {
        while self.served.try_join_next().is_some() {}
        if self.open.load(Ordering::Relaxed) >= MOST {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let ours = TcpStream::connect(self.door.local_addr()?).await?;
        let expected = ours.local_addr()?;
        let theirs = loop {
            let (theirs, from) = self.door.accept().await?;
            // Whoever else on this machine finds the door is not let in.
            if from == expected {
                break theirs;
            }
        };
        let (proxy, open) = (proxy.clone(), Arc::clone(&self.open));
        open.fetch_add(1, Ordering::Relaxed);
        self.served.spawn(async move {
            proxy.serve(theirs).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
        let ours = ours.into_std()?;
        ours.set_nonblocking(nonblocking)?;
        Ok(ours.into())
    }
}
