//! Does each operation to the database and to the model, and compares.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use domain::{Epoch, JobId, Kind, Mode, NewJob, Outcome, OwnerId, QueueState};
use proptest_state_machine::StateMachineTest;
use sqlx::Row as _;
use store::queue::Claimed;
use store::steps::{self, Acted};
use store::{Db, StoreError, dlq, enqueue, finish, gates, lanes, queue};
use testkit::{TestDb, new_job};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use super::operations::{LANES, Operation, Operations};
use super::rules::{Model, Row, SECOND, Span};
use crate::succeeded;

/// How far the model's clock is ahead of the real one at least: what is ready now is due.
const AHEAD: i64 = 2 * SECOND;

/// A database of this thread, used again by every sequence.
struct World {
    runtime: Runtime,
    test: TestDb,
    db: Db,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

fn world() -> Rc<World> {
    WORLD.with_borrow_mut(|world| {
        let make = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (test, db) = runtime.block_on(async {
                let test = TestDb::new().await;
                let name = test.value("select current_database()").await;
                // Nothing is lost here that anybody would miss.
                test.execute(&format!("alter database {name} set synchronous_commit = off")).await;
                let db = Db::connect(&test.url, 2, Duration::from_secs(30)).await.unwrap();
                (test, db)
            });
            Rc::new(World { runtime, test, db })
        };
        world.get_or_insert_with(make).clone()
    })
}

/// One sequence under way.
pub struct Drive {
    world: Rc<World>,
    model: Model,
    jobs: Vec<JobId>,
    /// Every claim so far, the newest first: those that are lost by now, too.
    claims: Vec<(JobId, Epoch)>,
    offset: i64,
}

impl StateMachineTest for Drive {
    type SystemUnderTest = Self;
    type Reference = Operations;

    fn init_test(_: &()) -> Self {
        let world = world();
        world.runtime.block_on(async {
            for table in ["queue", "gates"] {
                world.test.execute(&format!("delete from {table}")).await;
            }
            world.test.execute("update lanes set max_running = null where max_running is not null").await;
        });
        Self { world, model: Model::default(), jobs: Vec::new(), claims: Vec::new(), offset: AHEAD }
    }

    fn apply(mut drive: Self, _: &(), operation: Operation) -> Self {
        let world = drive.world.clone();
        world.runtime.block_on(async {
            drive.operate(operation).await;
            drive.compare().await;
        });
        drive
    }

