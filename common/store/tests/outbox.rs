//! The outbox: what is due when, one sender a channel, and nothing said twice.

use std::time::Duration;

use domain::{CommentRef, JobId, JobInput, NewJob, Outcome, OwnerId, Subject, Trigger};
use serde_json::json;
use store::enqueue::{Enqueued, enqueue};
use store::outbox::{self, Due, NewPart, Next, Part};
use store::{Db, finish, jobs};
use testkit::{TestDb, new_job};

use crate::{claim, take_step};

const PATIENCE: Duration = Duration::from_secs(20);

/// A job that somebody asked for by a label on issue 7 of `repository`.
async fn labeled(db: &Db, repository: &str) -> JobId {
    let input = JobInput { number: Some(7), ..new_job().input };
    let trigger = Trigger::Label { label: "mechanic".to_owned() };
    let job = NewJob { repository: repository.to_owned(), input, trigger, ..new_job() };
    let Enqueued::New(job_id) = enqueue(db, &job, None, None, None).await.unwrap() else { panic!("known") };
    outbox::open(db, &jobs::get(db, job_id).await.unwrap().job).await.unwrap();
    job_id
}

/// Says everything that is due now; what it was.
async fn say_all(db: &Db) -> Vec<String> {
    let holder = OwnerId::new();
    let mut said = Vec::new();
    while let Some(due) = outbox::take(db, holder).await.unwrap() {
        let (name, next) = match &due.part {
            Part::Reaction { emotion, .. } => (emotion.to_string(), Next::Done),
            Part::Comment { .. } => ("comment".to_owned(), Next::Lives),
            Part::CheckRun => ("check_run".to_owned(), Next::Lives),
            Part::Notice { body, .. } => (body.clone(), Next::Done),
        };
        outbox::sent(db, holder, &due, Some(1), next, &[]).await.unwrap();
        said.push(name);
    }
    said
}

fn notice(repository: &str, key: &str, body: &str) -> NewPart {
    let part = Part::Notice { number: 7, thread: None, body: body.to_owned() };
    NewPart { repository: repository.to_owned(), job_id: None, key: key.to_owned(), part }
}

/// Lets the time pass that edits keep from each other.
async fn later(test: &TestDb) {
    test.execute("update outbox set due_at = due_at - interval '1 min'").await;
}

#[tokio::test]
async fn a_job_is_heard_at_once_and_its_comment_follows() {
    let test = TestDb::new().await;
    labeled(&test.db, "acme/shop").await;
    // No commit yet, so no check run.
    assert_eq!(say_all(&test.db).await, ["eyes", "comment"]);
    assert_eq!(say_all(&test.db).await, Vec::<String>::new());
}

#[tokio::test]
async fn who_asked_elsewhere_is_told_nothing_on_the_forge() {
    let test = TestDb::new().await;
    let Enqueued::New(job_id) = enqueue(&test.db, &new_job(), None, None, None).await.unwrap() else { panic!("known") };
    outbox::open(&test.db, &jobs::get(&test.db, job_id).await.unwrap().job).await.unwrap();
    assert_eq!(say_all(&test.db).await, Vec::<String>::new());
}

