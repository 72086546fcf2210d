//! A change is acted on once, however often it is told and whoever dies over it.

use std::time::Duration;

use dispatch::{Ctx, call};
use domain::{CapacityError, MicroUsd, NoticeError, Scope};
use serde_json::json;
use store::{alarms, budgets};

use crate::world::{World, alarm, now};

#[tokio::test]
async fn a_change_that_is_told_twice_is_acted_on_once() {
    let world = World::new().await;
    let change = alarm("queue-depth", "ALARM", now());
    let first = world.invoke(change.clone()).await.unwrap();
    let second = world.invoke(change).await.unwrap();
    assert_eq!(
        second,
        json!({
            "alarm_id": first["alarm_id"], "name": "ai-coding-team-prod-queue-depth", "state": "ALARM", "reaction": "queue-depth",
            "actions": [], "was_done": true,
        })
    );
    assert_eq!((world.told().len(), world.test.value("select deliveries from alarms").await.as_str()), (1, "2"));
}

#[tokio::test]
async fn of_two_deliveries_at_the_same_time_one_acts_and_the_other_comes_again() {
    let world = World::new().await;
    let change = alarm("queue-depth", "ALARM", now());
    *world.heard.hangs.lock().unwrap() = true;
    let handler = world.handler.clone();
    let slow = tokio::spawn({
        let change = change.clone();
        async move { call(&handler, Ctx::with_timeout(Duration::from_secs(60)), change).await }
    });
    world.is_telling().await;
    let error = world.invoke(change.clone()).await.unwrap_err().to_string();
    assert_eq!(error, "somebody acts on alarm 1 at this moment");
    assert_eq!(world.told(), []);
    slow.abort();
}

#[tokio::test]
async fn eight_deliveries_at_once_tell_people_once() {
    let world = World::new().await;
    let change = alarm("queue-depth", "ALARM", now());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (handler, change) = (world.handler.clone(), change.clone());
        calls.spawn(async move { call(&handler, Ctx::with_timeout(Duration::from_secs(30)), change).await.is_ok() });
    }
    assert!(calls.join_all().await.contains(&true));
    assert_eq!((world.told().len(), world.test.value("select deliveries from alarms").await.as_str()), (1, "8"));
    assert_eq!(world.invoke(change).await.unwrap()["was_done"], json!(true));
}

