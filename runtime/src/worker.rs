//! The worker loop: claim as many jobs as there are free slots, have them performed, give back what did not end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use claim::{Claim, ClaimRequest};
use config::{Configured, Services};
use dispatch::{Ctx, call};
use domain::{Epoch, JobId, Mode, SystemClock};
use failpoints::fail_point;
use rand::Rng;
use store::queue::{self, Claimed};
use store::wake::{Ear, Listener, Signal};
use store::workers::{self, HEARTBEAT, Present};
use store::{Db, StoreError, load};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::background;
use crate::leases::Leases;
use crate::perform::{Handlers, Perform, Performed};
use crate::protection::Protection;
use crate::telemetry::{self, Figures, figures};

/// How long an idle worker waits before it looks again; a notification wakes it earlier.
const POLL: Duration = Duration::from_secs(1);
/// The time that an idle worker gives each of its questions, so that it stays below two a second whatever it finds.
const QUESTION: Duration = Duration::from_millis(700);
/// How long a worker waits for more free slots before it claims for those that are free.
const GATHER: Duration = Duration::from_millis(5);
/// It stops gathering when this share of the slots is free.
const GATHERED: usize = 4;
const CLAIM_DEADLINE: Duration = Duration::from_secs(30);
/// How long the database may take to hear what became of a job.
const SETTLE_DEADLINE: Duration = Duration::from_secs(5);

/// How long a worker has had nothing to do when it may be taken away: not between one job and the next.
const IDLE: Duration = Duration::from_secs(5);

/// How long a job of a service waits for a provider, a forge or a key that is away.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// What a worker takes, and how much of it.
#[derive(Clone, Debug)]
pub struct Share {
    /// Whose jobs.
    pub modes: Vec<Mode>,
    /// How many at the same time, from 1.
    pub slots: u16,
    /// How long each waits for what is away.
    pub patience: Duration,
}

/// Works on jobs. Clones share the leases.
#[derive(Clone)]
pub struct Worker<P = Handlers> {
    db: Db,
    claim: Claim,
    performer: P,
    listener: Listener,
    leases: Leases,
    share: Share,
    present: Present,
    protection: Protection,
    /// Whether there is a free slot.
    room: watch::Sender<bool>,
}

/// What a look at the queue found.
struct Look {
    claimed: usize,
    /// Something may be ready that was not claimed: there was no room for it, or the queue could not be asked.
    more: bool,
    questions: u32,
}

impl Worker {
    /// A worker for `modes` with `slots` jobs at the same time, each of which waits up to `patience` for what
    /// is away.
    ///
    /// # Errors
    /// What a handler needs and does not find.
    pub async fn new(services: &Services, modes: Vec<Mode>, slots: u16, patience: Duration) -> Result<Self> {
        Self::with(services, Share { modes, slots, patience }, Handlers::new(services).await?).await
    }

    /// The same worker, which tells `figures` of its jobs.
    #[must_use]
    pub fn telling(mut self, figures: Figures) -> Self {
        self.performer.figures = figures;
        self
    }
}

impl<P: Perform> Worker<P> {
    /// A worker whose jobs `performer` performs.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn with(services: &Services, share: Share, performer: P) -> Result<Self> {
        let db = services.db().await?;
        Ok(Self {
            claim: Claim::configure(services).await?,
            performer,
            listener: services.listener().await?,
            leases: Leases::new(db.clone(), Arc::new(SystemClock)),
            present: Present {
                owner: services.owner(),
                host: process::host_name(),
                task_arn: None,
                modes: share.modes.clone(),
                slots: share.slots,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            db,
            share,
            protection: Protection::not_needed(),
            room: watch::Sender::new(true),
        })
    }

    /// The same worker, which claims only under `protection`, and is the task `task` to whoever may take it away.
    #[must_use]
    pub fn protected(mut self, protection: Protection, task: Option<String>) -> Self {
        self.protection = protection;
        self.present.task_arn = task;
        self
    }

    /// Whether it has a free slot, for those who would wake it.
    pub fn has_room(&self) -> watch::Receiver<bool> {
        self.room.subscribe()
    }

