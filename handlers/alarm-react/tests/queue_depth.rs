//! Many jobs wait.

use domain::{CapacityError, Counts, MicroUsd, Mode, NewJob, OwnerId, Scope};
use serde_json::json;
use store::{budgets, gates, lanes};
use testkit::new_job;

use crate::world::World;

#[tokio::test]
async fn people_are_told_what_waits_why_and_what_to_type() {
    let world = World::new().await;
    let db = &world.test.db;
    for _ in 0..3 {
        world.write(new_job()).await;
    }
    world.write(NewJob { repository: "acme/other".to_owned(), mode: Some(Mode::Genius), ..new_job() }).await;
    world.test.execute("update queue set run_at = now() - interval '10 minutes' where mode = 'genius'").await;
    world.held(OwnerId::new()).await;
    lanes::limit(db, "acme/shop", Some(1)).await.unwrap();
    gates::pause(db, &Scope::Mode(Mode::Genius), Some("a release")).await.unwrap();
    gates::pause(db, &Scope::Repository("acme/idle".to_owned()), None).await.unwrap();
    *world.fleet.counts.lock().unwrap() = Counts { desired: 3, running: 1 };
    world.worker(None, 5).await;
    world.worker(None, 600).await;
    let actions = world.goes_off("queue-depth").await;
    let [(subject, text)] = &world.told()[..] else { panic!("{:?}", world.told()) };
    assert_eq!(actions, [json!({ "action": "told", "subject": subject, "text": text })]);
    assert_eq!(subject, "ai-coding-team-prod-queue-depth: 4 jobs wait");
    for part in [
        "went off at ",
        "- 3 jobs of a mechanic in acme/shop, the oldest for ",
        "- 1 jobs of a genius in acme/other, the oldest for 10 min",
        "- 1 workers of mode mechanic are there, for 2 jobs at the same time; 3 were asked for and 1 run: they start, or cannot",
        "- 1 workers of mode genius are there, for 2 jobs at the same time, and the most, 3, were asked for: wait, or raise WORKERS_MAX_GENIUS",
        "- mode:genius is paused until somebody resumes it (a release): `codeteam resume mode:genius`",
        "- acme/shop runs 1 jobs of at most 1: `codeteam lanes set acme/shop --max-running N` lets more run",
        "`codeteam workers`",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("acme/idle"), "a gate that holds nothing back is no reason: {text}");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_a_reason_and_says_what_raises_it() {
    let world = World::new().await;
    world.write(NewJob { mode: Some(Mode::Genius), ..new_job() }).await;
    let [here, elsewhere] = [Scope::Mode(Mode::Genius), Scope::Repository("acme/elsewhere".to_owned())];
    for scope in [&here, &elsewhere] {
        budgets::set(&world.test.db, scope, MicroUsd(0)).await.unwrap();
    }
    world.goes_off("queue-depth").await;
    let (_, text) = &world.told()[0];
    let until = world.test.value("select to_char(until at time zone 'UTC', 'YYYY-MM-DD') from gates where scope = 'mode:genius'").await;
    assert!(text.contains(&format!("- the budget of mode:genius is used up until {until} 0:00:00")), "{text}");
    assert!(text.contains("wait, or `codeteam budget set mode:genius DOLLARS`"), "{text}");
    assert!(!text.contains("acme/elsewhere"), "nothing of it waits: {text}");
}

#[tokio::test]
async fn whoever_cannot_be_asked_is_said_so() {
    let mut world = World::new().await;
    world.write(new_job()).await;
    world.handler.capacity = None;
    world.goes_off("queue-depth").await;
    assert!(world.told()[0].1.contains("nobody can be asked for more: start one with `codeteam work --mode mechanic`"));
    // An error of ECS does not keep people from hearing.
    *world.fleet.refuses.lock().unwrap() = Some(CapacityError::Refused("no rights".to_owned()));
    world.goes_off("queue-depth").await;
    assert_eq!(world.told().len(), 2);
}