    fn teardown(drive: Self, _: ()) {
        let gaps = "select count(*) from (select count(*) as n, max(seq) as last from events where job_id = any($1) group by job_id) as e where n <> last";
        let ids: Vec<_> = drive.jobs.iter().map(|job| job.0).collect();
        let gaps: i64 = drive.world.runtime.block_on(sqlx::query_scalar(gaps).bind(ids).fetch_one(drive.world.db.pool())).unwrap();
        assert_eq!(gaps, 0, "every change has its event");
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap()
}

fn at(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap()
}

/// Whether a fenced write got through; nothing else may go wrong.
fn fenced<T>(result: Result<T, StoreError>) -> bool {
    match result {
        Ok(_) => true,
        Err(StoreError::LeaseLost { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whether a request was granted.
fn granted<T>(result: Result<T, StoreError>) -> bool {
    match result {
        Ok(_) => true,
        Err(StoreError::Refused(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

impl Drive {
    fn job(&self, no: usize) -> JobId {
        self.jobs[no % self.jobs.len()]
    }

    fn claim(&self, no: usize) -> (JobId, Epoch) {
        self.claims[no % self.claims.len()]
    }

    fn took(&mut self, claimed: &[Claimed]) {
        claimed.iter().for_each(|job| self.claims.insert(0, (job.job_id, job.epoch)));
    }

    async fn operate(&mut self, operation: Operation) {
        use Operation as Op;
        let world = self.world.clone();
        let (db, owner) = (&world.db, OwnerId::new());
        let before = micros(crate::now());
        let now = before + self.offset;
        let needs_job = matches!(
            operation,
            Op::ClaimOne { .. } | Op::Wake { .. } | Op::Stop { .. } | Op::Requeue { .. } | Op::Redrive { .. } | Op::Discard { .. }
        );
        let needs_claim = matches!(
            operation,
            Op::Triaged { .. }
                | Op::Release { .. }
                | Op::Fail { .. }
                | Op::WaitOut { .. }
                | Op::Step { .. }
                | Op::Decide { .. }
                | Op::Finish { .. }
                | Op::WaitFor { .. }
                | Op::Renew { .. }
        );
        if needs_job && self.jobs.is_empty() || needs_claim && self.claims.is_empty() {
            return;
        }
        // The database's own clock, within what this machine saw around the call.
        let real = || -> Span { (before - 1, micros(crate::now()) + 1) };
        let lease = Duration::from_secs;
        let until = |secs: u64| now + i64::try_from(secs).unwrap() * SECOND;
        match operation {
            Op::Enqueue { mode, lane, priority } => {
                let job = NewJob { repository: LANES[lane].to_owned(), mode, priority, ..new_job() };
                let enqueue::Enqueued::New(job_id) = enqueue::enqueue(db, &job, None, None, None).await.unwrap() else { unreachable!() };
                self.jobs.push(job_id);
                self.model.enqueue(job_id, LANES[lane], mode, priority, real());
            }
            Op::Claim { mode, slots, lease_secs } => {
                let claimed = queue::claim(db, owner, mode, slots, lease(lease_secs), Some(at(now))).await.unwrap();
                let got: Vec<JobId> = claimed.iter().map(|job| job.job_id).collect();
                self.model.claim(mode, slots.into(), now, until(lease_secs), &got);
                self.took(&claimed);
            }
            Op::ClaimOne { job, lease_secs } => {
                let job = self.job(job);
                let claimed = queue::claim_one(db, owner, job, lease(lease_secs), Some(at(now))).await.unwrap();
                assert_eq!(claimed.is_some(), self.model.claim_one(job, now, until(lease_secs)));
                self.took(claimed.as_slice());
            }
            Op::ClaimTriage { job, lease_secs } => {
                let job = job.filter(|_| !self.jobs.is_empty()).map(|no| self.job(no));
                let claimed = queue::claim_triage(db, owner, job, lease(lease_secs), Some(at(now))).await.unwrap();
                assert_eq!(claimed.map(|(job, _)| job), self.model.claim_triage(job, now, until(lease_secs)));
                claimed.into_iter().for_each(|claim| self.claims.insert(0, claim));
            }
            Op::Triaged { claim, mode } => {
                let (job, epoch) = self.claim(claim);
                // Only triage says this, of a job that it holds.
                if self.model.rows.get(&job).is_some_and(|row| row.mode.is_none()) {
                    let done = fenced(queue::triaged(db, job, epoch, (Kind::Change, mode), None, "asked for").await);
                    assert_eq!(done, self.model.triaged((job, epoch), mode, real()));
                }
            }
            Op::Renew { claims, lease_secs } => {
                let claims: BTreeSet<_> = claims.into_iter().map(|no| self.claim(no)).collect();
                let claims: Vec<_> = claims.into_iter().collect();
                let renewed = queue::renew(db, &claims, lease(lease_secs), Some(at(now))).await.unwrap();
                let (kept, lost): (Vec<_>, Vec<_>) = claims.iter().copied().partition(|claim| self.model.held(*claim).is_some());
                let stop: Vec<_> = kept.iter().copied().filter(|claim| self.model.held(*claim).unwrap().cancel).collect();
                assert_eq!((renewed.lost, renewed.stop), (lost, stop));
                kept.into_iter().for_each(|claim| self.model.held(claim).unwrap().lease_until = Some(until(lease_secs)));
            }
            Op::Release { claim } => {
                let (job, epoch) = self.claim(claim);
                let done = fenced(queue::release(db, job, epoch, "the worker shuts down").await);
                assert_eq!(done, self.model.release((job, epoch), real()));
            }
            Op::Fail { claim } => {
                let (job, epoch) = self.claim(claim);
                let attempt = match queue::fail_attempt(db, job, epoch, "the disk is full").await {
                    Err(StoreError::LeaseLost { .. }) => None,
                    attempt => Some(attempt.unwrap()),
                };
                assert_eq!(attempt, self.model.fail((job, epoch), real()));
            }
            Op::WaitOut { claim, patient } => {
                let (job, epoch) = self.claim(claim);
                let patience = lease(if patient { 36_000 } else { 0 });
                let done = fenced(queue::wait_out(db, job, epoch, "no key", lease(5), patience).await);
                assert_eq!(done, self.model.wait_out((job, epoch), patient, 5 * SECOND, real()));
            }
            Op::Step { claim } => {
                let (job, epoch) = self.claim(claim);
                let step_no = self.model.held((job, epoch)).map_or(1, |row| row.step_no + 1);
                let acted = Acted { step_no, results: &serde_json::json!({}), checkpoint: None, left_out: &[], took: Duration::ZERO };
                assert_eq!(fenced(steps::store_results(db, job, epoch, &acted).await), self.model.step((job, epoch)));
            }
            Op::Decide { claim } => {
                let (job, epoch) = self.claim(claim);
                let decided = match queue::decide(db, job, epoch, &succeeded()).await {
                    Err(StoreError::LeaseLost { .. }) => None,
                    outcome => Some(outcome.unwrap().name()),
                };
                assert_eq!(decided, self.model.decide((job, epoch), succeeded().name()));
            }
            Op::Finish { claim, dead } => {
                let (job, epoch) = self.claim(claim);
                // What never passed triage is only ever refused.
                if self.model.rows.get(&job).is_none_or(|row| row.mode.is_some()) {
                    let outcome = if dead { Outcome::Dead { cause: "lost".to_owned() } } else { succeeded() };
                    let done = fenced(finish::finish(db, job, epoch, &outcome, &serde_json::json!({})).await);
                    assert_eq!(done, self.model.finish((job, epoch), dead));
                }
            }
            Op::WaitFor { claim, what, secs } => {
                let (job, epoch) = self.claim(claim);
                let done = fenced(queue::wait_for(db, job, epoch, what, at(until(secs))).await);
                assert_eq!(done, self.model.wait_for((job, epoch), what, until(secs), real()));
            }
            Op::Wake { job } => assert_eq!(granted(queue::wake(db, self.job(job)).await), self.model.wake(self.job(job), real())),
            Op::WakeDue => {
                let woken =
                    queue::wake_due(db, Some(at(now))).await.unwrap().into_iter().map(|woken| woken.job_id).collect::<BTreeSet<_>>();
                assert_eq!(woken, self.model.wake_due(now));
            }
            Op::Sweep => {
                let swept: BTreeSet<_> = queue::sweep(db, Some(at(now))).await.unwrap().into_iter().collect();
                assert_eq!(swept, self.model.sweep(now));
            }
            Op::Stop { job } => assert_eq!(granted(queue::stop(db, self.job(job)).await), self.model.stop(self.job(job), real())),
            Op::Requeue { job } => assert_eq!(granted(queue::requeue(db, self.job(job)).await), self.model.requeue(self.job(job), real())),
            Op::Redrive { job } => assert_eq!(granted(dlq::redrive(db, self.job(job)).await), self.model.redrive(self.job(job), real())),
            Op::RedriveAll { lane } => {
                let filter = dlq::Filter { repository: Some(LANES[lane].to_owned()), ..dlq::Filter::default() };
                assert_eq!(dlq::redrive_all(db, &filter).await.unwrap(), self.model.redrive_all(LANES[lane], real()));
            }
            Op::Discard { job } => assert_eq!(granted(dlq::discard(db, self.job(job)).await), self.model.discard(self.job(job))),
            Op::Pause { scope } => {
                gates::pause(db, &scope, None).await.unwrap();
                self.model.closed.insert(scope.to_string());
            }
            Op::CloseByAlarm { scope } => {
                let close = "insert into gates (scope, reason, until, detail) values ($1, 'budget', 'infinity', '{\"alarm\": 1}')
                             on conflict (scope, reason) do nothing";
                sqlx::query(close).bind(scope.to_string()).execute(world.db.pool()).await.unwrap();
                self.model.closed.insert(scope.to_string());
            }
            Op::Resume { scope } => {
                assert_eq!(gates::resume(db, &scope).await.unwrap(), self.model.closed.remove(&scope.to_string()));
            }
            Op::Limit { lane, most } => {
                lanes::limit(db, LANES[lane], most).await.unwrap();
                match most {
                    Some(most) => self.model.limits.insert(LANES[lane].to_owned(), most.into()),
                    None => self.model.limits.remove(LANES[lane]),
                };
            }
            Op::Tend => lanes::tend(db).await.unwrap(),
            Op::Advance { secs } => self.offset += i64::try_from(secs).unwrap() * SECOND,
        }
    }

    /// Every row is what the model says; where it left a choice, what was chosen holds from here on.
    async fn compare(&mut self) {
        let ids: Vec<_> = self.jobs.iter().map(|job| job.0).collect();
        let rows = sqlx::query(
            "select jobs.job_id, outcome, lane, queue.mode, priority, state, waiting_for, run_at, attempt, epoch, lease_until,
                    retrying_since is not null as retrying, step_no, cancel_requested, outcome_pending ->> 'outcome' as pending
             from jobs left join queue using (job_id) where jobs.job_id = any($1)",
        );
        for row in rows.bind(ids).fetch_all(self.world.db.pool()).await.unwrap() {
            let job = JobId(row.get("job_id"));
            let outcome = row.get::<Option<&str>, _>("outcome").map(|name| name.parse().unwrap());
            assert_eq!(outcome, self.model.outcomes.get(&job).copied(), "job {job}");
            let there = row.get::<Option<String>, _>("lane").map(|lane| stored(&row, lane));
            let (Some(there), Some(expected)) = (&there, self.model.rows.get_mut(&job)) else {
                assert_eq!(there.is_some(), self.model.rows.contains_key(&job), "job {job}: {there:?}");
                continue;
            };
            let (not_before, not_after) = expected.run_at;
            assert!(
                (not_before..=not_after).contains(&there.run_at.0),
                "job {job}: run_at {:?} is not in {:?}",
                there.run_at,
                expected.run_at
            );
            expected.run_at = there.run_at;
            assert_eq!(there, expected, "job {job}");
        }
    }
}

fn stored(row: &sqlx::postgres::PgRow, lane: String) -> Row {
    let run_at = micros(row.get("run_at"));
    Row {
        lane,
        mode: row.get::<Option<&str>, _>("mode").map(|mode| mode.parse::<Mode>().unwrap()),
        priority: row.get("priority"),
        state: row.get::<&str, _>("state").parse::<QueueState>().unwrap(),
        waiting_for: row.get::<Option<&str>, _>("waiting_for").map(|what| what.parse().unwrap()),
        run_at: (run_at, run_at),
        attempt: row.get("attempt"),
        epoch: row.get("epoch"),
        lease_until: row.get::<Option<OffsetDateTime>, _>("lease_until").map(micros),
        retrying: row.get("retrying"),
        step_no: row.get("step_no"),
        cancel: row.get("cancel_requested"),
        pending: row.get::<Option<&str>, _>("pending").map(|name| name.parse().unwrap()),
    }
}