    /// Works until `shutdown`; with `until_idle`, also until nothing is ready and nothing runs. Jobs under
    /// way are given back, at a point from which any worker continues.
    pub async fn run(&self, shutdown: CancellationToken, until_idle: bool) {
        // In this order: a lease that ran out holds its checkout until it is taken back.
        background::sweep(&self.db).await;
        self.performer.begin().await;
        let end_of_leases = CancellationToken::new();
        let leases = tokio::spawn({
            let (leases, end) = (self.leases.clone(), end_of_leases.clone());
            async move { leases.run(end).await }
        });
        let heartbeat = tokio::spawn({
            let (db, present, end) = (self.db.clone(), self.present.clone(), end_of_leases.clone());
            async move { beat(&db, &present, &end).await }
        });
        let protection = tokio::spawn({
            let (protection, end) = (self.protection.clone(), end_of_leases.clone());
            async move { protection.keep(end).await }
        });
        // Subscribed before the first look, so that nothing falls between.
        let mut ear = self.listener.subscribe(self.share.modes.iter().map(|mode| Signal::from(*mode)));
        let mut jobs = JoinSet::new();
        let mut called = true;
        let mut busy_at = Instant::now();
        while !shutdown.is_cancelled() {
            let look = self.look(called, &shutdown, &mut jobs).await;
            let idle = look.claimed == 0 && jobs.is_empty();
            if idle && !look.more && until_idle {
                break;
            }
            if !idle {
                busy_at = Instant::now();
            } else if busy_at.elapsed() >= IDLE {
                self.protection.give_up().await;
            }
            self.room.send_replace(jobs.len() < usize::from(self.share.slots));
            called = self.pause(&look, &mut ear, &shutdown, &mut jobs).await;
        }
        while let Some(ended) = jobs.join_next().await {
            log_panic(ended);
        }
        self.protection.give_up().await;
        end_of_leases.cancel();
        log_panic(leases.await);
        log_panic(heartbeat.await);
        log_panic(protection.await);
    }

    /// Claims for every free slot. Unless somebody `called`, a worker of several modes first asks which have
    /// anything, in one question. One that has to be protected before it claims asks first in any case, so that it is not
    /// protected for nothing.
    async fn look(&self, called: bool, shutdown: &CancellationToken, jobs: &mut JoinSet<()>) -> Look {
        let mut look = Look { claimed: 0, more: false, questions: 0 };
        if !self.protection.is_held() {
            match self.is_protected_for_something(&mut look).await {
                Ok(true) => {}
                Ok(false) => return look,
                Err(error) => {
                    tracing::warn!("cannot look for jobs: {error}");
                    return Look { more: true, ..look };
                }
            }
        }
        let modes = match called || self.share.modes.len() < 2 {
            true => self.share.modes.clone(),
            false => {
                look.questions += 1;
                match queue::ready_modes(&self.db, &self.share.modes).await {
                    Ok(modes) => modes,
                    Err(error) => {
                        tracing::warn!("cannot look for jobs: {error}");
                        return Look { more: true, ..look };
                    }
                }
            }
        };
        for mode in modes {
            let free = self.share.slots.saturating_sub(jobs.len() as u16);
            if free == 0 {
                return Look { more: true, ..look };
            }
            look.questions += 1;
            let since = self.leases.before_claim();
            let asked = Instant::now();
            let request = ClaimRequest { mode, job_id: None, worker: None, slots: free };
            match call(&self.claim, Ctx::with_timeout(CLAIM_DEADLINE), request).await {
                Ok(claimed) => {
                    figures::claimed(mode, asked.elapsed(), &claimed);
                    look.claimed += claimed.len();
                    for job in claimed {
                        let (worker, shutdown) = (self.clone(), shutdown.clone());
                        jobs.spawn(async move { worker.work(job, since, &shutdown).await });
                    }
                }
                Err(error) => {
                    look.more = true;
                    tracing::warn!("cannot claim: {error:#}");
                }
            }
        }
        look
    }

    /// Takes the protection if there is something to claim; `false` = there is nothing, or it was refused.
    async fn is_protected_for_something(&self, look: &mut Look) -> Result<bool, StoreError> {
        for mode in &self.share.modes {
            look.questions += 1;
            // By the rules of a claim: for jobs that are paused, say, nobody stays.
            if load::of(&self.db, *mode, 1).await?.ready > 0 {
                let protected = self.protection.take().await;
                look.more = !protected;
                return Ok(protected);
            }
        }
        Ok(false)
    }

    /// Waits until another look is worth it; `true` = there may be something of every mode.
    async fn pause(&self, look: &Look, ear: &mut Ear, shutdown: &CancellationToken, jobs: &mut JoinSet<()>) -> bool {
        if jobs.len() >= usize::from(self.share.slots) {
            self.gather(shutdown, jobs).await;
            return true;
        }
        if look.claimed > 0 {
            // A claim may leave shares unused while there is work.
            return false;
        }
        let pause = POLL.max(QUESTION * look.questions).mul_f64(rand::rng().random_range(0.75..1.25));
        let running = !jobs.is_empty();
        let ended = tokio::select! {
            () = shutdown.cancelled() => return false,
            () = ear.woken() => return true,
            // Its repository may have been at its limit, and another job of it may go now.
            ended = jobs.join_next(), if running => ended,
            () = tokio::time::sleep(pause) => return false,
        };
        ended.into_iter().for_each(log_panic);
        self.gather(shutdown, jobs).await;
        true
    }

