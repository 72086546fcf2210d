//! Attempts that end without a result: leases that ran out, attempts that failed, jobs given back.

use domain::{Epoch, JobId, Mode, Outcome, OwnerId};
use store::queue::{self, LEASE};
use store::{Db, finish, steps};
use testkit::TestDb;
use time::OffsetDateTime;

use crate::{act, claim, expire, held, now, queued, ready, seconds, waiting};

/// Claims whatever is ready at `at`, far enough ahead of any backoff, and lets it run out. Returns when it was
/// swept.
async fn lose(db: &Db, at: OffsetDateTime) -> OffsetDateTime {
    queue::claim(db, OwnerId::new(), Mode::Mechanic, 64, LEASE, Some(at)).await.unwrap();
    let end = at + LEASE + seconds(1);
    queue::sweep(db, Some(end)).await.unwrap();
    end
}

/// The seconds that each job has to wait from `at` on.
async fn waits(test: &TestDb, at: OffsetDateTime) -> Vec<f64> {
    let at_us = at.unix_timestamp_nanos() / 1_000;
    let listed = test.value(&format!("select string_agg((extract(epoch from run_at) - {at_us} / 1000000.0)::text, ' ') from queue")).await;
    listed.split(' ').map(|seconds| seconds.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_lease_is_taken_back_when_it_ran_out_and_not_before() {
    let test = TestDb::new().await;
    let (job_id, start) = (ready(&test.db).await, now());
    queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, Some(start)).await.unwrap().unwrap();
    assert_eq!(queue::sweep(&test.db, Some(start + seconds(29))).await.unwrap(), []);
    assert_eq!(queue::sweep(&test.db, Some(start + seconds(30))).await.unwrap(), [job_id]);
    assert_eq!(queue::sweep(&test.db, Some(start + seconds(30))).await.unwrap(), [], "it is taken back once");
    let row = "concat_ws(' ', state, epoch, attempt, owner, lease_until, outcome_pending)";
    assert_eq!(queued(&test, job_id, row).await, "ready 2 1");
    assert_eq!(test.value("select data ->> 'attempt' from events where kind = 'lease_expired'").await, "1");
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_back() {
    let test = TestDb::new().await;
    let (kept, left, start) = (ready(&test.db).await, ready(&test.db).await, now());
    for job_id in [kept, left] {
        queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, Some(start)).await.unwrap().unwrap();
    }
    let renewed = queue::renew(&test.db, &[(kept, Epoch(1))], LEASE, Some(start + seconds(20))).await.unwrap();
    assert_eq!(renewed, queue::Renewed::default());
    assert_eq!(queue::sweep(&test.db, Some(start + seconds(49))).await.unwrap(), [left]);
    assert_eq!(queue::sweep(&test.db, Some(start + seconds(50))).await.unwrap(), [kept]);
}

#[tokio::test]
async fn a_renewal_tells_which_leases_are_lost_and_keeps_the_others() {
    let test = TestDb::new().await;
    let (mine, epoch) = held(&test.db).await;
    let (lost, old) = held(&test.db).await;
    expire(&test, lost).await;
    let never = JobId::new();
    let renewed = queue::renew(&test.db, &[(mine, epoch), (lost, old), (never, Epoch(1))], LEASE, None).await.unwrap();
    assert_eq!((renewed.lost, renewed.stop), (vec![(lost, old), (never, Epoch(1))], vec![]));
    let leases = [(mine, epoch), (lost, old), (never, Epoch(1))];
    assert_eq!(queue::still_held(&test.db, &leases).await.unwrap(), [(mine, epoch)]);
}

#[tokio::test]
async fn the_first_loss_costs_no_time_and_further_ones_more_and_more_but_not_all_the_same() {
    let test = TestDb::new().await;
    for _ in 0..20 {
        ready(&test.db).await;
    }
    let mut at = now();
    for (attempt, most) in [(1, 0.0), (2, 4.0), (3, 8.0), (4, 16.0)] {
        at = lose(&test.db, at + seconds(600)).await;
        let waits = waits(&test, at).await;
        assert!(waits.iter().all(|wait| (0.0..=most).contains(wait)), "attempt {attempt}: {waits:?}");
        assert_eq!(waits.iter().any(|wait| *wait > most / 2.0), attempt > 1, "attempt {attempt}: {waits:?}");
        assert_eq!(waits.iter().any(|wait| *wait != waits[0]), attempt > 1, "attempt {attempt}: {waits:?}");
    }
}

#[tokio::test]
async fn after_the_last_attempt_a_job_is_only_finalized_as_dead() {
    let test = TestDb::new().await;
    let (job_id, mut at) = (ready(&test.db).await, now());
    for attempt in 1..=Mode::Mechanic.max_attempts() {
        assert_eq!(queued(&test, job_id, "outcome_pending").await, "", "before attempt {attempt}");
        at = lose(&test.db, at + seconds(600)).await;
    }
    at += seconds(600);
    let claimed = queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, Some(at)).await.unwrap().unwrap();
    let work = steps::load(&test.db, job_id, claimed.epoch).await.unwrap();
    let dead = Outcome::Dead { cause: "its worker was lost 5 times without progress".to_owned() };
    assert_eq!(work.outcome_pending, Some(dead.clone()));
    // Losing the one who finalizes changes nothing of how it ends.
    queue::sweep(&test.db, Some(at + seconds(31))).await.unwrap();
    let again = queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, Some(at + seconds(900))).await.unwrap().unwrap();
    assert_eq!(steps::load(&test.db, job_id, again.epoch).await.unwrap().outcome_pending, Some(dead.clone()));
    finish::finish(&test.db, job_id, again.epoch, &dead, &serde_json::json!({})).await.unwrap();
    assert_eq!(queued(&test, job_id, "state").await, "dead");
    assert_eq!(queue::sweep(&test.db, Some(at + seconds(9_000))).await.unwrap(), [], "a dead job rests");
}