#[tokio::test]
async fn what_a_handler_that_died_had_begun_is_brought_to_its_end_by_the_next_delivery() {
    let world = World::new().await;
    let owner = world.worker(None, 300).await;
    let (job_id, _) = world.held(owner).await;
    let change = alarm("stale-workers", "ALARM", now());
    *world.heard.hangs.lock().unwrap() = true;
    let handler = world.handler.clone();
    let dying = tokio::spawn({
        let change = change.clone();
        async move { call(&handler, Ctx::with_timeout(Duration::from_secs(60)), change).await }
    });
    // It has taken the job back and crossed the worker off, and dies when it is about to say so.
    world.is_telling().await;
    dying.abort();
    let _ = dying.await;
    *world.heard.hangs.lock().unwrap() = false;
    assert_eq!(
        world.test.value("select intended from alarms where completed_at is null").await,
        "take the jobs of lost workers back, stop their tasks, and cross them off"
    );
    world.test.execute("update alarms set held_until = now() - interval '1 s'").await;
    let answer = world.invoke(change).await.unwrap();
    let done: Vec<_> = answer["actions"].as_array().unwrap().iter().map(|action| action["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["took_back", "could_not_stop", "crossed_off", "told"]);
    assert_eq!(world.test.value("select count(*) from events where kind = 'lease_expired'").await, "1");
    let [(_, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert!(text.contains(&job_id.to_string()), "the notice tells what the dead handler did: {text}");
}

#[tokio::test]
async fn who_dies_after_everything_was_done_leaves_nothing_to_be_done_again() {
    let world = World::new().await;
    budgets::set(&world.test.db, &Scope::All, MicroUsd(0)).await.unwrap();
    for suffix in ["queue-depth", "budget", "unheard-of"] {
        let change = alarm(suffix, "ALARM", now());
        let first = world.invoke(change.clone()).await.unwrap();
        let told = world.told().len();
        let alarm_id = &first["alarm_id"];
        world.test.execute(&format!("update alarms set completed_at = null where alarm_id = {alarm_id}")).await;
        let second = world.invoke(change).await.unwrap();
        assert_eq!((&second, world.told().len()), (&first, told), "{suffix}");
        assert_eq!(
            world.test.value(&format!("select jsonb_array_length(actions) from alarms where alarm_id = {alarm_id}")).await,
            first["actions"].as_array().unwrap().len().to_string()
        );
    }
    assert_eq!(world.told().len(), 3);
}

#[tokio::test]
async fn a_handler_that_was_late_changes_nothing_any_more() {
    let world = World::new().await;
    let owner = world.worker(Some("task-1"), 300).await;
    let (job_id, _) = world.held(owner).await;
    let change = alarm("stale-workers", "ALARM", now());
    *world.fleet.refuses.lock().unwrap() = Some(CapacityError::Unavailable("ECS is away".to_owned()));
    world.invoke(change.clone()).await.unwrap_err();
    let change_row = store::alarms::list(&world.test.db, None, 1).await.unwrap().remove(0);
    let ours = |intent| match intent {
        alarms::Intent::Ours(held) => held,
        other => panic!("{other:?}"),
    };
    let take = async || alarms::intend(&world.test.db, &change_row.change, "stale-workers", "", Duration::ZERO).await.unwrap();
    let late = ours(take().await);
    let next = ours(take().await);
    assert!(next.epoch > late.epoch);
    let before = world.queued(job_id, "epoch").await;
    let stale = world.handler.limits.stale;
    assert_eq!(alarms::take_back(&world.test.db, &late, owner.0, stale).await.unwrap(), None);
    assert_eq!(alarms::take_stuck(&world.test.db, &late, Duration::ZERO).await.unwrap(), None);
    assert!(!alarms::did(&world.test.db, &late, &[]).await.unwrap());
    assert!(!alarms::complete(&world.test.db, &late).await.unwrap());
    assert_eq!(world.queued(job_id, "epoch").await, before);
    assert!(alarms::complete(&world.test.db, &next).await.unwrap());
}

#[tokio::test]
async fn why_nobody_could_be_told_is_kept_until_somebody_could() {
    let world = World::new().await;
    let change = alarm("queue-depth", "ALARM", now());
    let refuse = |error| *world.heard.refuses.lock().unwrap() = error;
    refuse(Some(NoticeError::Unavailable("SNS is away".to_owned())));
    let error = world.invoke(change.clone()).await.unwrap_err().to_string();
    assert_eq!(error, "nobody can be told at the moment: SNS is away");
    assert_eq!(world.test.value("select problem from alarms where completed_at is null").await, error);
    refuse(None);
    world.invoke(change).await.unwrap();
    assert_eq!(world.test.value("select count(*) from alarms where completed_at is not null and problem is null").await, "1");
    assert_eq!(world.told().len(), 1);
}

#[tokio::test]
async fn the_end_of_an_alarm_is_told_to_those_who_were_told_of_it() {
    let world = World::new().await;
    let at = now();
    let minute = time::Duration::MINUTE;
    world.invoke(alarm("queue-depth", "ALARM", at - minute)).await.unwrap();
    world.invoke(alarm("stuck-jobs", "ALARM", at - minute)).await.unwrap();
    assert_eq!(world.told().len(), 1);
    for suffix in ["queue-depth", "stuck-jobs"] {
        world.invoke(alarm(suffix, "OK", at)).await.unwrap();
    }
    let subjects: Vec<_> = world.told().into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(subjects, ["ai-coding-team-prod-queue-depth: 0 jobs wait", "ai-coding-team-prod-queue-depth: over"]);
    world.invoke(alarm("queue-depth", "INSUFFICIENT_DATA", at + minute)).await.unwrap();
    assert_eq!(world.told().len(), 2);
    assert_eq!(
        world.test.value("select string_agg(state, ' ' order by alarm_id) from alarms").await,
        "ALARM ALARM OK OK INSUFFICIENT_DATA"
    );
}
