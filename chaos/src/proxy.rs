//! A TCP door in front of a server, which can be made to fail.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What is behind the door.
#[derive(Clone, PartialEq, Debug)]
pub enum Target {
    /// A socket file.
    Socket(PathBuf),
    /// A port.
    Port(SocketAddr),
}

/// What the door does to the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// Nothing.
    None,
    /// Every piece comes up to 200 ms late.
    Delay,
    /// Every connection breaks after a piece or two, and the next may be tried at once.
    Cut,
    /// Nothing comes through in either direction, and nobody is told; what was sent arrives afterwards.
    Blackhole,
    /// Requests arrive, answers do not.
    HalfOpen,
    /// One byte at a time.
    Dribble,
}

/// The door. Dropped, it closes.
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<Target>>,
    fault: watch::Sender<Fault>,
    open: Arc<Mutex<CancellationToken>>,
    listening: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    There,
    Back,
}

impl Proxy {
    /// Opens a door to `target` on loopback.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub async fn start(target: Target) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("loopback has no free port")?;
        let address = listener.local_addr()?;
        let (fault, faults) = watch::channel(Fault::None);
        let (target, open) = (Arc::new(Mutex::new(target)), Arc::<Mutex<CancellationToken>>::default());
        let listening = tokio::spawn({
            let (target, open) = (target.clone(), open.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let end = open.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let faults = faults.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = end.cancelled() => {}
                            () = connect(client, target, faults) => {}
                        }
                    });
                }
            }
        });
        Ok(Self { address, target, fault, open, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is behind it from now on, for new connections.
    pub fn lead_to(&self, target: Target) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Does this from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Breaks every connection that is open now.
    pub fn cut(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *open).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn connect(client: TcpStream, target: Target, faults: watch::Receiver<Fault>) {
    client.set_nodelay(true).ok();
    match target {
        Target::Socket(path) => {
            if let Ok(server) = UnixStream::connect(path).await {
                join(client, server, faults).await;
            }
        }
        Target::Port(address) => {
            if let Ok(server) = TcpStream::connect(address).await {
                join(client, server, faults).await;
            }
        }
    }
}

/// Carries bytes both ways until either end hangs up.
async fn join(client: TcpStream, server: impl AsyncRead + AsyncWrite, faults: watch::Receiver<Fault>) {
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = tokio::io::split(server);
    tokio::select! {
        () = carry(client_reads, server_writes, Way::There, faults.clone()) => {}
        () = carry(server_reads, client_writes, Way::Back, faults) => {}
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, way: Way, mut faults: watch::Receiver<Fault>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let stopped = |fault: &Fault| matches!((fault, way), (Fault::Blackhole, _) | (Fault::HalfOpen, Way::Back));
        if faults.wait_for(|fault| !stopped(fault)).await.is_err() {
            return;
        }
        let fault = *faults.borrow();
        let piece = &buffer[..length];
        let carried = match fault {
            Fault::Delay => {
                let pause = rand::rng().random_range(0..200);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                to.write_all(piece).await
            }
            // Half of the piece is what a cut leaves of it.
            Fault::Cut if rand::rng().random_bool(0.3) => {
                to.write_all(&piece[..length / 2]).await.ok();
                return;
            }
            Fault::Dribble => dribble(&mut to, piece, &faults).await,
            _ => to.write_all(piece).await,
        };
        if carried.is_err() {
            return;
        }
    }
}

async fn dribble(to: &mut (impl AsyncWrite + Unpin), piece: &[u8], faults: &watch::Receiver<Fault>) -> std::io::Result<()> {
    for (index, byte) in piece.iter().enumerate() {
        if *faults.borrow() != Fault::Dribble {
            return to.write_all(&piece[index..]).await;
        }
        to.write_all(std::slice::from_ref(byte)).await?;
        to.flush().await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
