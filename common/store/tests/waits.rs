//! Jobs that wait without a worker, and jobs that somebody makes ready again.

use domain::{Mode, NewJob, Outcome, OwnerId, QueueState, WaitingFor};
use store::queue::{self, LEASE, Woken};
use store::{StoreError, dlq, steps};
use testkit::{TestDb, new_job};

use crate::{act, claim, count, dump, held, now, queued, ready, seconds, succeeded, take_step, waiting};

const ROW: &str = "concat_ws(' ', state, waiting_for, mode, attempt, epoch, owner, lease_until)";

#[tokio::test]
async fn a_job_that_waits_holds_no_worker_and_is_ready_when_its_time_has_come() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    let until = now() + seconds(60);
    queue::wait_for(&test.db, job_id, epoch, WaitingFor::Snooze, until).await.unwrap();
    assert_eq!(queued(&test, job_id, ROW).await, "waiting snooze mechanic 0 2");
    assert_eq!(queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, Some(until)).await.unwrap(), None);
    assert_eq!(queue::wake_due(&test.db, Some(until - seconds(1))).await.unwrap(), []);
    let woken = Woken { job_id, waited_for: WaitingFor::Snooze };
    assert_eq!(queue::wake_due(&test.db, Some(until)).await.unwrap(), [woken]);
    assert_eq!(queue::wake_due(&test.db, Some(until)).await.unwrap(), []);
    assert!(queue::claim_one(&test.db, OwnerId::new(), job_id, LEASE, Some(until)).await.unwrap().is_some());
    let kinds =
        "select string_agg(kind || coalesce(data ->> 'waiting_for', '') || coalesce(data ->> 'by', ''), ' ' order by seq) from events";
    assert_eq!(test.value(kinds).await, "enqueued claimed snoozedsnooze wokentime claimed");
}

#[tokio::test]
async fn an_answer_ends_the_wait_at_once() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::wait_for(&test.db, job_id, epoch, WaitingFor::Answer, now() + seconds(3_600)).await.unwrap();
    queue::wake(&test.db, job_id).await.unwrap();
    claim(&test.db, job_id).await;
    for not_waiting in [job_id, waiting(&test.db).await] {
        let error = queue::wake(&test.db, not_waiting).await.unwrap_err();
        assert!(matches!(&error, StoreError::Refused(said) if said.contains("only what waits")), "{error}");
    }
}

#[tokio::test]
async fn who_waited_before_it_passed_triage_goes_to_triage() {
    let test = TestDb::new().await;
    let job_id = waiting(&test.db).await;
    let (_, epoch) = queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().unwrap();
    queue::wait_for(&test.db, job_id, epoch, WaitingFor::Answer, now() + seconds(60)).await.unwrap();
    assert_eq!(queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap(), None);
    queue::wake(&test.db, job_id).await.unwrap();
    assert_eq!(queued(&test, job_id, ROW).await, "waiting triage 0 3");
    assert!(queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().is_some());
}

#[tokio::test]
async fn a_job_that_is_to_stop_does_not_wait() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::stop(&test.db, job_id).await.unwrap();
    queue::wait_for(&test.db, job_id, epoch, WaitingFor::Budget, now() + seconds(60)).await.unwrap();
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, waiting_for, outcome_pending ->> 'outcome')").await, "ready stopped");
    let (snoozed, epoch) = held(&test.db).await;
    queue::wait_for(&test.db, snoozed, epoch, WaitingFor::Snooze, now() + seconds(60)).await.unwrap();
    queue::stop(&test.db, snoozed).await.unwrap();
    assert_eq!(queued(&test, snoozed, "concat_ws(' ', state, waiting_for, outcome_pending ->> 'outcome')").await, "ready stopped");
}

#[tokio::test]
async fn a_stop_is_an_end_that_is_decided_however_the_lease_ends() {
    let test = TestDb::new().await;
    for how in ["release", "fail", "wait out", "expire"] {
        let (job_id, epoch) = held(&test.db).await;
        queue::stop(&test.db, job_id).await.unwrap();
        match how {
            "release" => queue::release(&test.db, job_id, epoch, "the worker shuts down").await.unwrap(),
            "fail" => drop(queue::fail_attempt(&test.db, job_id, epoch, "the disk is full").await.unwrap()),
            "wait out" => queue::wait_out(&test.db, job_id, epoch, "no key", seconds(60), seconds(600)).await.unwrap(),
            _ => crate::expire(&test, job_id).await,
        }
        let row = "concat_ws(' ', state, run_at <= now(), outcome_pending ->> 'outcome')";
        assert_eq!(queued(&test, job_id, row).await, "ready t stopped", "{how}");
    }
}

#[tokio::test]
async fn an_end_that_could_not_be_told_is_not_tried_again_at_once() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::decide(&test.db, job_id, epoch, &succeeded()).await.unwrap();
    queue::wait_out(&test.db, job_id, epoch, "the forge is away", seconds(60), seconds(600)).await.unwrap();
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, run_at > now() + interval '59 s')").await, "ready t");
}

