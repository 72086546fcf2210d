//! Jobs stand still.

use domain::{Event, EventKind, JobId, Mode, NewJob, OwnerId};
use serde_json::json;
use store::queue::{self, LEASE};
use store::{alarms, events, hints, load};
use testkit::new_job;

use crate::world::World;

const NOTHING: [serde_json::Value; 0] = [];

/// The last thing that was written of the job was written so many minutes ago.
async fn stands_still(world: &World, job_id: JobId, minutes: u32) {
    let aged = format!(
        "with moved as (update queue set event_seq = event_seq + 1 where job_id = '{job_id}' returning event_seq)
         insert into events (job_id, seq, kind, data, created_at)
         select '{job_id}', event_seq, 'model_called', '{{}}', now() - interval '{minutes} minutes' from moved"
    );
    world.test.execute(&aged).await;
}

#[tokio::test]
async fn a_job_that_stands_still_is_taken_away_and_tried_again() {
    let world = World::new().await;
    let owner = OwnerId::new();
    let (stuck, epoch) = world.held(owner).await;
    let (busy, _) = world.held(owner).await;
    stands_still(&world, stuck, 11).await;
    stands_still(&world, busy, 9).await;
    assert_eq!(load::stuck(&world.test.db, alarms::STUCK_AFTER).await.unwrap(), 1);
    let actions = world.goes_off("stuck-jobs").await;
    let secs = actions[0]["idle_secs"].as_i64().unwrap();
    assert!((660..670).contains(&secs), "{secs}");
    let [(subject, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert_eq!(
        actions,
        [
            json!({
                "action": "unstuck", "job_id": stuck, "repository": "acme/shop", "mode": "mechanic", "owner": owner.0, "idle_secs": secs,
                "attempt": 1, "given_up": false,
            }),
            json!({ "action": "told", "subject": subject, "text": text }),
        ]
    );
    assert_eq!(subject, "ai-coding-team-prod-stuck-jobs: 1 jobs stood still");
    assert!(text.contains(&format!("`codeteam show {stuck}`")) && !text.contains("codeteam dlq"), "{text}");
    assert_eq!(world.queued(stuck, "concat_ws(' ', state, epoch, attempt, owner, lease_until, outcome_pending)").await, "ready 2 1");
    assert_eq!(world.queued(busy, "concat_ws(' ', state, epoch)").await, "leased 1");
    let event = world.last_event(stuck).await;
    assert!(event.starts_with("attempt_failed ") && event.contains(&format!(r#""cause": "it stood still for {secs} s""#)), "{event}");
    assert!(event.contains(r#""alarm": 1"#), "{event}");
    // Who held it is locked out.
    let late = events::append(&world.test.db, stuck, epoch, &Event::new(EventKind::Prepared, json!({}))).await;
    assert!(late.is_err());
    assert_eq!(load::stuck(&world.test.db, alarms::STUCK_AFTER).await.unwrap(), 0);
}

#[tokio::test]
async fn after_its_last_attempt_it_is_given_up_with_the_cause_and_people_are_told() {
    let world = World::new().await;
    let (job_id, _) = world.held(OwnerId::new()).await;
    world.test.execute("update queue set attempt = 5").await;
    stands_still(&world, job_id, 30).await;
    let actions = world.goes_off("stuck-jobs").await;
    assert_eq!(actions[0]["given_up"], json!(true));
    let decided = world.queued(job_id, "concat_ws(' ', state, outcome_pending ->> 'outcome', outcome_pending ->> 'cause')").await;
    assert_eq!(decided, "ready dead it stood still for more than 600 s under its lease, in attempt 5 without progress");
    let [(subject, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert_eq!(subject, "ai-coding-team-prod-stuck-jobs: 1 jobs stood still, 1 were given up");
    assert!(text.contains(&format!("`codeteam dlq redrive {job_id}`")), "{text}");
}

#[tokio::test]
async fn what_others_say_to_a_job_is_no_progress_and_what_its_worker_writes_is() {
    let world = World::new().await;
    let (told, _) = world.held(OwnerId::new()).await;
    let (works, epoch) = world.held(OwnerId::new()).await;
    for job_id in [told, works] {
        stands_still(&world, job_id, 20).await;
    }
    hints::give(&world.test.db, told, "try the other file", "ada").await.unwrap();
    events::append(&world.test.db, works, epoch, &Event::new(EventKind::Prepared, json!({}))).await.unwrap();
    let actions = world.goes_off("stuck-jobs").await;
    assert_eq!((actions.len(), &actions[0]["job_id"]), (2, &json!(told)));
}

#[tokio::test]
async fn a_genius_triage_and_a_job_that_was_asked_to_stop_are_taken_back_to_where_they_belong() {
    let world = World::new().await;
    let db = &world.test.db;
    let genius = world.write(NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
    queue::claim_one(db, OwnerId::new(), genius, LEASE, None).await.unwrap().unwrap();
    let untriaged = world.write(NewJob { mode: None, ..new_job() }).await;
    queue::claim_triage(db, OwnerId::new(), Some(untriaged), LEASE, None).await.unwrap().unwrap();
    let (stopping, _) = world.held(OwnerId::new()).await;
    for job_id in [genius, untriaged, stopping] {
        stands_still(&world, job_id, 20).await;
    }
    queue::stop(db, stopping).await.unwrap();
    assert_eq!(world.goes_off("stuck-jobs").await.len(), 4);
    let row = "concat_ws(' ', state, waiting_for, mode, outcome_pending ->> 'outcome')";
    assert_eq!(world.queued(genius, row).await, "ready genius");
    assert_eq!(world.queued(untriaged, row).await, "waiting triage");
    assert_eq!(world.queued(stopping, row).await, "ready mechanic stopped");
}

#[tokio::test]
async fn jobs_that_nobody_holds_are_left_alone() {
    let world = World::new().await;
    let job_id = world.write(new_job()).await;
    stands_still(&world, job_id, 600).await;
    assert_eq!(world.goes_off("stuck-jobs").await, NOTHING);
    assert_eq!(world.queued(job_id, "concat_ws(' ', state, epoch)").await, "ready 0");
}
