//! What people do to a job: stop it, repeat it.

use domain::{Caps, Epoch, JobId, MicroUsd, Mode, NewJob, Outcome, OwnerId, Trigger};
use serde_json::json;
use store::effects::{self, EffectName};
use store::queue::{self, LEASE, Renewed};
use store::{Db, StoreError, finish, jobs, steps};
use testkit::{TestDb, new_job};

use crate::{claim, count, dump, held, queued, ready, succeeded, waiting, write_job};

async fn end(db: &Db, job_id: JobId, outcome: &Outcome) {
    let epoch = claim(db, job_id).await;
    finish::finish(db, job_id, epoch, outcome, &json!({})).await.unwrap();
}

#[tokio::test]
async fn the_holder_of_a_job_is_told_to_stop_and_keeps_its_lease() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    let (other, _) = held(&test.db).await;
    assert_eq!(queue::stop_requested(&test.db, &[job_id, other]).await.unwrap(), []);
    queue::stop(&test.db, job_id).await.unwrap();
    assert_eq!(queued(&test, job_id, "concat_ws(' ', state, epoch, outcome_pending)").await, "leased 1");
    assert_eq!(queue::stop_requested(&test.db, &[job_id, other]).await.unwrap(), [job_id]);
    let renewed = queue::renew(&test.db, &[(job_id, epoch)], LEASE, None).await.unwrap();
    assert_eq!(renewed, Renewed { lost: vec![], stop: vec![(job_id, epoch)] });
    let work = steps::load(&test.db, job_id, epoch).await.unwrap();
    assert_eq!((work.cancel_requested, work.outcome_pending), (true, None));
}

#[tokio::test]
async fn after_a_stop_no_call_is_reserved_and_no_push_is_intended() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::stop(&test.db, job_id).await.unwrap();
    let before = dump(&test).await;
    let reserved = steps::reserve(&test.db, job_id, epoch, crate::call(1)).await;
    assert!(matches!(reserved, Err(StoreError::Stopped(stopped)) if stopped == job_id), "{reserved:?}");
    let pushed = effects::intend(&test.db, job_id, epoch, EffectName::Branch, &json!({})).await;
    assert!(matches!(pushed, Err(StoreError::Stopped(stopped)) if stopped == job_id), "{pushed:?}");
    assert_eq!(dump(&test).await, before);
    // What was done before may be written down, and what people are told.
    effects::confirm(&test.db, job_id, epoch, EffectName::Branch, &json!({})).await.unwrap();
    effects::intend(&test.db, job_id, epoch, EffectName::Comment, &json!({})).await.unwrap();
    let lost = steps::reserve(&test.db, job_id, Epoch(epoch.0 + 1), crate::call(1)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
}

#[tokio::test]
async fn of_a_stop_and_a_call_at_the_same_time_one_is_first() {
    let test = TestDb::new().await;
    let mut called = 0;
    for _ in 0..40 {
        let (job_id, epoch) = held(&test.db).await;
        let (reserved, stopped) = tokio::join!(steps::reserve(&test.db, job_id, epoch, crate::call(1)), queue::stop(&test.db, job_id));
        stopped.unwrap();
        let order = format!(
            "select string_agg(kind, ' ' order by seq) from events where job_id = '{job_id}' and kind in ('model_called', 'stop_requested')"
        );
        match reserved {
            Ok(_) => {
                called += 1;
                assert_eq!(test.value(&order).await, "model_called stop_requested");
            }
            Err(StoreError::Stopped(_)) => assert_eq!(test.value(&order).await, "stop_requested"),
            Err(other) => panic!("{other:?}"),
        }
    }
    eprintln!("{called} of 40 calls were first");
}

#[tokio::test]
async fn an_end_that_was_decided_and_not_shown_gives_way_to_a_stop() {
    let test = TestDb::new().await;
    let (job_id, epoch) = held(&test.db).await;
    queue::decide(&test.db, job_id, epoch, &succeeded()).await.unwrap();
    assert!(!queue::decide_stopped(&test.db, job_id, epoch).await.unwrap(), "nobody asked for it");
    queue::stop(&test.db, job_id).await.unwrap();
    assert!(queue::decide_stopped(&test.db, job_id, epoch).await.unwrap());
    assert_eq!(steps::load(&test.db, job_id, epoch).await.unwrap().outcome_pending, Some(Outcome::Stopped));
}

#[tokio::test]
async fn a_job_that_nobody_holds_becomes_ready_to_be_ended_as_stopped() {
    let test = TestDb::new().await;
    let later = ready(&test.db).await;
    test.execute("update queue set run_at = now() + interval '1 hour'").await;
    for job_id in [later, waiting(&test.db).await] {
        queue::stop(&test.db, job_id).await.unwrap();
        let epoch = claim(&test.db, job_id).await;
        assert_eq!(steps::load(&test.db, job_id, epoch).await.unwrap().outcome_pending, Some(Outcome::Stopped));
    }
    assert_eq!(queue::claim_triage(&test.db, OwnerId::new(), None, LEASE, None).await.unwrap(), None, "none waits any more");
}

