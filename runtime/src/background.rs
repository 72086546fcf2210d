//! What runs beside answering requests and working: triage, taking back expired leases, hearing notifications.

use std::time::Duration;

use crate::telemetry::figures;
use crate::{alarms, conversation, redelivery, scaling, signals, upkeep};
use command::{CommandHandler, Handled};
use config::{Configured, Services};
use dispatch::{Ctx, Handler, call};
use failpoints::fail_point;
use rand::Rng;
use store::schedules::Ran;
use store::wake::{Ear, Signal};
use store::{Db, lanes, queue, schedules, workers};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use triage::{Triage, Triaged};

/// How long a handler that found nothing waits for a notification.
const POLL: Duration = Duration::from_secs(1);
const TRIAGE_DEADLINE: Duration = Duration::from_secs(20);
/// How many jobs one process sorts at a time: one that asks a model must not hold up the others.
const TRIAGES: usize = 4;
/// Long enough for an answer of the forge, and shorter than a command is held.
const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
const SCHEDULES: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(5);
/// How often the coming months' partitions are looked after.
const PARTITIONS: Duration = Duration::from_secs(6 * 3600);

/// Starts the sweeper in `tasks`: it takes back expired leases, wakes jobs whose wait is over, looks after the lanes
/// and makes the coming months' partitions. Any
/// number of processes may sweep.
pub fn spawn_sweeper(tasks: &mut JoinSet<()>, db: Db, shutdown: CancellationToken) {
    upkeep::spawn_anchors(tasks, db.clone(), shutdown.clone());
    tasks.spawn(async move {
        let mut partitions_due = Instant::now();
        while !shutdown.is_cancelled() {
            if partitions_due <= Instant::now() {
                partitions_due = Instant::now() + PARTITIONS;
                if let Err(error) = db.create_partitions().await {
                    tracing::warn!("cannot create the coming months' partitions: {error}");
                }
                if let Err(error) = workers::forget(&db).await {
                    tracing::warn!("cannot forget the workers of earlier days: {error}");
                }
            }
            sweep(&db).await;
            match queue::wake_due(&db, None).await {
                Ok(woken) => woken.iter().for_each(|job| {
                    tracing::info!(job.id = %job.job_id, "job {} waited long enough for its {}", job.job_id, job.waited_for);
                }),
                Err(error) => tracing::warn!("cannot look for jobs whose wait is over: {error}"),
            }
            if let Err(error) = lanes::tend(&db).await {
                tracing::warn!("cannot look after the lanes: {error}");
            }
            pause(SWEEP, &shutdown).await;
        }
    });
}

/// Takes expired leases back, whoever held them, and says so.
pub async fn sweep(db: &Db) {
    fail_point!(BeforeSweep);
    let swept = queue::sweep(db, None).await;
    if swept.as_ref().is_ok_and(|jobs| !jobs.is_empty()) {
        fail_point!(AfterSweep);
    }
    match swept {
        Ok(jobs) if jobs.is_empty() => {}
        Ok(jobs) => tracing::warn!("took back {} expired leases: {jobs:?}", jobs.len()),
        Err(error) => tracing::warn!("cannot look for expired leases: {error}"),
    }
}

/// Starts in `tasks` everything that runs beside the server of the always-on service.
///
/// # Errors
/// What a handler needs and does not find.
pub async fn spawn_service(tasks: &mut JoinSet<()>, services: &Services, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let db = services.db().await?;
    upkeep::spawn_retention(tasks, db.clone(), services.settings.retention, shutdown.clone());
    spawn_sweeper(tasks, db.clone(), shutdown.clone());
    spawn_schedules(tasks, db, shutdown.clone());
    spawn_triage(tasks, services, shutdown.clone()).await?;
    conversation::spawn(tasks, services, shutdown).await?;
    alarms::spawn(tasks, services, shutdown).await?;
    scaling::spawn(tasks, services, shutdown).await?;
    signals::spawn_sending(tasks, services, shutdown).await?;
    redelivery::spawn(tasks, services, shutdown.clone()).await?;
    spawn_commands(tasks, services, shutdown.clone()).await?;
    spawn_listener(tasks, services, shutdown.clone()).await
}

/// Starts the clock of the schedules in `tasks`: the always-on service runs it, and any number of processes may.
pub fn spawn_schedules(tasks: &mut JoinSet<()>, db: Db, shutdown: CancellationToken) {
    tasks.spawn(async move {
        while !shutdown.is_cancelled() {
            match schedules::run_due(&db, None).await {
                Ok(all) => all.iter().for_each(say),
                Err(error) => tracing::warn!("cannot look for schedules that are due: {error}"),
            }
            pause(SCHEDULES, &shutdown).await;
        }
    });
}

