//! The worker loop, with jobs that end when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codeteam::leases::Lease;
use codeteam::perform::{Perform, Performed};
use codeteam::worker::{PATIENCE, Share, Worker};
use config::{Services, Settings};
use domain::{Epoch, JobId, Mode, Outcome};
use serde_json::json;
use store::queue::Claimed;
use store::{Db, enqueue, finish};
use testkit::{TestDb, new_job};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Ends each job at once, but for the first few, which wait for the test.
#[derive(Clone)]
struct Jobs {
    db: Db,
    waiting: usize,
    started: Arc<AtomicUsize>,
    go_on: Arc<Semaphore>,
    ended: watch::Sender<usize>,
}

impl Perform for Jobs {
    async fn begin(&self) {}

    async fn perform(&self, job: &Claimed, lease: &Lease, shutdown: &CancellationToken) -> Performed {
        if self.started.fetch_add(1, Ordering::SeqCst) < self.waiting {
            tokio::select! {
                permit = self.go_on.acquire() => permit.unwrap().forget(),
                () = shutdown.cancelled() => return Performed::Released("the worker shuts down"),
            }
        }
        assert!(!lease.lost.is_cancelled());
        let outcome = Outcome::Failed { cause: "there was nothing to do".to_owned() };
        finish::finish(&self.db, job.job_id, job.epoch, &outcome, &json!({})).await.unwrap();
        self.ended.send_modify(|count| *count += 1);
        Performed::Finalized
    }

    async fn forget(&self, _job_id: JobId, _epoch: Epoch) {}
}

/// A worker of `slots` slots on `jobs` jobs of which the first `waiting` wait.
async fn worker(test: &TestDb, slots: u16, jobs: usize, waiting: usize) -> (Worker<Jobs>, Jobs) {
    let settings = Settings { database_url: Some(test.url.clone()), ..Settings::read(|_| None, false).unwrap() };
    let services = Services::new(settings);
    for _ in 0..jobs {
        enqueue::enqueue(&test.db, &new_job(), None, None, None).await.unwrap();
    }
    let db = services.db().await.unwrap();
    let performer = Jobs { db, waiting, started: Arc::default(), go_on: Arc::new(Semaphore::new(0)), ended: watch::Sender::default() };
    let share = Share { modes: vec![Mode::Mechanic, Mode::Genius], slots, patience: PATIENCE };
    (Worker::with(&services, share, performer.clone()).await.unwrap(), performer)
}

#[tokio::test]
async fn a_worker_that_works_until_idle_leaves_nothing_and_never_holds_more_than_its_slots() {
    let test = TestDb::new().await;
    let (worker, jobs) = worker(&test, 16, 100, 0).await;
    worker.run(CancellationToken::new(), true).await;
    assert_eq!((*jobs.ended.borrow(), test.value("select count(*) from queue").await), (100, "0".to_owned()));
    // At every claim: what was claimed so far less what had ended before it.
    let most = "select max(held) from (select sum(case kind when 'claimed' then 1 when 'finalized' then -1 else 0 end)
                over (order by created_at, kind desc, job_id range between unbounded preceding and current row) as held from events) as held";
    let most: u64 = test.value(most).await.parse().unwrap();
    assert!(most <= 16, "{most}");
}

#[tokio::test]
async fn one_free_slot_is_enough_for_all_the_others() {
    let test = TestDb::new().await;
    let (worker, jobs) = worker(&test, 8, 40, 7).await;
    let working = tokio::spawn(async move { worker.run(CancellationToken::new(), true).await });
    // A quarter of the slots will never be free.
    jobs.ended.subscribe().wait_for(|ended| *ended == 33).await.unwrap();
    jobs.go_on.add_permits(7);
    working.await.unwrap();
    assert_eq!(test.value("select count(*) from jobs where outcome = 'failed'").await, "40");
}

#[tokio::test]
async fn a_worker_that_shuts_down_gives_everything_back_at_once() {
    let test = TestDb::new().await;
    let (worker, jobs) = worker(&test, 8, 5, 5).await;
    let shutdown = CancellationToken::new();
    let working = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown, false).await }
    });
    while jobs.started.load(Ordering::SeqCst) < 5 {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    working.await.unwrap();
    assert_eq!(test.value("select count(*) from queue where state = 'ready' and attempt = 0 and run_at <= now()").await, "5");
}
