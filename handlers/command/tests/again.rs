//! A command that comes twice, whose holder dies, or whose forge is away.

use std::sync::Arc;
use std::time::Duration;

use command::CommandHandler;
use dispatch::{Ctx, InvokeError, Registry};
use domain::{Command, Mode};
use github::{LocalForge, Triggers, Unregistered};
use serde_json::json;
use store::commands;

use crate::{World, label, stop};

#[tokio::test]
async fn a_holder_that_dies_after_it_did_everything_but_say_so_does_nothing_twice() {
    for command in [stop(), Command::Retry { mode: Some(Mode::Genius) }, Command::Status] {
        let world = World::new().await;
        let (older, job_id) = (world.job(label()).await, world.job(label()).await);
        if matches!(command, Command::Retry { .. }) {
            world.end(job_id).await;
        }
        world.asked("bea", command.clone()).await;
        let count = "select concat_ws(' ', (select count(*) from jobs), (select count(*) from outbox), (select count(*) from events))";
        world
            .test
            .execute(
                "create function go_away() returns trigger language plpgsql as $$ begin raise exception 'gone' using errcode = '57P01'; end $$;
                 create trigger go_away before update on commands for each row when (new.done_at is not null) execute function go_away()",
            )
            .await;
        let InvokeError::Handler(error) = world.try_handle(json!({})).await.unwrap_err() else { panic!("it is known") };
        assert_eq!(error.error_type(), "RetryAfter");
        let before = world.test.value(count).await;
        world.test.execute("drop function go_away cascade; update commands set run_at = now()").await;
        if command == stop() {
            // What was stopped has ended meanwhile, so that another job is the newest one now.
            world.test.execute(&format!("update jobs set outcome = 'stopped', finished_at = now() where job_id = '{job_id}'")).await;
        }
        assert_eq!(world.handle().await["handled"], "done");
        assert_eq!(world.test.value(count).await, before, "{command:?}");
        assert!(!world.stopped(older).await, "{command:?}");
    }
}

#[tokio::test]
async fn a_hint_and_the_end_of_its_command_are_written_together_and_never_by_who_lost_it() {
    let world = World::new().await;
    let job_id = world.job(label()).await;
    world.asked("bea", Command::Hint { text: "round once".to_owned() }).await;
    let frozen = commands::claim(&world.test.db, None, commands::HELD).await.unwrap().unwrap();
    assert_eq!(world.handle().await, json!({ "handled": "nothing" }), "it is held");
    world.test.execute("update commands set held_until = now() - interval '1 second'").await;
    assert_eq!(world.handle().await["handled"], "done");
    assert_eq!(commands::hint(&world.test.db, &frozen, job_id, "round once", "bea").await.unwrap(), None);
    assert!(!commands::done(&world.test.db, &frozen, &json!({})).await.unwrap());
    assert_eq!(world.test.value("select count(*) from events where kind = 'hint'").await, "1");
}

#[tokio::test]
async fn a_forge_that_is_away_is_asked_again_later_and_at_last_given_up_with_the_cause() {
    let world = World::new().await;
    let job_id = world.job(label()).await;
    let command_id = world.asked("bea", stop()).await;
    let folder = tempfile::tempdir().unwrap();
    let away = folder.path().join("away");
    std::fs::write(&away, "a file, where the forge's folder should be").unwrap();
    let forge = Arc::new(LocalForge::new(&away, Unregistered::Refuse));
    let without = Registry::new().with(CommandHandler { db: world.test.db.clone(), forge, triggers: Triggers::default() });
    let mut last = String::new();
    for attempt in 1..8 {
        let error = without.invoke("command", Ctx::with_timeout(Duration::from_secs(20)), json!({})).await.unwrap_err();
        let InvokeError::Handler(error) = error else { panic!("{error}") };
        assert_eq!(error.error_type(), "RetryAfter");
        last = error.to_string();
        assert_eq!(world.handle().await, json!({ "handled": "nothing" }), "not before its time");
        assert_eq!(world.test.value("select attempt from commands").await, attempt.to_string());
        world.test.execute("update commands set run_at = now()").await;
    }
    let given_up = without.invoke("command", Ctx::with_timeout(Duration::from_secs(20)), json!({})).await.unwrap();
    assert_eq!(given_up, json!({ "handled": "given_up", "command_id": command_id, "cause": last }));
    assert_eq!(world.test.value("select result ->> 'given_up' from commands where done_at is not null").await, last);
    assert!(!world.stopped(job_id).await);
}
