//! Our side: the worker of `codeteam work`, with jobs that do nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use codeteam::leases::Lease;
use codeteam::perform::{Perform, Performed};
use codeteam::worker::{PATIENCE, Share, Worker};
use config::{Services, Settings};
use domain::job::Confidence;
use domain::{Epoch, Finish, JobId, MicroUsd, Mode, NewJob, Outcome, OwnerId};
use serde_json::json;
use store::queue::Claimed;
use store::steps::{self, Acted, Answered, Reserve};
use store::{Db, StoreError, enqueue, finish, queue};
use testkit::{TestDb, new_job, usage};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::IDLE;

/// Callers of `enqueue` at the same time.
const LOADERS: usize = 16;

/// Ends a job as soon as it starts.
#[derive(Clone)]
struct Noop {
    db: Db,
    started: Option<mpsc::UnboundedSender<Instant>>,
}

impl Perform for Noop {
    async fn begin(&self) {}

    async fn perform(&self, job: &Claimed, _lease: &Lease, _shutdown: &CancellationToken) -> Performed {
        if let Some(started) = &self.started {
            // Nobody waits for the last ones.
            let _ = started.send(Instant::now());
        }
        match finish::finish(&self.db, job.job_id, job.epoch, &done(), &json!({})).await {
            Ok(_) => Performed::Finalized,
            Err(StoreError::LeaseLost { .. }) => Performed::Lost,
            Err(error) => Performed::Failed { cause: error.to_string() },
        }
    }

    async fn forget(&self, _job_id: JobId, _epoch: Epoch) {}
}

fn done() -> Outcome {
    let finish = Finish {
        summary: "Nothing to do.".to_owned(),
        title: "Nothing".to_owned(),
        tests_run: Vec::new(),
        confidence: Confidence::High,
        needs_human: None,
        comments: Vec::new(),
    };
    Outcome::Succeeded { finish }
}

/// What `codeteam work` would build on this database, with so many sessions.
fn services(test: &TestDb, sessions: u32) -> Result<Services> {
    let settings = Settings { database_url: Some(test.url.clone()), database_connections: sessions, ..Settings::from_env(&[])? };
    Ok(Services::new(settings))
}

/// Writes `jobs` jobs of 20 repositories, each by `enqueue` itself.
pub(crate) async fn load(test: &TestDb, jobs: usize) -> Result<()> {
    let services = services(test, LOADERS as u32)?;
    let db = services.db().await?;
    let mut loaders = JoinSet::new();
    for loader in 0..LOADERS {
        let db = db.clone();
        loaders.spawn(async move {
            for number in (loader..jobs).step_by(LOADERS) {
                let job = NewJob { repository: format!("acme/shop-{}", number % 20), ..new_job() };
                enqueue::enqueue(&db, &job, None, None, None).await?;
            }
            Ok::<_, StoreError>(())
        });
    }
    while let Some(loaded) = loaders.join_next().await {
        loaded??;
    }
    db.close().await;
    Ok(())
}

/// Drains them with one worker of `slots` slots; how long it took until nothing was left.
pub(crate) async fn drain(test: &TestDb, jobs: usize, slots: u16, sessions: u32) -> Result<Duration> {
    let services = services(test, sessions)?;
    let db = services.db().await?;
    let share = Share { modes: vec![Mode::Mechanic], slots, patience: PATIENCE };
    let worker = Worker::with(&services, share, Noop { db: db.clone(), started: None }).await?;
    let started = Instant::now();
    worker.run(CancellationToken::new(), true).await;
    let took = started.elapsed();
    let left = test.value("select count(*) from queue").await;
    let done = test.value("select count(*) from jobs where outcome = 'succeeded'").await;
    let events = test.value("select count(*) from events").await;
    ensure!(left == "0" && done == jobs.to_string(), "{left} jobs are left, {done} of {jobs} ended");
    ensure!(events == (3 * jobs).to_string(), "{events} events instead of 3 a job");
    db.close().await;
    Ok(took)
}

/// From the call of `enqueue` until the job starts, one at a time, on a worker that has nothing to do.
pub(crate) async fn wake(test: &TestDb, jobs: usize) -> Result<Vec<Duration>> {
    let services = services(test, 8)?;
    let db = services.db().await?;
    let (started, mut starts) = mpsc::unbounded_channel();
    let share = Share { modes: vec![Mode::Mechanic], slots: 1, patience: PATIENCE };
    let worker = Worker::with(&services, share, Noop { db: db.clone(), started: Some(started) }).await?;
    let end = CancellationToken::new();
    let mut tasks = JoinSet::new();
    codeteam::background::spawn_listener(&mut tasks, &services, end.clone()).await?;
    let working = end.clone();
    tasks.spawn(async move { worker.run(working, false).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut times = Vec::new();
    for _ in 0..jobs {
        let asked = Instant::now();
        enqueue::enqueue(&db, &new_job(), None, None, None).await?;
        let Some(start) = starts.recv().await else { anyhow::bail!("the worker is gone") };
        times.push(start.duration_since(asked));
        tokio::time::sleep(IDLE).await;
    }
    end.cancel();
    tasks.join_all().await;
    db.close().await;
    Ok(times)
}

/// Durable steps a second: `jobs` jobs at the same time, each of `steps` steps, each of which is reserved, answered and
/// acted upon, with nothing in between.
pub(crate) async fn steps(test: &TestDb, jobs: u16, steps: i32, sessions: u32) -> Result<f64> {
    load(test, usize::from(jobs)).await?;
    let services = services(test, sessions)?;
    let db = services.db().await?;
    let claimed = queue::claim(&db, OwnerId::new(), Mode::Mechanic, jobs, Duration::from_secs(600), None).await?;
    ensure!(claimed.len() == usize::from(jobs), "{} of {jobs} jobs were claimed", claimed.len());
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for job in claimed {
        let db = db.clone();
        tasks.spawn(async move {
            for step_no in 1..=steps {
                step(&db, job.job_id, job.epoch, step_no).await?;
            }
            Ok::<_, StoreError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let rate = f64::from(jobs) * f64::from(steps) / started.elapsed().as_secs_f64();
    db.close().await;
    Ok(rate)
}

async fn step(db: &Db, job_id: JobId, epoch: Epoch, step_no: i32) -> Result<(), StoreError> {
    let (model, reserved) = ("scripted", MicroUsd(1_000));
    let reserve = Reserve { step_no, model, cost_microusd: reserved, max_output: 500, heard: None };
    let reservation = steps::reserve(db, job_id, epoch, reserve).await?.number;
    let answer = Answered {
        step_no,
        model,
        request: "{}",
        before: None,
        reply: "{}",
        took: Duration::from_millis(1),
        reservation: (reservation, reserved),
        usage: usage(10, 5),
        cost_microusd: MicroUsd(15),
        tools: Vec::new(),
    };
    steps::store_reply(db, job_id, epoch, &answer).await?;
    let acted = Acted { step_no, results: &json!({}), checkpoint: None, left_out: &[], took: Duration::from_millis(1) };
    steps::store_results(db, job_id, epoch, &acted).await.map(|_| ())
}
