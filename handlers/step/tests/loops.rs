//! Six published shapes of loops: each stops within four repeats, counted from the first repetition.

use domain::NewJob;
use serde_json::{Value, json};
use testkit::new_job;

use crate::{World, calls, cause, shell};

/// How many replies the scripts hold: far more than may be bought.
const REPLIES: usize = 300;

/// Runs a model that answers `shape`, over and over; returns how many replies were bought and why it ended.
async fn stops_after(shape: impl Fn(usize) -> Value) -> (usize, String) {
    let world = World::new().await;
    let replies: Vec<Value> = (0..REPLIES).map(shape).collect();
    let caps = domain::Caps { steps: 300, ..domain::Caps::GENIUS };
    let worker = world.worker("a", json!(replies)).with_caps(caps);
    let (job_id, epoch) = world.job(NewJob { mode: Some(domain::Mode::Genius), ..new_job() }).await;
    let cause = cause(worker.drive(job_id, epoch).await.unwrap());
    (worker.calls().len(), cause)
}

fn edit(old: &str, new: &str) -> Value {
    calls("edit_file", json!({ "path": "price.py", "edits": [{ "old": old, "new": new }] }))
}

#[tokio::test]
async fn the_same_command_three_hundred_times() {
    let (bought, cause) = stops_after(|_| shell("cat price.py")).await;
    assert_eq!(bought, 4);
    assert!(cause.starts_with("the same call had the same result 4 times in a row"), "{cause}");
}

#[tokio::test]
async fn identical_searches() {
    let (bought, cause) = stops_after(|index| {
        let mut reply = calls("search", json!({ "pattern": "price" }));
        reply["text"] = json!(format!("Let me look again, from another side: {index}."));
        reply
    })
    .await;
    assert_eq!(bought, 4);
    assert!(cause.starts_with("the same call had the same result 4 times in a row"), "{cause}");
}

#[tokio::test]
async fn an_edit_and_its_undoing_in_turn() {
    let (bought, cause) =
        stops_after(|index| if index % 2 == 0 { edit("return 1", "return 2") } else { edit("return 2", "return 1") }).await;
    assert_eq!(bought, 6, "two that are new and four repeats");
    assert!(cause.starts_with("the last 6 steps repeat the same two calls in turn"), "{cause}");
}

#[tokio::test]
async fn an_edit_that_never_applies() {
    for old in [|_| "return 7".to_owned(), |index| format!("return {}  # the price {index}", index + 7)] {
        let (bought, cause) = stops_after(|index| edit(&old(index), "return 2")).await;
        assert_eq!(bought, 4, "{cause}");
    }
    // A look at the file between, each time another part of it, does not hide it.
    let (bought, cause) = stops_after(|index| match index % 2 {
        0 => edit(&format!("return {}", index + 7), "return 2"),
        _ => shell(&format!("sed -n '1,{index}p' price.py")),
    })
    .await;
    assert_eq!(bought, 7, "four edits and what was read between");
    assert!(cause.starts_with("an edit of the same file did not apply 4 times"), "{cause}");
}

#[tokio::test]
async fn tests_that_are_run_again_without_a_change() {
    // Other durations, process ids, addresses, temporary files and another order each time.
    let run = "echo \"pid $$ at 0x$(date +%N)f, $(mktemp)\"; date +%s.%N; \
               (echo 'test a ... ok'; echo 'test b ... FAILED') | shuf; echo \"1 failed in 0.$(date +%N)s\"; exit 1";
    let (bought, cause) = stops_after(|_| shell(run)).await;
    assert_eq!(bought, 4);
    assert!(cause.starts_with("the same call had the same result 4 times in a row"), "{cause}");
}

#[tokio::test]
async fn thinking_without_acting() {
    let (bought, cause) = stops_after(|index| json!({ "text": format!("I think about it, thought {index}.") })).await;
    assert_eq!(bought, 3);
    assert_eq!(cause, "the model gave 3 replies in a row without calling a tool");
}
