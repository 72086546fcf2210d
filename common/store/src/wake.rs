//! Wake-ups: a notification after the commit of something that others wait for, and the ear that hears it.
//!
//! A notification is a hint and may be lost; the tables are the truth, and a slow poll stands behind it. It is
//! sent in a statement of its own, never in the transaction that writes: PostgreSQL lets only one transaction
//! with a notification commit at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{Mode, Secret};
use rand::Rng;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::{Db, StoreError, db};

/// The channel of ready jobs; the payload says whose they are.
const READY: &str = "codeteam_ready";

/// How long a notification may take: it is only a hint, and somebody waits for what it follows.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long silence is believed before the listening session is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(15);
/// The first pause before a lost session is replaced, and the longest; each is drawn between nothing and twice
/// the one before.
const BACKOFF: Duration = Duration::from_millis(250);
const BACKOFF_MOST: Duration = Duration::from_secs(30);

/// What somebody may wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A mechanic's job is ready.
    Mechanic,
    /// A genius's job is ready.
    Genius,
    /// A job waits for triage.
    Triage,
    /// A command of a person waits.
    Command,
    /// Something is to be said on the forge.
    Outbox,
    /// A job that somebody holds was asked to stop.
    Stop,
}

impl Signal {
    const ALL: [Self; 6] = [Self::Mechanic, Self::Genius, Self::Triage, Self::Command, Self::Outbox, Self::Stop];

    fn payload(self) -> &'static str {
        match self {
            Self::Mechanic => "mechanic",
            Self::Genius => "genius",
            Self::Triage => "triage",
            Self::Command => "command",
            Self::Outbox => "outbox",
            Self::Stop => "stop",
        }
    }
}

impl From<Mode> for Signal {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Mechanic => Self::Mechanic,
            Mode::Genius => Self::Genius,
        }
    }
}

/// A job without a mode waits for triage.
impl From<Option<Mode>> for Signal {
    fn from(mode: Option<Mode>) -> Self {
        mode.map_or(Self::Triage, Self::from)
    }
}

/// What this process has to say; one bell a signal.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    all: [Bell; Signal::ALL.len()],
    /// How often each was rung here.
    rung: watch::Sender<[u64; Signal::ALL.len()]>,
}

#[derive(Debug, Default)]
struct Bell {
    asked: AtomicU64,
    /// How many of those who asked have been served; locked while the bell is rung.
    served: Mutex<u64>,
}

/// Wakes whoever waits for `signal`. Call it after the commit of what they will find. Calls that come while one
/// is being sent share the next, so a flood of jobs is a trickle of notifications.
///
/// It never fails: who is not woken finds the job at the next look.
pub async fn notify(db: &Db, signal: impl Into<Signal>) {
    let signal = signal.into();
    db.bells.rung.send_modify(|rung| rung[signal as usize] += 1);
    let bell = &db.bells.all[signal as usize];
    let mine = bell.asked.fetch_add(1, Ordering::SeqCst) + 1;
    let ring = async {
        let mut served = bell.served.lock().await;
        if *served >= mine {
            return Ok(());
        }
        let covers = bell.asked.load(Ordering::SeqCst);
        // Nothing is lost with a hint, so its commit need not wait for the disk.
        sqlx::query!("select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)", READY, signal.payload())
            .fetch_one(&db.pool)
            .await?;
        *served = covers;
        Ok::<_, StoreError>(())
    };
    match timeout(PATIENCE, ring).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a notification was not sent: {error}"),
        Err(_) => tracing::debug!("a notification was not sent in {PATIENCE:?}"),
    }
}

/// An ear for what this process itself has to say, whether the database carries it further or not: for other ways of waking
/// somebody. What other processes say is heard by a [`Listener`].
pub fn rung(db: &Db, signals: impl IntoIterator<Item = Signal>) -> Ear {
    Ear::of(&db.bells.rung, signals)
}

/// Wakes the workers of every mode and triage: jobs became ready, and whose they are was not looked at.
pub(crate) async fn notify_all(db: &Db) {
    tokio::join!(notify(db, Signal::Triage), notify(db, Signal::Mechanic), notify(db, Signal::Genius));
}