#[tokio::test]
async fn opening_twice_says_everything_once() {
    let test = TestDb::new().await;
    let job_id = labeled(&test.db, "acme/shop").await;
    say_all(&test.db).await;
    outbox::open(&test.db, &jobs::get(&test.db, job_id).await.unwrap().job).await.unwrap();
    assert_eq!(say_all(&test.db).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_change_of_state_is_told_at_once_and_progress_only_every_few_seconds() {
    let test = TestDb::new().await;
    let job_id = labeled(&test.db, "acme/shop").await;
    say_all(&test.db).await;
    let epoch = claim(&test.db, job_id).await;
    assert_eq!(say_all(&test.db).await, ["comment"], "a worker has it now");
    take_step(&test.db, job_id, epoch, 1).await;
    assert_eq!(say_all(&test.db).await, Vec::<String>::new(), "only progress");
    later(&test).await;
    assert_eq!(say_all(&test.db).await, ["comment"]);
    finish::finish(&test.db, job_id, epoch, &Outcome::Stopped, &json!({})).await.unwrap();
    // One that never had a commit is due at the end, so that its row can be closed.
    assert_eq!(say_all(&test.db).await, ["comment", "check_run"]);
}

#[tokio::test]
async fn a_job_that_was_given_up_and_is_tried_again_is_told_of_again() {
    let test = TestDb::new().await;
    let job_id = labeled(&test.db, "acme/shop").await;
    let epoch = claim(&test.db, job_id).await;
    finish::finish(&test.db, job_id, epoch, &Outcome::Dead { cause: "lost".to_owned() }, &json!({})).await.unwrap();
    say_all(&test.db).await;
    test.execute("update outbox set done_at = now()").await;
    assert_eq!(say_all(&test.db).await, Vec::<String>::new());
    store::dlq::redrive(&test.db, job_id).await.unwrap();
    assert_eq!(say_all(&test.db).await, ["comment"]);
    assert!(outbox::is_told(&test.db, job_id).await.unwrap());
}

#[tokio::test]
async fn progress_is_told_less_often_where_many_jobs_go_on() {
    let test = TestDb::new().await;
    let mut jobs = Vec::new();
    for _ in 0..8 {
        let job_id = labeled(&test.db, "acme/shop").await;
        jobs.push((job_id, claim(&test.db, job_id).await));
    }
    say_all(&test.db).await;
    for (job_id, epoch) in jobs {
        take_step(&test.db, job_id, epoch, 1).await;
    }
    test.execute("update outbox set due_at = due_at - interval '10 s'").await;
    assert_eq!(say_all(&test.db).await, Vec::<String>::new(), "eight comments cost the channel sixteen seconds");
    test.execute("update outbox set due_at = due_at - interval '10 s'").await;
    assert_eq!(say_all(&test.db).await.len(), 8);
}

#[tokio::test]
async fn one_sends_for_an_owner_at_a_time() {
    let test = TestDb::new().await;
    outbox::say(&test.db, &[notice("acme/shop", "a", "one"), notice("Acme/tally", "b", "two"), notice("other/shop", "c", "three")])
        .await
        .unwrap();
    let [first, second, third] = [OwnerId::new(), OwnerId::new(), OwnerId::new()];
    let held = outbox::take(&test.db, first).await.unwrap().unwrap();
    let other = outbox::take(&test.db, second).await.unwrap().unwrap();
    assert_ne!(held.channel, other.channel);
    assert_eq!(outbox::take(&test.db, third).await.unwrap(), None);
    outbox::sent(&test.db, first, &held, None, Next::Done, &[]).await.unwrap();
    outbox::sent(&test.db, second, &other, None, Next::Done, &[]).await.unwrap();
    assert!(outbox::take(&test.db, third).await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_frozen_sender_held_is_sent_by_another_and_it_changes_nothing_when_it_wakes() {
    let test = TestDb::new().await;
    outbox::say(&test.db, &[notice("acme/shop", "a", "one")]).await.unwrap();
    let [frozen, other] = [OwnerId::new(), OwnerId::new()];
    let due = outbox::take(&test.db, frozen).await.unwrap().unwrap();
    test.execute("update outbox_channels set held_until = now() - interval '1 s'").await;
    let again = outbox::take(&test.db, other).await.unwrap().unwrap();
    assert_eq!(again.outbox_id, due.outbox_id);
    outbox::sent(&test.db, frozen, &due, Some(9), Next::Done, &[notice("acme/shop", "b", "follows")]).await.unwrap();
    assert_eq!(test.value("select concat_ws(' ', count(*), count(done_at)) from outbox").await, "1 0");
    outbox::sent(&test.db, other, &again, Some(9), Next::Done, &[notice("acme/shop", "b", "follows")]).await.unwrap();
    assert_eq!(test.value("select concat_ws(' ', count(*), count(done_at)) from outbox").await, "2 1");
}

#[tokio::test]
async fn what_cannot_be_sent_is_tried_again_later_and_given_up_when_it_never_can() {
    let test = TestDb::new().await;
    outbox::say(&test.db, &[notice("acme/shop", "a", "one")]).await.unwrap();
    let holder = OwnerId::new();
    let due = outbox::take(&test.db, holder).await.unwrap().unwrap();
    outbox::failed(&test.db, holder, &due, "502", Some(Duration::from_secs(30))).await.unwrap();
    assert_eq!(outbox::take(&test.db, holder).await.unwrap(), None);
    later(&test).await;
    let due = outbox::take(&test.db, holder).await.unwrap().unwrap();
    assert_eq!(due.attempt, 1);
    outbox::failed(&test.db, holder, &due, "404", None).await.unwrap();
    later(&test).await;
    assert_eq!(outbox::take(&test.db, holder).await.unwrap(), None);
    assert_eq!(test.value("select problem from outbox where done_at is not null").await, "404");
}

#[tokio::test]
async fn a_second_lies_between_two_mutations_whoever_makes_them() {
    let test = TestDb::new().await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push(outbox::turn(&test.db, "acme", PATIENCE).await.unwrap().unwrap());
    }
    for (place, wait) in waits.iter().enumerate() {
        let expected = place as f64;
        assert!((wait.as_secs_f64() - expected).abs() < 0.9, "{waits:?}");
    }
    assert!(outbox::turn(&test.db, "other", PATIENCE).await.unwrap().unwrap() < Duration::from_millis(100));
    outbox::say(&test.db, &[notice("acme/shop", "a", "one")]).await.unwrap();
    assert_eq!(outbox::take(&test.db, OwnerId::new()).await.unwrap(), None, "the channel has no room for five seconds");
}

#[tokio::test]
async fn a_forge_that_asks_to_wait_is_left_alone() {
    let test = TestDb::new().await;
    outbox::hold(&test.db, "acme", Duration::from_secs(60)).await.unwrap();
    outbox::hold(&test.db, "acme", Duration::from_secs(5)).await.unwrap();
    let refused = outbox::turn(&test.db, "acme", PATIENCE).await.unwrap().unwrap_err();
    assert!(refused > Duration::from_secs(50), "{refused:?}");
    let waits = outbox::turn(&test.db, "acme", Duration::from_secs(100)).await.unwrap().unwrap();
    assert!(waits > Duration::from_secs(50), "{waits:?}");
}

#[tokio::test]
async fn a_repeated_job_talks_where_the_first_one_did() {
    let test = TestDb::new().await;
    let input = JobInput { number: Some(3), ..new_job().input };
    let comment = Some(CommentRef { id: 99, at_line: true });
    let job = NewJob { input, trigger: Trigger::Command { command: "/mechanic".to_owned(), comment }, ..new_job() };
    let Enqueued::New(job_id) = enqueue(&test.db, &job, None, None, None).await.unwrap() else { panic!("known") };
    outbox::open(&test.db, &jobs::get(&test.db, job_id).await.unwrap().job).await.unwrap();
    let epoch = claim(&test.db, job_id).await;
    finish::finish(&test.db, job_id, epoch, &Outcome::Stopped, &json!({})).await.unwrap();
    let again = jobs::retry(&test.db, job_id, None).await.unwrap();
    let mut of_again: Vec<Part> = Vec::new();
    let holder = OwnerId::new();
    while let Some(due) = outbox::take(&test.db, holder).await.unwrap() {
        let Due { job_id, part, .. } = &due;
        if *job_id == Some(again) {
            of_again.push(part.clone());
        }
        outbox::sent(&test.db, holder, &due, None, Next::Done, &[]).await.unwrap();
    }
    // Its check run waits for a commit.
    assert_eq!(of_again, [Part::Comment { number: 3, thread: Some(99), asked: Subject::LineComment { id: 99 } }]);
    assert_eq!(test.value("select count(*) from outbox where part = 'check_run' and done_at is null").await, "1");
    let reaction = test.value("select concat_ws(' ', detail ->> 'subject', detail ->> 'id') from outbox where part = 'reaction'").await;
    assert_eq!(reaction, "line_comment 99");
}
