//! The database has few connections left.

use std::sync::Arc;
use std::time::Duration;

use alarm_react::DatabaseInstance;
use async_trait::async_trait;
use serde_json::json;
use store::{Db, alarms, roles};

use crate::world::World;

struct Known(Result<String, String>);

#[async_trait]
impl DatabaseInstance for Known {
    async fn describe(&self) -> Result<String, String> {
        self.0.clone()
    }
}

#[tokio::test]
async fn sessions_that_forgot_a_transaction_are_ended_and_people_are_told_who_has_the_rest() {
    let mut world = World::new().await;
    world.handler.instance = Some(Arc::new(Known(Ok("ai-coding-team-prod, db.t3.small, available".to_owned()))));
    let mut forgotten = world.test.open().await;
    forgotten.execute("set application_name = 'a forgotten report'").await;
    forgotten.execute("select 1").await;
    // Nothing is idle for five minutes yet.
    let actions = world.goes_off("database-connections").await;
    assert_eq!((actions.len(), &actions[0]["action"]), (1, &json!("told")));
    let (subject, text) = world.told().remove(0);
    assert!(subject.starts_with("ai-coding-team-prod-database-connections: ") && subject.ends_with(" connections are in use"), "{subject}");
    for part in [
        "ai-coding-team-prod, db.t3.small, available",
        "(a forgotten report): idle in transaction",
        "(a forgotten report) for 0 s",
        "(codeteam): ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    world.handler.limits.idle = Duration::ZERO;
    let actions = world.goes_off("database-connections").await;
    let pid = actions[0]["pid"].clone();
    let user = world.test.value("select current_user").await;
    assert_eq!(
        actions[0],
        json!({ "action": "ended_session", "pid": pid, "user": user, "application": "a forgotten report", "idle_secs": actions[0]["idle_secs"] })
    );
    let there = format!("select count(*) from pg_stat_activity where pid = {pid}");
    while world.test.value(&there).await != "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(world.told()[1].1.contains(&format!("- session {pid} of {user} (a forgotten report) was ended")), "{:?}", world.told()[1]);
}

#[tokio::test]
async fn a_machine_that_cannot_be_asked_is_said_so() {
    let mut world = World::new().await;
    world.goes_off("database-connections").await;
    world.handler.instance = Some(Arc::new(Known(Err("no right rds:DescribeDBInstances".to_owned()))));
    world.goes_off("database-connections").await;
    assert!(world.told()[0].1.contains("RDS_INSTANCE is not set"));
    assert!(world.told()[1].1.contains("what machine that is could not be asked: no right rds:DescribeDBInstances"));
}

#[tokio::test]
async fn a_role_that_may_not_end_a_session_says_what_to_grant() {
    let mut world = World::new().await;
    let role = format!("reader_of_{}", world.test.value("select current_database()").await);
    world.test.execute(&format!("create role {role} login password 'p'")).await;
    roles::grant(&world.test.db, std::slice::from_ref(&role), &[]).await.unwrap();
    world.test.execute(&format!("grant pg_read_all_stats to {role}")).await;
    let url = world.test.url.expose().to_owned();
    let (before, rest) = url.split_once("://").unwrap();
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let url = domain::Secret::new(format!("{before}://{role}:p@{rest}"));
    world.handler.db = Db::connect(&url, 2, Duration::from_secs(10)).await.unwrap();
    world.handler.limits.idle = Duration::ZERO;
    let mut forgotten = world.test.open().await;
    forgotten.execute("select 1").await;
    let actions = world.goes_off("database-connections").await;
    let could_not: Vec<_> = actions.iter().filter(|action| action["action"] == "could_not_end").collect();
    assert_eq!(could_not.len(), 1, "{actions:?}");
    let text = &world.told()[0].1;
    assert!(text.contains(&format!("`grant pg_signal_backend to {role}`")), "{text}");
    // Still there.
    forgotten.execute("select 2").await;
    let sessions = alarms::sessions(&world.handler.db, 20).await.unwrap();
    assert_eq!((sessions.role.as_str(), sessions.hidden), (role.as_str(), 0));
    world.handler.db.close().await;
    world.test.execute(&format!("drop owned by {role}")).await;
    world.test.execute(&format!("drop role {role}")).await;
}