/// Hears notifications on a session of its own. Clones share it. It hears nothing until [`Listener::run`]
/// runs; then those who wait simply look at the table at their own pace.
#[derive(Clone, Debug)]
pub struct Listener {
    sessions: sqlx::PgPool,
    heard: watch::Sender<[u64; Signal::ALL.len()]>,
    connected: watch::Sender<bool>,
}

/// Waits for some signals. What is rung after the subscription is heard, however late one asks.
#[derive(Debug)]
pub struct Ear {
    heard: watch::Receiver<[u64; Signal::ALL.len()]>,
    known: [u64; Signal::ALL.len()],
    signals: Vec<Signal>,
}

impl Ear {
    fn of(heard: &watch::Sender<[u64; Signal::ALL.len()]>, signals: impl IntoIterator<Item = Signal>) -> Self {
        let heard = heard.subscribe();
        let known = *heard.borrow();
        Self { heard, known, signals: signals.into_iter().collect() }
    }

    /// Waits until one of the signals was given since the last time.
    pub async fn woken(&mut self) {
        loop {
            let heard = *self.heard.borrow_and_update();
            let woken = self.signals.iter().any(|signal| heard[*signal as usize] != self.known[*signal as usize]);
            self.known = heard;
            if woken {
                return;
            }
            if self.heard.changed().await.is_err() {
                // The listener is gone: nobody will ever call.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn options(url: &Secret) -> Result<PgConnectOptions, StoreError> {
    Ok(db::options(url)?.application_name("codeteam listen"))
}

impl Listener {
    /// For the server at `url`, which must not be a pooler in transaction mode.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn new(url: &Secret) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(CONNECT);
        let sessions = pool.connect_lazy_with(options(url)?);
        Ok(Self { sessions, heard: watch::Sender::default(), connected: watch::Sender::default() })
    }

    /// Replaces a session that is lost by one that `url` opens: the same server with another password.
    ///
    /// # Errors
    /// [`StoreError::Url`].
    pub fn log_in_by(&self, url: &Secret) -> Result<(), StoreError> {
        self.sessions.set_connect_options(options(url)?);
        Ok(())
    }

    /// An ear for `signals`. Subscribe first, then look at the table.
    pub fn subscribe(&self, signals: impl IntoIterator<Item = Signal>) -> Ear {
        Ear::of(&self.heard, signals)
    }

    /// Wakes those of this process who wait for `signal`: somebody heard of it on another way.
    pub fn wake(&self, signal: Signal) {
        self.heard.send_modify(|heard| heard[signal as usize] += 1);
    }

    /// Whether notifications are heard now, for a metric; it changes with every loss and every return.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// Listens until it is dropped, over as many sessions as it takes. After each return everybody is woken
    /// once, since what was said meanwhile is lost.
    pub async fn run(&self) {
        let mut backoff = BACKOFF;
        loop {
            let error = match self.listen().await {
                Err(error) => error,
                Ok(never) => match never {},
            };
            if self.connected.send_replace(false) {
                backoff = BACKOFF;
            }
            let pause = backoff.mul_f64(rand::rng().random_range(0.0..2.0));
            tracing::warn!("notifications are not heard, jobs start at the next look: {error}; trying again in {} ms", pause.as_millis());
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_MOST);
        }
    }

    async fn listen(&self) -> Result<std::convert::Infallible, StoreError> {
        let late = || StoreError::from(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let connect = async {
            let mut session = PgListener::connect_with(&self.sessions).await?;
            session.eager_reconnect(false);
            session.listen(READY).await?;
            Ok::<_, StoreError>(session)
        };
        let mut session = timeout(CONNECT, connect).await.map_err(|_| late())??;
        tracing::info!("listening for notifications");
        self.heard.send_modify(|heard| heard.iter_mut().for_each(|count| *count += 1));
        self.connected.send_replace(true);
        loop {
            match timeout(SILENCE, session.try_recv()).await {
                Ok(Ok(Some(said))) => self.hear(said.payload()),
                Ok(Ok(None)) => return Err(StoreError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()))),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    timeout(CONNECT, session.execute("select 1")).await.map_err(|_| late())??;
                }
            }
        }
    }

    /// Garbage wakes nobody: anybody may notify a channel.
    fn hear(&self, payload: &str) {
        if let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.payload() == payload) {
            self.wake(signal);
        }
    }
}