/// Says what became of a schedule that was due.
fn say(ran: &Ran) {
    let Ran { name, jobs, left_out, problem } = ran;
    for job_id in jobs {
        tracing::info!(job.id = %job_id, schedule = name, "schedule {name} wrote job {job_id}");
    }
    if *left_out > 0 {
        tracing::warn!(schedule = name, "schedule {name} left {left_out} missed runs out");
    }
    if let Some(problem) = problem {
        tracing::error!(schedule = name, "schedule {name} is disabled: {problem}");
    }
}

/// Starts triage in `tasks`: several at once, each for one job at a time.
///
/// # Errors
/// What the handler needs and does not find.
pub async fn spawn_triage(tasks: &mut JoinSet<()>, services: &Services, shutdown: CancellationToken) -> anyhow::Result<()> {
    let triage = Triage::configure(services).await?;
    let listener = services.listener().await?;
    for _ in 0..TRIAGES {
        // Subscribed before the first look, so that nothing falls between.
        let ear = listener.subscribe([Signal::Triage]);
        tasks.spawn(attend(triage.clone(), TRIAGE_DEADLINE, ear, shutdown.clone(), triaged));
    }
    Ok(())
}

/// Says what became of a job; `false` = none waited.
fn triaged(triaged: Triaged) -> bool {
    match triaged {
        Triaged::Nothing => return false,
        Triaged::Ready { job_id, kind, mode, reason } => {
            tracing::info!(job.id = %job_id, "job {job_id}, {kind}, goes to a {mode}: {reason}");
        }
        Triaged::Waits { job_id, reason } => tracing::warn!(job.id = %job_id, "job {job_id} waits: {reason}"),
        Triaged::Refused { job_id, reason } => tracing::info!(job.id = %job_id, "job {job_id} is refused: {reason}"),
    }
    true
}

/// Starts doing what people ask of jobs in `tasks`.
///
/// # Errors
/// What the handler needs and does not find.
pub async fn spawn_commands(tasks: &mut JoinSet<()>, services: &Services, shutdown: CancellationToken) -> anyhow::Result<()> {
    let handler = CommandHandler::configure(services).await?;
    let ear = services.listener().await?.subscribe([Signal::Command]);
    tasks.spawn(attend(handler, COMMAND_DEADLINE, ear, shutdown, handled));
    Ok(())
}

/// Says what became of a command; `false` = none waited.
fn handled(handled: Handled) -> bool {
    match handled {
        Handled::Nothing => return false,
        Handled::Done { command_id, command, jobs } => tracing::info!("command {command_id}, {command}, is done: {jobs:?}"),
        Handled::Refused { command_id, actor } => tracing::info!("command {command_id} of {actor} is refused"),
        Handled::GivenUp { command_id, cause } => tracing::error!("command {command_id} is given up: {cause}"),
    }
    true
}

/// Calls `handler` for as long as it finds something to do; else again when `ear` is woken or a moment has passed. `told` says what
/// was done, and whether it was anything.
pub(crate) async fn attend<H: Handler<Request: Default>>(
    handler: H,
    deadline: Duration,
    mut ear: Ear,
    shutdown: CancellationToken,
    told: fn(H::Response) -> bool,
) {
    while !shutdown.is_cancelled() {
        match call(&handler, Ctx::with_timeout(deadline), H::Request::default()).await.map(told) {
            Ok(true) => {}
            Ok(false) => tokio::select! {
                () = ear.woken() => {}
                () = pause(POLL, &shutdown) => {}
            },
            Err(error) => {
                tracing::warn!("{} failed: {error:#}", H::NAME);
                pause(POLL, &shutdown).await;
            }
        }
    }
}

/// Starts hearing notifications in `tasks`, and says in the gauge `codeteam_listen_connected` whether they are heard.
///
/// # Errors
/// When no database is named.
pub async fn spawn_listener(tasks: &mut JoinSet<()>, services: &Services, shutdown: CancellationToken) -> anyhow::Result<()> {
    let gauge = metrics::gauge!(figures::LISTENING);
    gauge.set(0.0);
    if !services.can_listen() {
        tracing::warn!(
            "no notifications behind a pooler in transaction mode: jobs start at the next look, within about a second; \
             set DATABASE_LISTEN_URL to the server itself"
        );
        return Ok(());
    }
    let listener = services.listener().await?;
    let mut connected = listener.connected();
    tasks.spawn(async move {
        let told = async {
            while connected.changed().await.is_ok() {
                gauge.set(if *connected.borrow_and_update() { 1.0 } else { 0.0 });
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = listener.run() => {}
            () = told => {}
        }
    });
    Ok(())
}

pub(crate) async fn pause(about: Duration, shutdown: &CancellationToken) {
    let pause = about.mul_f64(rand::rng().random_range(0.75..1.25));
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}