#[tokio::test]
async fn requeued_is_ready_now_whatever_it_was() {
    let test = TestDb::new().await;
    let (leased, epoch) = held(&test.db).await;
    take_step(&test.db, leased, epoch, 1).await;
    let backing_off = ready(&test.db).await;
    test.execute(&format!("update queue set run_at = now() + interval '1 hour', attempt = 3 where job_id = '{backing_off}'")).await;
    let (snoozed, epoch) = held(&test.db).await;
    queue::wait_for(&test.db, snoozed, epoch, WaitingFor::Snooze, now() + seconds(60)).await.unwrap();
    let (dead, epoch) = held(&test.db).await;
    store::finish::finish(&test.db, dead, epoch, &Outcome::Dead { cause: "lost".to_owned() }, &serde_json::json!({})).await.unwrap();
    for (job_id, was) in
        [(leased, QueueState::Leased), (backing_off, QueueState::Ready), (snoozed, QueueState::Waiting), (dead, QueueState::Dead)]
    {
        assert_eq!(queue::requeue(&test.db, job_id).await.unwrap(), was);
        assert_eq!(
            queued(&test, job_id, "concat_ws(' ', state, waiting_for, attempt, owner, run_at <= now())").await,
            "ready 0 t",
            "{was}"
        );
        claim(&test.db, job_id).await;
    }
    assert_eq!(queued(&test, leased, "step_no").await, "1", "what it did so far is kept");
}

#[tokio::test]
async fn requeued_before_it_passed_triage_is_triaged_again() {
    let test = TestDb::new().await;
    let job_id = waiting(&test.db).await;
    queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap().unwrap();
    assert_eq!(queue::requeue(&test.db, job_id).await.unwrap(), QueueState::Leased);
    assert_eq!(queued(&test, job_id, ROW).await, "waiting triage 0 2");
}

#[tokio::test]
async fn what_has_ended_cannot_be_requeued() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    store::finish::finish(&test.db, job_id, epoch, &succeeded(), &serde_json::json!({})).await.unwrap();
    let before = dump(&test).await;
    let error = queue::requeue(&test.db, job_id).await.unwrap_err().to_string();
    assert_eq!(error, format!("job {job_id} is finished already: succeeded; `codeteam retry {job_id}` repeats it"));
    assert!(matches!(queue::requeue(&test.db, domain::JobId::new()).await, Err(StoreError::NoJob(_))));
    assert_eq!(dump(&test).await, before);
}

/// Jobs that died of `cause`.
async fn dead(test: &TestDb, repository: &str, mode: Mode, cause: &str) -> domain::JobId {
    let job_id = crate::write_job(&test.db, &NewJob { repository: repository.to_owned(), mode: Some(mode), ..new_job() }).await;
    let epoch = claim(&test.db, job_id).await;
    let outcome = Outcome::Dead { cause: cause.to_owned() };
    store::finish::finish(&test.db, job_id, epoch, &outcome, &serde_json::json!({})).await.unwrap();
    job_id
}

#[tokio::test]
async fn a_redriven_job_goes_on_from_where_it_stood() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    take_step(&test.db, job_id, epoch, 1).await;
    let outcome = Outcome::Dead { cause: "lost".to_owned() };
    store::finish::finish(&test.db, job_id, epoch, &outcome, &serde_json::json!({})).await.unwrap();
    dlq::redrive(&test.db, job_id).await.unwrap();
    assert!(store::jobs::get(&test.db, job_id).await.unwrap().job.finished.is_none());
    let epoch = claim(&test.db, job_id).await;
    let work = steps::load(&test.db, job_id, epoch).await.unwrap();
    assert_eq!((work.outcome_pending, work.steps.len(), work.attempt, work.spent.cost_microusd), (None, 1, 1, crate::COST));
    act(&test.db, job_id, epoch, 2).await;
    store::finish::finish(&test.db, job_id, epoch, &succeeded(), &serde_json::json!({})).await.unwrap();
    assert_eq!(store::ledger::verify(&test.db, None).await.unwrap().faults, []);
    assert_eq!(test.value("select concat_ws(' ', outcome, steps, cost_microusd) from jobs").await, "succeeded 2 150");
}

#[tokio::test]
async fn a_discarded_job_leaves_the_queue_and_stays_dead() {
    let test = TestDb::new().await;
    let job_id = dead(&test, "acme/shop", Mode::Mechanic, "lost").await;
    dlq::discard(&test.db, job_id).await.unwrap();
    assert_eq!((count(&test, "queue").await, test.value("select outcome from jobs").await.as_str()), (0, "dead"));
    assert_eq!(test.value("select kind from events order by seq desc limit 1").await, "discarded");
    for error in [dlq::discard(&test.db, job_id).await.unwrap_err(), dlq::redrive(&test.db, job_id).await.unwrap_err()] {
        assert_eq!(error.to_string(), format!("job {job_id} is finished and not in the dead-letter queue: dead"));
    }
    let ready = ready(&test.db).await;
    assert_eq!(dlq::discard(&test.db, ready).await.unwrap_err().to_string(), format!("job {ready} is ready, not dead"));
}