#[tokio::test]
async fn a_lost_triage_waits_for_triage_again_until_its_last_attempt() {
    let test = TestDb::new().await;
    let (job_id, mut at) = (waiting(&test.db).await, now());
    for attempt in 1..=Mode::Mechanic.max_attempts() {
        assert_eq!(queued(&test, job_id, "concat(state, waiting_for)").await, "waitingtriage", "before attempt {attempt}");
        at += seconds(600);
        queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, Some(at)).await.unwrap().unwrap();
        queue::sweep(&test.db, Some(at + seconds(30))).await.unwrap();
    }
    // Whoever claims next only tells that it ended.
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, mode, outcome_pending ->> 'outcome')").await, "ready mechanic dead");
}

#[tokio::test]
async fn a_job_given_back_is_ready_at_once_and_the_attempt_does_not_count() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::release(&test.db, job_id, epoch, "the worker shuts down").await.unwrap();
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, attempt, run_at <= now())").await, "ready 0 t");
    assert_eq!(queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap().unwrap().attempt, 1);
    let triage = waiting(&test.db).await;
    let (_, epoch) = queue::claim_triage(&test.db, OwnerId::new(), Some(triage), LEASE, None).await.unwrap().unwrap();
    queue::release(&test.db, triage, epoch, "the worker shuts down").await.unwrap();
    assert_eq!(queued(&test, triage, "concat_ws(' ', state, waiting_for, attempt)").await, "waiting triage 0");
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_another_after_a_pause() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    assert_eq!(queue::fail_attempt(&test.db, job_id, epoch, "the disk is full").await.unwrap(), 1);
    let wait = queued(&test, job_id, "extract(epoch from run_at - now())").await.parse::<f64>().unwrap();
    assert!(wait <= 2.0, "{wait}");
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, attempt, owner)").await, "ready 1");
    assert_eq!(test.value("select data ->> 'cause' from events where kind = 'attempt_failed'").await, "the disk is full");
}

#[tokio::test]
async fn a_provider_that_is_away_is_waited_for_and_uses_up_no_attempt() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    for _ in 0..2 * Mode::Mechanic.max_attempts() {
        test.execute("update queue set run_at = now()").await;
        let epoch = claim(&test.db, job_id).await;
        queue::wait_out(&test.db, job_id, epoch, "rate limited", seconds(600), seconds(3_600)).await.unwrap();
        let row =
            "concat_ws(' ', state, attempt, outcome_pending, run_at - now() between interval '599 seconds' and interval '900 seconds')";
        assert_eq!(queued(&test, job_id, row).await, "ready 0 t");
    }
}