    /// Waits until enough slots are free to be worth a claim: a claim of many costs little more than one of few.
    async fn gather(&self, shutdown: &CancellationToken, jobs: &mut JoinSet<()>) {
        let slots = usize::from(self.share.slots);
        let enough = slots - slots.div_ceil(GATHERED);
        if jobs.len() >= slots {
            tokio::select! {
                () = shutdown.cancelled() => return,
                ended = jobs.join_next() => ended.into_iter().for_each(log_panic),
            }
        }
        let gathered = tokio::time::sleep(GATHER);
        tokio::pin!(gathered);
        loop {
            while let Some(ended) = jobs.try_join_next() {
                log_panic(ended);
            }
            if jobs.len() <= enough {
                return;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = &mut gathered => return,
                ended = jobs.join_next() => ended.into_iter().for_each(log_panic),
            }
        }
    }

    /// Takes one claimed job as far as it goes, in the span and the trace of the job.
    async fn work(&self, job: Claimed, since: Duration, shutdown: &CancellationToken) {
        let span = tracing::info_span!("job", job.id = %job.job_id, epoch = job.epoch.0);
        telemetry::in_trace(job.job_id, self.take(job, since, shutdown).instrument(span)).await;
    }

    async fn take(&self, job: Claimed, since: Duration, shutdown: &CancellationToken) {
        let (job_id, epoch) = (job.job_id, job.epoch);
        // A moment, not a period: a worker that is killed would never end it.
        drop(
            tracing::info_span!("claim", job.id = %job_id, epoch = epoch.0, attempt = job.attempt, mode = %job.mode, owner = %self.present.owner.0),
        );
        tracing::info!(job.id = %job_id, epoch = epoch.0, attempt = job.attempt, "claimed job {job_id}");
        let lease = self.leases.keep(job_id, epoch, since, shutdown);
        let performed = self.performer.perform(&job, &lease, shutdown).await;
        let settled = tokio::time::timeout(SETTLE_DEADLINE, self.settle(job_id, epoch, &performed)).await;
        drop(lease);
        self.performer.forget(job_id, epoch).await;
        match (settled, performed) {
            (Ok(Ok(())), Performed::Finalized) => tracing::info!(job.id = %job_id, "finalized job {job_id}"),
            (Ok(Ok(())), Performed::Lost) | (Ok(Err(StoreError::LeaseLost { .. })), _) => {
                tracing::warn!(job.id = %job_id, epoch = epoch.0, "lost the lease of job {job_id}");
            }
            (Ok(Ok(())), Performed::Released(reason)) => tracing::info!(job.id = %job_id, "gave job {job_id} back: {reason}"),
            (Ok(Ok(())), Performed::Failed { cause }) => tracing::warn!(job.id = %job_id, "an attempt at job {job_id} failed: {cause}"),
            (Ok(Ok(())), Performed::Parked(reason)) => tracing::warn!(job.id = %job_id, "job {job_id} waits: {reason}"),
            (Ok(Ok(())), Performed::HandedOver(reason)) => tracing::info!(job.id = %job_id, "job {job_id} goes on with a genius: {reason}"),
            (Ok(Ok(())), Performed::Waits { cause, .. }) => tracing::warn!(job.id = %job_id, "job {job_id} waits: {cause}"),
            (Ok(Err(error)), _) => tracing::warn!(job.id = %job_id, "cannot give job {job_id} back, its lease will run out: {error}"),
            (Err(_), _) => tracing::warn!(job.id = %job_id, "cannot give job {job_id} back in time, its lease will run out"),
        }
    }

    /// Says in the queue what became of a job that did not end.
    async fn settle(&self, job_id: JobId, epoch: Epoch, performed: &Performed) -> Result<(), StoreError> {
        match performed {
            Performed::Finalized | Performed::Lost | Performed::Parked(_) | Performed::HandedOver(_) => Ok(()),
            Performed::Released(reason) => {
                fail_point!(BeforeRelease);
                queue::release(&self.db, job_id, epoch, reason).await?;
                fail_point!(AfterRelease);
                Ok(())
            }
            Performed::Failed { cause } => {
                fail_point!(BeforeFailure);
                queue::fail_attempt(&self.db, job_id, epoch, cause).await?;
                fail_point!(AfterFailure);
                Ok(())
            }
            Performed::Waits { cause, after } => {
                fail_point!(BeforeWait);
                queue::wait_out(&self.db, job_id, epoch, cause, *after, self.share.patience).await?;
                fail_point!(AfterWait);
                Ok(())
            }
        }
    }
}

/// Says that this worker is there, with work or without, until `end`.
async fn beat(db: &Db, present: &Present, end: &CancellationToken) {
    while !end.is_cancelled() {
        match tokio::time::timeout(SETTLE_DEADLINE, workers::seen(db, present)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("cannot say that this worker is there: {error}"),
            Err(_) => tracing::warn!("cannot say that this worker is there: the database does not answer"),
        }
        tokio::select! {
            () = end.cancelled() => {}
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
    let stopped = tokio::time::timeout(SETTLE_DEADLINE, workers::stopped(db, present.owner)).await;
    if !matches!(stopped, Ok(Ok(()))) {
        tracing::warn!("cannot say that this worker ended");
    }
}

fn log_panic<T>(ended: Result<T, JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a task of the worker panicked: {error}");
    }
}
