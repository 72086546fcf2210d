//! Workers are lost.

use domain::{CapacityError, Outcome};
use serde_json::json;
use store::{StoreError, finish, queue, workers};

use crate::world::{World, alarm, now};

const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/ai-coding-team/0f9de1";

#[tokio::test]
async fn a_lost_worker_is_stopped_and_its_jobs_go_on_at_once() {
    let world = World::new().await;
    let (lost, alive) = (world.worker(Some(TASK), 130).await, world.worker(Some("other"), 60).await);
    let (job_id, epoch) = world.held(lost).await;
    let (kept, _) = world.held(alive).await;
    let actions = world.goes_off("stale-workers").await;
    let secs = &actions[2]["silent_secs"];
    assert!((130..140).contains(&secs.as_i64().unwrap()), "{secs}");
    assert_eq!(
        actions,
        [
            json!({ "action": "took_back", "job_id": job_id, "owner": lost.0, "attempt": 1, "given_up": false }),
            json!({ "action": "stopped_task", "owner": lost.0, "task": TASK, "was_there": true }),
            json!({ "action": "crossed_off", "owner": lost.0, "host": "rack-7", "silent_secs": secs }),
        ]
    );
    assert_eq!(world.queued(job_id, "concat_ws(' ', state, epoch, attempt, owner, run_at <= now())").await, "ready 2 1 t");
    assert_eq!(world.last_event(job_id).await, format!(r#"lease_expired {{"alarm": 1, "owner": "{}", "attempt": 1}}"#, lost.0));
    assert_eq!(world.queued(kept, "state || ' ' || epoch").await, "leased 1");
    assert_eq!(*world.fleet.stopped.lock().unwrap(), [format!("{TASK}: nobody has seen its worker for {secs} s")]);
    let stopped = world.test.value("select string_agg(owner::text, ' ') from workers where stopped_at is not null").await;
    assert_eq!((stopped, world.told()), (lost.0.to_string(), vec![]));
    // Its process may live on: it holds nothing any more.
    let late = finish::finish(&world.test.db, job_id, epoch, &Outcome::Stopped, &json!({})).await;
    assert!(matches!(late, Err(StoreError::LeaseLost { .. })), "{late:?}");
    assert_eq!(world.goes_off("stale-workers").await, [] as [serde_json::Value; 0], "it is crossed off");
}

#[tokio::test]
async fn the_last_attempt_of_a_job_whose_workers_are_lost_is_followed_by_its_end() {
    let world = World::new().await;
    let lost = world.worker(Some(TASK), 130).await;
    let (job_id, _) = world.held(lost).await;
    world.test.execute("update queue set attempt = 5").await;
    let actions = world.goes_off("stale-workers").await;
    assert_eq!(actions[0]["given_up"], json!(true));
    let decided = world.queued(job_id, "concat_ws(' ', state, outcome_pending ->> 'outcome', outcome_pending ->> 'cause')").await;
    assert_eq!(decided, "ready dead its worker was lost 5 times without progress");
}

#[tokio::test]
async fn a_worker_that_nobody_here_can_stop_is_told_to_people() {
    let mut world = World::new().await;
    world.handler.capacity = None;
    world.worker(None, 130).await;
    world.worker(Some(TASK), 200).await;
    let actions = world.goes_off("stale-workers").await;
    let kinds: Vec<_> = actions.iter().map(|action| action["action"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["could_not_stop", "crossed_off", "could_not_stop", "crossed_off", "told"]);
    let [(subject, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert_eq!(subject, "ai-coding-team-prod-stale-workers: 2 lost workers could not be replaced");
    for part in ["it has no task: somebody started it by hand on rack-7", "ECS_CLUSTER is not set", "aws ecs stop-task", "codeteam work"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_worker_that_ecs_does_not_let_us_stop_stays_on_the_list() {
    let world = World::new().await;
    let lost = world.worker(Some(TASK), 130).await;
    let (job_id, _) = world.held(lost).await;
    *world.fleet.refuses.lock().unwrap() = Some(CapacityError::Refused("no right ecs:StopTask".to_owned()));
    world.goes_off("stale-workers").await;
    assert_eq!(world.queued(job_id, "state").await, "ready", "its jobs go on all the same");
    assert_eq!(world.test.value("select count(*) from workers where stopped_at is null").await, "1");
    assert!(world.told()[0].1.contains("no right ecs:StopTask"));
}

#[tokio::test]
async fn while_ecs_is_away_the_alarm_comes_again() {
    let world = World::new().await;
    let lost = world.worker(Some(TASK), 130).await;
    let (job_id, _) = world.held(lost).await;
    let change = alarm("stale-workers", "ALARM", now());
    let refuse = |error| *world.fleet.refuses.lock().unwrap() = error;
    refuse(Some(CapacityError::Unavailable("ECS is away".to_owned())));
    world.invoke(change.clone()).await.unwrap_err();
    assert_eq!(world.queued(job_id, "state").await, "ready");
    refuse(None);
    let answer = world.invoke(change).await.unwrap();
    let kinds: Vec<_> = answer["actions"].as_array().unwrap().iter().map(|action| action["action"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["took_back", "stopped_task", "crossed_off"]);
}

#[tokio::test]
async fn a_worker_that_is_seen_again_is_left_alone() {
    let world = World::new().await;
    let owner = world.worker(Some(TASK), 130).await;
    let (job_id, epoch) = world.held(owner).await;
    world.test.execute("update workers set seen_at = now()").await;
    assert_eq!(world.goes_off("stale-workers").await, [] as [serde_json::Value; 0]);
    assert!(world.fleet.stopped.lock().unwrap().is_empty());
    assert_eq!(queue::still_held(&world.test.db, &[(job_id, epoch)]).await.unwrap(), [(job_id, epoch)]);
    assert_eq!(workers::list(&world.test.db).await.unwrap()[0].stopped_at, None);
}