#[tokio::test]
async fn patience_that_is_over_ends_the_job_with_the_cause_and_progress_renews_it() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::wait_out(&test.db, job_id, epoch, "rate limited", seconds(0), seconds(60)).await.unwrap();
    let long_ago = "update queue set run_at = now(), retrying_since = now() - interval '1 hour'";
    test.execute(long_ago).await;
    let epoch = claim(&test.db, job_id).await;
    act(&test.db, job_id, epoch, 1).await;
    assert_eq!(queued(&test, job_id, "retrying_since").await, "", "a step is progress");
    queue::wait_out(&test.db, job_id, epoch, "rate limited", seconds(0), seconds(60)).await.unwrap();
    test.execute(long_ago).await;
    let epoch = claim(&test.db, job_id).await;
    queue::wait_out(&test.db, job_id, epoch, "no key", seconds(600), seconds(60)).await.unwrap();
    let epoch = claim(&test.db, job_id).await;
    let pending = steps::load(&test.db, job_id, epoch).await.unwrap().outcome_pending;
    assert_eq!(pending, Some(Outcome::Dead { cause: "no key".to_owned() }), "and nobody waits for that");
}

#[tokio::test]
async fn an_end_that_is_decided_is_the_one_that_holds() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    assert_eq!(queue::decide(&test.db, job_id, epoch, &Outcome::Stopped).await.unwrap(), Outcome::Stopped);
    let other = Outcome::Failed { cause: "later".to_owned() };
    assert_eq!(queue::decide(&test.db, job_id, epoch, &other).await.unwrap(), Outcome::Stopped);
    expire(&test, job_id).await;
    let epoch = claim(&test.db, job_id).await;
    assert_eq!(steps::load(&test.db, job_id, epoch).await.unwrap().outcome_pending, Some(Outcome::Stopped));
}

#[tokio::test]
async fn the_last_failed_attempt_ends_the_job_with_its_cause() {
    let test = TestDb::new().await;
    let job_id = ready(&test.db).await;
    for attempt in 1..=Mode::Mechanic.max_attempts() {
        test.execute("update queue set run_at = now()").await;
        let epoch = claim(&test.db, job_id).await;
        assert_eq!(queue::fail_attempt(&test.db, job_id, epoch, "the disk is full").await.unwrap(), attempt);
    }
    let epoch = claim(&test.db, job_id).await;
    let pending = steps::load(&test.db, job_id, epoch).await.unwrap().outcome_pending;
    assert_eq!(pending, Some(Outcome::Dead { cause: "the disk is full".to_owned() }), "and nobody waits for that");
}

#[tokio::test]
async fn progress_lets_attempts_count_from_zero_again() {
    let test = TestDb::new().await;
    let (job_id, _) = held(&test.db).await;
    expire(&test, job_id).await;
    let epoch = claim(&test.db, job_id).await;
    assert_eq!(queued(&test, job_id, "attempt").await, "2");
    act(&test.db, job_id, epoch, 1).await;
    assert_eq!(queued(&test, job_id, "concat_ws(' ', attempt, step_no)").await, "0 1");
    expire(&test, job_id).await;
    assert_eq!(queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, None).await.unwrap().unwrap().attempt, 1);
}

#[tokio::test]
async fn whoever_gives_back_a_job_that_only_has_to_end_does_not_send_it_to_triage() {
    let test = TestDb::new().await;
    let job_id = waiting(&test.db).await;
    for _ in 0..Mode::Mechanic.max_attempts() {
        test.execute("update queue set run_at = now()").await;
        let (_, epoch) = queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().unwrap();
        queue::fail_attempt(&test.db, job_id, epoch, "the forge is away").await.unwrap();
    }
    let epoch = claim(&test.db, job_id).await;
    queue::release(&test.db, job_id, epoch, "the worker shuts down").await.unwrap();
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, outcome_pending ->> 'outcome')").await, "ready dead");
}
