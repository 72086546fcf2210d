//! Claims: who gets which job, and under which lease.

use domain::{Epoch, JobId, Mode, NewJob, OwnerId};
use store::queue::{self, Claimed, LEASE};
use store::steps::Prepared;
use store::{Db, steps};
use testkit::{TestDb, new_job};

use crate::{count, held, now, queued, ready, seconds, take_step, waiting, write_job};

async fn claim(db: &Db, slots: u16) -> Vec<JobId> {
    let claimed = queue::claim(db, OwnerId::new(), Mode::Mechanic, slots, LEASE, None).await.unwrap();
    claimed.into_iter().map(|job| job.job_id).collect()
}

#[tokio::test]
async fn jobs_run_by_priority_then_by_time_then_by_age() {
    let test = TestDb::new().await;
    let late = ready(&test.db).await;
    let urgent = write_job(&test.db, &NewJob { priority: -1, ..new_job() }).await;
    let patient = write_job(&test.db, &NewJob { priority: 1, ..new_job() }).await;
    let (early, older, newer) = (ready(&test.db).await, ready(&test.db).await, ready(&test.db).await);
    let at = async |job_id, at: &str| {
        test.execute(&format!("update queue set run_at = '{at}' where job_id = '{job_id}'")).await;
    };
    at(late, "2025-01-03Z").await;
    at(early, "2025-01-01Z").await;
    at(older, "2025-01-02Z").await;
    at(newer, "2025-01-02Z").await;
    at(patient, "2024-01-01Z").await;
    let mut order = Vec::new();
    while let [job_id] = claim(&test.db, 1).await[..] {
        order.push(job_id);
    }
    assert_eq!(order, [urgent, early, older, newer, late, patient]);
}

#[tokio::test]
async fn no_claim_takes_more_than_its_slots() {
    let test = TestDb::new().await;
    for _ in 0..5 {
        ready(&test.db).await;
    }
    let taken = [claim(&test.db, 3).await.len(), claim(&test.db, 3).await.len(), claim(&test.db, 3).await.len()];
    assert_eq!(taken, [3, 2, 0]);
}

#[tokio::test]
async fn only_ready_jobs_of_the_mode_whose_time_has_come_are_taken() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    let genius = write_job(&test.db, &NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
    waiting(&test.db).await;
    held(&test.db).await;
    test.execute(&format!("update queue set run_at = now() + interval '1 hour' where job_id = '{job_id}'")).await;
    assert_eq!(claim(&test.db, 9).await, []);
    let later = now() + seconds(3_700);
    let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Mechanic, 9, LEASE, Some(later)).await.unwrap();
    assert_eq!(claimed.into_iter().map(|job| job.job_id).collect::<Vec<_>>(), [job_id]);
    let claimed = queue::claim(&test.db, OwnerId::new(), Mode::Genius, 9, LEASE, None).await.unwrap();
    assert_eq!(claimed.into_iter().map(|job| job.job_id).collect::<Vec<_>>(), [genius]);
}

#[tokio::test]
async fn one_job_is_claimed_by_its_id_if_it_is_ready() {
    let test = TestDb::new().await;
    let (other, job_id) = (ready(&test.db).await, ready(&test.db).await);
    let claim = async |job_id| queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap();
    let claimed = claim(job_id).await.unwrap();
    let whole = Claimed { job_id, repository: "acme/shop".to_owned(), mode: Mode::Mechanic, epoch: Epoch(1), attempt: 1, step_no: 0 };
    assert_eq!(claimed, whole);
    assert_eq!(claim(job_id).await, None, "it is taken");
    assert_eq!(claim(JobId::new()).await, None, "there is none");
    assert_eq!(claim(waiting(&test.db).await).await, None, "it waits");
    assert_eq!(queued(&test, other, "state").await, "ready");
}

#[tokio::test]
async fn every_claim_has_an_epoch_of_its_own() {
    let test = TestDb::new().await;
    let (job_id, first) = held(&test.db).await;
    queue::release(&test.db, job_id, first, "test").await.unwrap();
    let second = crate::claim(&test.db, job_id).await;
    crate::expire(&test, job_id).await;
    let third = crate::claim(&test.db, job_id).await;
    assert_eq!([first, second, third], [Epoch(1), Epoch(3), Epoch(5)]);
}

#[tokio::test]
async fn a_lease_runs_from_the_databases_clock_or_from_the_given_one() {
    let test = TestDb::new().await;
    let (job_id, _) = held(&test.db).await;
    let left = queued(&test, job_id, "extract(epoch from lease_until - now())").await.parse::<f64>().unwrap();
    assert!((20.0..=30.0).contains(&left), "{left}");
    let (job_id, at) = (ready(&test.db).await, now() + seconds(100));
    let owner = OwnerId::new();
    queue::claim_one(&test.db, owner, job_id, seconds(7), Some(at)).await.unwrap().unwrap();
    let until = queued(&test, job_id, "(extract(epoch from lease_until) * 1000000)::bigint").await;
    assert_eq!(until, ((at + seconds(7)).unix_timestamp_nanos() / 1_000).to_string());
    assert_eq!(queued(&test, job_id, "owner").await, owner.0.to_string());
}

#[tokio::test]
async fn a_later_worker_loads_what_the_earlier_ones_did() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    assert_eq!(steps::preparation(&test.db, job_id).await.unwrap(), steps::Preparation::default());
    steps::prepared(
        &test.db,
        job_id,
        epoch,
        Prepared {
            base_commit: "c0ffee",
            against: Some("facade"),
            notes: &["a \0 note".to_owned()],
            took: seconds(1),
            ..Prepared::default()
        },
    )
    .await
    .unwrap();
    take_step(&test.db, job_id, epoch, 1).await;
    let reservation = crate::reserve(&test.db, job_id, epoch, 2).await;
    steps::store_reply(&test.db, job_id, epoch, &crate::answer(2, reservation)).await.unwrap();
    crate::expire(&test, job_id).await;
    let claimed = queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap().unwrap();
    assert_eq!((claimed.attempt, claimed.step_no), (1, 1), "a step that was stored is progress");
    steps::prepared(
        &test.db,
        job_id,
        claimed.epoch,
        Prepared { base_commit: "another", notes: &[], took: seconds(1), ..Prepared::default() },
    )
    .await
    .unwrap();
    let work = steps::load(&test.db, job_id, claimed.epoch).await.unwrap();
    assert_eq!(work.job.base_commit.as_deref(), Some("c0ffee"), "the first preparation decides");
    let preparation = steps::Preparation { against: Some("facade".to_owned()), notes: vec!["a \u{fffd} note".to_owned()] };
    assert_eq!(steps::preparation(&test.db, job_id).await.unwrap(), preparation, "the first preparation decides");
    let seen: Vec<_> =
        work.steps.iter().map(|step| (step.step_no, step.reply.as_str(), step.results.is_some(), step.tree.as_deref())).collect();
    assert_eq!(seen, [(1, "the reply", true, Some("tree")), (2, "the reply", false, None)]);
    assert_eq!((work.spent.steps, work.spent.tokens, work.spent.cost_microusd.0, work.spent.active_ms), (2, 240, 300, 270));
    assert_eq!(steps::checkpoint(&test.db, job_id, 2).await.unwrap(), Some(("tree".to_owned(), b"pack".to_vec())));
    assert_eq!(steps::checkpoint(&test.db, job_id, 0).await.unwrap(), None);
    assert_eq!(count(&test, "steps").await, 3);
}