#[tokio::test]
async fn asking_twice_to_stop_changes_nothing() {
    let test = TestDb::new().await;
    let (leased, _) = held(&test.db).await;
    for job_id in [leased, ready(&test.db).await, waiting(&test.db).await] {
        queue::stop(&test.db, job_id).await.unwrap();
        let before = dump(&test).await;
        queue::stop(&test.db, job_id).await.unwrap();
        assert_eq!(dump(&test).await, before);
    }
    assert_eq!(count(&test, "events where kind = 'stop_requested'").await, 3);
}

#[tokio::test]
async fn a_stop_outlives_the_worker_that_it_was_for() {
    let test = TestDb::new().await;
    let (job_id, _) = held(&test.db).await;
    queue::stop(&test.db, job_id).await.unwrap();
    crate::expire(&test, job_id).await;
    let epoch = claim(&test.db, job_id).await;
    assert!(steps::load(&test.db, job_id, epoch).await.unwrap().cancel_requested);
}

#[tokio::test]
async fn what_has_ended_or_never_was_cannot_be_stopped() {
    let test = TestDb::new().await;
    let (done, dead, nothing) = (ready(&test.db).await, ready(&test.db).await, JobId::new());
    end(&test.db, done, &succeeded()).await;
    end(&test.db, dead, &Outcome::Dead { cause: "lost".to_owned() }).await;
    let before = dump(&test).await;
    for (job_id, said) in [
        (done, format!("job {done} is finished already: succeeded")),
        (dead, format!("job {dead} is finished already: dead")),
        (nothing, format!("no job {nothing}")),
    ] {
        assert_eq!(queue::stop(&test.db, job_id).await.unwrap_err().to_string(), said);
    }
    assert_eq!(dump(&test).await, before);
}

/// A finished job that asked for a model and for low caps.
async fn finished(db: &Db) -> JobId {
    let caps = Some(Caps { cost_microusd: MicroUsd(1), ..Caps::MECHANIC });
    let job =
        NewJob { model: Some("claude-haiku-4-5".to_owned()), caps, priority: 5, remote: Some("/srv/shop.git".to_owned()), ..new_job() };
    let job_id = write_job(db, &job).await;
    end(db, job_id, &succeeded()).await;
    job_id
}

#[tokio::test]
async fn a_retry_is_a_new_job_that_names_the_old_one() {
    let test = TestDb::new().await;
    let old_id = finished(&test.db).await;
    let new_id = jobs::retry(&test.db, old_id, None).await.unwrap();
    let (old, new) = (jobs::get(&test.db, old_id).await.unwrap().job, jobs::get(&test.db, new_id).await.unwrap().job);
    assert_ne!(new_id, old_id);
    assert_eq!((new.retry_of, new.trigger, new.finished.is_none()), (Some(old_id), Trigger::Retry, true));
    assert_eq!(
        (new.repository, new.remote, new.input, new.kind, new.mode, new.model, new.caps),
        (old.repository, old.remote, old.input, old.kind, old.mode, old.model, old.caps)
    );
    assert_ne!(jobs::retry(&test.db, old_id, None).await.unwrap(), new_id, "again is another one");
}

#[tokio::test]
async fn a_retry_in_another_mode_leaves_the_old_modes_model_and_caps_behind() {
    let test = TestDb::new().await;
    let old_id = finished(&test.db).await;
    let genius = jobs::get(&test.db, jobs::retry(&test.db, old_id, Some(Mode::Genius)).await.unwrap()).await.unwrap().job;
    assert_eq!((genius.mode, genius.model, genius.caps), (Some(Mode::Genius), None, None));
    let same = jobs::get(&test.db, jobs::retry(&test.db, old_id, Some(Mode::Mechanic)).await.unwrap()).await.unwrap().job;
    assert_eq!((same.mode, same.model.is_some(), same.caps.is_some()), (Some(Mode::Mechanic), true, true));
}

#[tokio::test]
async fn only_what_has_ended_can_be_repeated() {
    let test = TestDb::new().await;
    let (leased, _) = held(&test.db).await;
    for job_id in [leased, ready(&test.db).await, waiting(&test.db).await] {
        let before = dump(&test).await;
        let error = jobs::retry(&test.db, job_id, None).await.unwrap_err();
        assert!(matches!(&error, StoreError::Refused(said) if said.contains("is not finished")), "{error}");
        assert_eq!(dump(&test).await, before);
    }
    assert!(matches!(jobs::retry(&test.db, JobId::new(), None).await, Err(StoreError::NoJob(_))));
}
