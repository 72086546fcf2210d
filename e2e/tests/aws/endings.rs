//! How alarms end: one that goes back to OK is told of and listed, and a message that nobody can act on goes to the dead-letter queue
//! while everything else is acted on beside it.

use std::time::Duration;

use e2e::Codeteam;
use serde_json::json;
use tokio::time::sleep;

use super::alarms::{PREFIX, environment, told};
use super::client::{SQS, ask, drain, held, queue_url};
use super::world::World;

/// Neither CloudWatch's nor AWS Budgets'.
const STRANGE: &str = "somebody has typed this into the console";

/// Puts a message into the queue of alarms that is none.
pub(super) async fn something_strange_comes(world: &World) {
    let url = queue_url(&world.emulator.address, &format!("{PREFIX}alarms")).await;
    ask(&world.emulator.address, SQS, "SendMessage", json!({ "QueueUrl": url, "MessageBody": STRANGE })).await;
}

/// By now it has been tried as often as the template says, half a minute after each time, and lies where a person can look at it.
pub(super) async fn what_nobody_understands_is_kept_in_the_dead_letter_queue(world: &World) {
    let (address, alive, dead) = (&world.emulator.address, format!("{PREFIX}alarms"), format!("{PREFIX}alarms-dead"));
    let buried = async || (held(address, &dead).await == 1).then_some(());
    world.patient("it is in the dead-letter queue", Duration::from_secs(200), buried).await;
    assert_eq!(held(address, &alive).await, 0, "nothing is left in the queue");
    let bodies: Vec<_> = drain(address, &dead).await.into_iter().map(|message| message["Body"].clone()).collect();
    assert_eq!(bodies, [json!(STRANGE)], "the message is what it was, and alone: every alarm was acted on");
    let log = world.fleet.said("dashboard");
    let tries = log.lines().filter(|line| line.contains("goes back to its queue") && line.contains(STRANGE));
    assert_eq!(tries.count(), 5, "maxReceiveCount of the template: {}", world.told());
}

/// CloudWatch's way back: for longer than the alarm looks, no job stood still.
pub(super) async fn an_alarm_that_is_over_is_told_and_listed(world: &World) {
    let name = format!("{PREFIX}stuck-jobs");
    let over = format!("select alarm_id from alarms where name = '{name}' and state = 'OK' and completed_at is not null");
    let over = format!("select coalesce(({over}), 0)");
    let gone = async || {
        world.metric("AICodeTeam", "StuckJobs", &environment(), 0.0).await;
        sleep(Duration::from_secs(1)).await;
        Some(world.db.value(&over).await).filter(|id| id != "0")
    };
    let id = world.patient("the alarm is over", Duration::from_secs(90), gone).await;
    let subject = format!("{name}: over");
    let heard = told(world).await;
    let (_, text) = heard.iter().find(|(about, _)| *about == subject).unwrap_or_else(|| panic!("{heard:#?}"));
    assert!(text.contains(&format!("{name} is OK again since")) && text.contains("Threshold Crossed"), "{text}");

    let cli = async |words: &[&str]| Codeteam::new(words.iter().copied()).on(world.db.url.expose()).run().await;
    let states: Vec<_> = cli(&["alarms", "--json"]).await.json_lines().into_iter().filter(|alarm| alarm["name"] == name.as_str()).collect();
    let states: Vec<_> = states.iter().map(|alarm| (&alarm["state"], &alarm["actions"][0]["action"], &alarm["reaction"])).collect();
    let row = (&json!("OK"), &json!("told"), &json!("stuck-jobs"));
    assert!(states.first() == Some(&row) && states.len() == 2, "its end is listed above its beginning: {states:?}");
    cli(&["alarms", "show", &id]).await.expect(0, &[&format!("{name} is OK since"), "tell people that it is over", &subject]);
}
