//! Wake-ups through SQS, beside those of the database: for deployments in which no session of the database can be kept, and for
//! workers that wait. A message is a hint and says no more than that it is time to look; all of it may be lost, doubled, late or
//! forged, since the table is the truth and is looked at once a second anyway.

use std::time::Duration;

use aws::sqs::{Hint, WakeQueue};
use config::Services;
use domain::Mode;
use metrics::gauge;
use store::wake::{self, Ear, Listener, Signal};
use store::{Db, load};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::background::pause;
use crate::telemetry::figures::WAKE_QUEUE;

/// Jobs that become ready within this time after a hint share the next.
const GATHER: Duration = Duration::from_millis(250);
/// The pause after a look that came back at once with nothing, as where nobody waits for long.
const SHORT: Duration = Duration::from_secs(1);
/// The first pause after a failure, and the longest.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MOST: Duration = Duration::from_secs(60);
/// How often the same trouble is said again.
const SAID_AGAIN: Duration = Duration::from_secs(300);

/// Starts in `tasks` to tell the wake queues what this process makes ready, where there are such queues.
///
/// # Errors
/// What is missing to reach them.
pub async fn spawn_sending(tasks: &mut JoinSet<()>, services: &Services, shutdown: &CancellationToken) -> anyhow::Result<()> {
    for mode in [Mode::Mechanic, Mode::Genius] {
        if let Some(queue) = services.wake_queue(mode)? {
            let db = services.db().await?;
            let ear = wake::rung(&db, [Signal::from(mode)]);
            tasks.spawn(send(queue, db, mode, ear, shutdown.clone()));
        }
    }
    Ok(())
}

/// Starts in `tasks` to hear the wake queues of `modes` for a worker, while it has `room`.
///
/// # Errors
/// What is missing to reach them.
pub async fn spawn_hearing(
    tasks: &mut JoinSet<()>,
    services: &Services,
    modes: &[Mode],
    room: &watch::Receiver<bool>,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    for mode in modes.iter().copied() {
        if let Some(queue) = services.wake_queue(mode)? {
            tasks.spawn(hear(queue, mode, services.listener().await?, room.clone(), shutdown.clone()));
        }
    }
    Ok(())
}

/// One hint for all that became ready since the one before.
async fn send(queue: WakeQueue, db: Db, mode: Mode, mut ear: Ear, shutdown: CancellationToken) {
    let mut trouble = Trouble::default();
    while shutdown.run_until_cancelled(ear.woken()).await.is_some() {
        let sent = async {
            // It may be somebody's already, and then nobody needs to be woken.
            if let Some(job_id) = load::example(&db, mode).await? {
                queue.send(Hint { job_id, mode }).await?;
            }
            Ok::<_, anyhow::Error>(())
        };
        match shutdown.run_until_cancelled(sent).await {
            Some(Ok(())) => trouble = Trouble::default(),
            Some(Err(error)) => trouble.say(&format!("a wake-up for jobs of a {mode} was not sent: {error:#}")),
            None => {}
        }
        pause(GATHER, &shutdown).await;
    }
}

/// Wakes the worker of this process when the queue says that there is work. One that is busy leaves messages to those that are not.
async fn hear(queue: WakeQueue, mode: Mode, listener: Listener, mut room: watch::Receiver<bool>, shutdown: CancellationToken) {
    let name: &'static str = mode.into();
    let reachable = gauge!(WAKE_QUEUE, "mode" => name);
    let mut trouble = Trouble::default();
    let mut backoff = BACKOFF;
    loop {
        let asked = Instant::now();
        let received = async {
            // A worker that is gone has no room either.
            if room.wait_for(|room| *room).await.is_err() {
                std::future::pending::<()>().await;
            }
            queue.receive().await
        };
        match shutdown.run_until_cancelled(received).await {
            None => return,
            Some(Ok(hints)) => {
                reachable.set(1.0);
                (trouble, backoff) = (Trouble::default(), BACKOFF);
                if hints.iter().any(|hint| hint.mode == mode) {
                    listener.wake(Signal::from(mode));
                    // Many hints are no reason to look all the time.
                    pause(GATHER, &shutdown).await;
                } else if asked.elapsed() < SHORT {
                    pause(SHORT, &shutdown).await;
                }
            }
            Some(Err(error)) => {
                reachable.set(0.0);
                trouble.say(&format!("the wake queue of mode {mode} is not heard, jobs start at the next look: {error:#}"));
                pause(backoff, &shutdown).await;
                backoff = (backoff * 2).min(BACKOFF_MOST);
            }
        }
    }
}

/// What goes wrong again and again is said now and then.
#[derive(Default)]
struct Trouble {
    said_at: Option<Instant>,
}

impl Trouble {
    fn say(&mut self, what: &str) {
        if self.said_at.is_none_or(|at| at.elapsed() >= SAID_AGAIN) {
            self.said_at = Some(Instant::now());
            tracing::warn!("{what}");
        }
    }
}
