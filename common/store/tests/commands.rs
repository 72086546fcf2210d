//! Commands: written once, held by one, given up at last.

use std::sync::Arc;
use std::time::Duration;

use domain::{Command, CommandId, CommentRef, NewCommand};
use serde_json::json;
use store::Db;
use store::commands::{self, HELD, Retried};
use store::enqueue::{Delivery, Enqueued};
use testkit::TestDb;
use time::macros::datetime;
use tokio::task::JoinSet;

fn status() -> NewCommand {
    NewCommand {
        repository: "acme/shop".to_owned(),
        number: Some(7),
        job_id: None,
        actor: "bea".to_owned(),
        command: Command::Status,
        comment: Some(CommentRef { id: 31, at_line: true }),
        asked_at: Some(datetime!(2026-01-01 00:00 UTC)),
    }
}

async fn write(db: &Db, guid: &str, key: &str) -> Enqueued {
    let delivery = Delivery { delivery_id: guid, event: "issue_comment", body: b"{}" };
    commands::write(db, &status(), key, delivery).await.unwrap()
}

fn id_of(enqueued: &Enqueued) -> CommandId {
    match enqueued {
        Enqueued::Command(command_id) | Enqueued::KnownCommand(command_id) => *command_id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_is_what_its_key_says_under_however_many_deliveries_at_once() {
    let test = Arc::new(TestDb::new().await);
    let mut calls = JoinSet::new();
    for n in 0..20 {
        let test = test.clone();
        calls.spawn(async move { write(&test.db, &format!("guid-{}", n / 2), "key").await });
    }
    let all = calls.join_all().await;
    assert_eq!(all.iter().filter(|enqueued| matches!(enqueued, Enqueued::Command(_))).count(), 1);
    assert!(all.iter().all(|enqueued| id_of(enqueued) == id_of(&all[0])));
    assert_eq!(test.value("select concat_ws(' ', (select count(*) from commands), (select count(*) from deliveries))").await, "1 10");
    assert_eq!(test.value("select count(*) from deliveries where command_id is null").await, "0");
}

#[tokio::test]
async fn what_waits_longest_is_held_by_one_and_is_as_it_was_asked() {
    let test = TestDb::new().await;
    let first = id_of(&write(&test.db, "1", "one").await);
    let second = id_of(&write(&test.db, "2", "two").await);
    let held = commands::claim(&test.db, None, HELD).await.unwrap().unwrap();
    assert_eq!((held.command_id, held.attempt, &held.asked), (first, 1, &status()));
    assert_eq!(commands::claim(&test.db, Some(first), HELD).await.unwrap(), None);
    assert_eq!(commands::claim(&test.db, None, HELD).await.unwrap().unwrap().command_id, second);
    assert_eq!(commands::claim(&test.db, None, HELD).await.unwrap(), None);
    assert!(commands::done(&test.db, &held, &json!({ "done": "status" })).await.unwrap());
    assert!(!commands::done(&test.db, &held, &json!({})).await.unwrap(), "once");
    assert_eq!(test.value("select result from commands where done_at is not null").await, r#"{"done": "status"}"#);
}

#[tokio::test]
async fn who_held_a_command_too_long_writes_nothing_any_more() {
    let test = TestDb::new().await;
    write(&test.db, "1", "one").await;
    let frozen = commands::claim(&test.db, None, HELD).await.unwrap().unwrap();
    test.execute("update commands set held_until = now() - interval '1 second'").await;
    let next = commands::claim(&test.db, None, HELD).await.unwrap().unwrap();
    assert!(next.epoch > frozen.epoch);
    assert!(!commands::done(&test.db, &frozen, &json!({})).await.unwrap());
    assert_eq!(commands::failed(&test.db, &frozen, "away", Duration::ZERO).await.unwrap(), Retried::Lost);
    assert!(commands::done(&test.db, &next, &json!({})).await.unwrap());
}

#[tokio::test]
async fn each_failure_is_followed_by_a_longer_pause_and_the_last_by_none() {
    let test = TestDb::new().await;
    write(&test.db, "1", "one").await;
    for (attempt, pause) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 64), (7, 128)] {
        let held = commands::claim(&test.db, None, HELD).await.unwrap().unwrap();
        assert_eq!(held.attempt, attempt);
        assert_eq!(commands::failed(&test.db, &held, "away", Duration::ZERO).await.unwrap(), Retried::Later);
        let waits = format!("select run_at between now() + interval '{} s' and now() + interval '{pause} s' from commands", pause - 1);
        assert_eq!(test.value(&waits).await, "true", "{attempt}");
        assert_eq!(commands::claim(&test.db, None, HELD).await.unwrap(), None);
        test.execute("update commands set run_at = now()").await;
    }
    let held = commands::claim(&test.db, None, HELD).await.unwrap().unwrap();
    assert_eq!(commands::failed(&test.db, &held, "still away", Duration::ZERO).await.unwrap(), Retried::GivenUp);
    assert_eq!(test.value("select result from commands where done_at is not null").await, r#"{"given_up": "still away"}"#);
}