#[tokio::test]
async fn what_matches_a_filter_is_moved_and_nothing_else() {
    let test = TestDb::new().await;
    let disk = dead(&test, "acme/shop", Mode::Mechanic, "The Disk is full").await;
    let lost = dead(&test, "acme/shop", Mode::Mechanic, "lost").await;
    let genius = dead(&test, "acme/shop", Mode::Genius, "lost").await;
    let other = dead(&test, "acme/other", Mode::Mechanic, "lost").await;
    test.execute(&format!("update jobs set finished_at = now() - interval '2 days' where job_id = '{other}'")).await;
    let filter = dlq::Filter::default;
    for (filter, matching) in [
        (filter(), vec![disk, lost, genius, other]),
        (dlq::Filter { repository: Some("acme/shop".to_owned()), ..filter() }, vec![disk, lost, genius]),
        (dlq::Filter { mode: Some(Mode::Genius), ..filter() }, vec![genius]),
        (dlq::Filter { cause: Some("disk".to_owned()), ..filter() }, vec![disk]),
        (dlq::Filter { cause: Some("100%".to_owned()), ..filter() }, vec![]),
        (dlq::Filter { dead_for: Some(seconds(86_400)), ..filter() }, vec![other]),
    ] {
        let listed = dlq::list(&test.db, &filter, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|dead| dead.job_id).collect::<Vec<_>>(), matching, "{filter:?}");
    }
    let page = dlq::list(&test.db, &filter(), Some(lost), 1).await.unwrap();
    assert_eq!(page.iter().map(|dead| (dead.job_id, dead.cause.as_str())).collect::<Vec<_>>(), [(genius, "lost")]);
    let discard = async |filter: dlq::Filter| dlq::discard_all(&test.db, &filter).await.unwrap();
    assert_eq!(discard(dlq::Filter { repository: Some("acme/nowhere".to_owned()), ..filter() }).await, 0);
    assert_eq!(discard(dlq::Filter { dead_for: Some(seconds(259_200)), ..filter() }).await, 0);
    assert_eq!(dlq::redrive_all(&test.db, &dlq::Filter { cause: Some("disk".to_owned()), ..filter() }).await.unwrap(), 1);
    assert_eq!(queued(&test, disk, "state").await, "ready");
    assert_eq!(discard(dlq::Filter { mode: Some(Mode::Genius), ..filter() }).await, 1);
    assert_eq!(discard(dlq::Filter { dead_for: Some(seconds(86_400)), ..filter() }).await, 1);
    assert_eq!(
        test.value("select string_agg(job_id || ' ' || state, ', ' order by job_id) from queue").await,
        format!("{disk} ready, {lost} dead")
    );
}

#[tokio::test]
async fn more_than_a_batch_is_moved_whole() {
    let test = TestDb::new().await;
    test.execute(
        "with dead as (
             insert into jobs (job_id, repository, kind, mode, trigger, input, finished_at, outcome, outcome_detail)
             select gen_random_uuid(), 'acme/shop', 'change', 'mechanic', '{}', '{}', now(), 'dead', '{\"cause\": \"lost\"}'
             from generate_series(1, 2500)
             returning job_id
         )
         insert into queue (job_id, lane, mode, state, event_seq) select job_id, 'acme/shop', 'mechanic', 'dead', 7 from dead",
    )
    .await;
    assert_eq!(dlq::redrive_all(&test.db, &dlq::Filter::default()).await.unwrap(), 2_500);
    assert_eq!(count(&test, "queue where state = 'ready' and event_seq = 8").await, 2_500);
    assert_eq!(count(&test, "jobs where finished_at is null").await, 2_500);
    test.execute("update queue set state = 'dead'").await;
    assert_eq!(dlq::discard_all(&test.db, &dlq::Filter::default()).await.unwrap(), 2_500);
    assert_eq!((count(&test, "queue").await, count(&test, "events").await), (0, 5_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_move_one_dead_job_one_succeeds() {
    let test = std::sync::Arc::new(TestDb::new().await);
    for _ in 0..5 {
        let job_id = dead(&test, "acme/shop", Mode::Mechanic, "lost").await;
        let mut movers = tokio::task::JoinSet::new();
        for mover in 0..8 {
            let test = test.clone();
            movers.spawn(async move {
                match mover % 2 {
                    0 => dlq::redrive(&test.db, job_id).await.is_ok(),
                    _ => dlq::discard(&test.db, job_id).await.is_ok(),
                }
            });
        }
        assert_eq!(movers.join_all().await.into_iter().filter(|moved| *moved).count(), 1);
    }
    assert_eq!(count(&test, "events where kind in ('redriven', 'discarded')").await, 5);
}
