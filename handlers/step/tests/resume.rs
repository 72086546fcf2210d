//! Another worker goes on where the first one stopped, and buys nothing twice.

use std::time::Duration;

use domain::{Epoch, JobId, MicroUsd, Outcome};
use serde_json::{Value, json};
use step::StepResponse;
use store::queue;
use store::steps::{self, Answered, Reserve};
use testkit::{new_job, usage};

use crate::{World, calls, finish, shell};

fn write(path: &str, content: &str) -> Value {
    calls("write_file", json!({ "path": path, "content": content }))
}

fn is_success(response: &StepResponse) -> bool {
    matches!(response, StepResponse::Done { outcome: Outcome::Succeeded { .. } })
}

#[tokio::test]
async fn a_worker_without_the_first_ones_disk_goes_on_from_what_is_stored() {
    let world = World::new().await;
    let replies = json!([write("a.txt", "one\n"), write("b.txt", "two\n"), shell("cat a.txt b.txt && rm b.txt"), finish()]);
    let (first, second) = (world.worker("first", replies.clone()), world.worker("second", replies));
    let (job_id, epoch) = world.job(new_job()).await;
    for _ in 0..2 {
        first.step(job_id, epoch).await.unwrap();
    }
    let epoch = world.take_over(job_id).await;
    // What nobody stored is not there, and what changed at the remote meanwhile does not matter.
    world.repository.git(&["update-ref", "refs/heads/main", &world.test.value("select base_commit from jobs").await]).await;
    assert!(is_success(&second.drive(job_id, epoch).await.unwrap()));
    assert_eq!((first.calls(), second.calls()), (vec![(1, 1), (2, 1)], vec![(3, 1), (4, 1)]));
    let said = world.test.value("select results from steps where step_no = 3 and half = 'results'").await;
    assert!(said.contains("one\\ntwo"), "{said}");
    assert!(!second.workspace(job_id, epoch).join("b.txt").exists());
}

#[tokio::test]
async fn a_worker_that_remembers_the_history_sends_what_one_that_reads_it_sends() {
    let world = World::new().await;
    let replies = json!([shell("printf 'a\\0b'"), write("a.txt", "one\n"), shell("cat a.txt"), shell("false"), finish()]);
    let (job_id, epoch) = world.job(new_job()).await;
    assert!(is_success(&world.worker("one", replies.clone()).drive(job_id, epoch).await.unwrap()));
    let requests = "select string_agg(request_of(job_id, step_no), E'\n' order by step_no) from steps where half = 'reply' and job_id = ";
    let remembered = world.test.value(&format!("{requests}'{job_id}'")).await;
    let (job_id, mut epoch) = world.job(new_job()).await;
    for step_no in 1..=5 {
        let worker = world.worker(&format!("fresh-{step_no}"), replies.clone());
        assert_eq!(is_success(&worker.step(job_id, epoch).await.unwrap()), step_no == 5);
        if step_no < 5 {
            world.test.execute("update queue set lease_until = now() - interval '1 second'").await;
            queue::sweep(&world.test.db, None).await.unwrap();
            epoch = world.claim(job_id).await;
        }
    }
    assert_eq!(remembered, world.test.value(&format!("{requests}'{job_id}'")).await);
}

#[tokio::test]
async fn a_worker_that_goes_on_reads_of_its_history_only_what_came_since() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("echo first"), shell("echo second"), shell("echo third"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    for _ in 0..3 {
        worker.step(job_id, epoch).await.unwrap();
    }
    // Past the trigger that keeps what is stored as it is.
    world.test.execute("set session_replication_role = replica; update steps set reply = 'no reply' where step_no = 1 and half = 'reply'; set session_replication_role = origin").await;
    assert!(is_success(&worker.step(job_id, epoch).await.unwrap()));
    let request = world.test.value("select request_of(job_id, step_no) from steps where step_no = 4 and half = 'reply'").await;
    assert!(["first", "second", "third"].iter().all(|word| request.contains(&format!("echo {word}"))), "{request}");
    worker.step.forget(job_id, epoch).await;
    let error = worker.step(job_id, epoch).await.unwrap_err();
    assert!(error.to_string().contains("the stored reply of step 1"), "what was forgotten is read: {error}");
}

/// Stores a reply to step 1 as a worker that died before it acted has left it.
async fn stored_reply(world: &World, job_id: JobId, epoch: Epoch, call: Value) {
    let reserve = Reserve { step_no: 1, model: "scripted", cost_microusd: MicroUsd(100), max_output: 100, heard: None };
    let reservation = steps::reserve(&world.test.db, job_id, epoch, reserve).await.unwrap().number;
    let used = usage(10, 5);
    let reply = json!({
        "model": "scripted", "script": "test", "step_no": 1, "stop": "tool_use", "usage": used,
        "message": { "text": "", "tool_calls": [{ "id": "call_1_1", "name": call["tool_calls"][0]["name"], "input": call["tool_calls"][0]["input"] }] },
    });
    let answer = Answered {
        step_no: 1,
        model: "scripted",
        request: "{}",
        before: None,
        reply: &reply.to_string(),
        took: Duration::from_millis(5),
        reservation: (reservation, MicroUsd(100)),
        usage: used,
        cost_microusd: MicroUsd(20),
        tools: vec![],
    };
    steps::store_reply(&world.test.db, job_id, epoch, &answer).await.unwrap();
}

#[tokio::test]
async fn a_reply_that_is_stored_is_acted_on_and_not_bought_again() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("false"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    stored_reply(&world, job_id, epoch, write("new.txt", "bought once\n")).await;
    let epoch = world.take_over(job_id).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 1 });
    assert_eq!(worker.calls(), []);
    assert_eq!(std::fs::read_to_string(worker.workspace(job_id, epoch).join("new.txt")).unwrap(), "bought once\n");
    assert_eq!((world.ledger().await.as_str(), world.halves().await.as_str()), ("reserved 1, settled 1", "1 reply, 1 results"));
    assert!(is_success(&worker.step(job_id, epoch).await.unwrap()));
    assert_eq!(worker.calls(), [(2, 1)]);
}

#[tokio::test]
async fn tools_that_died_halfway_run_again_on_the_workspace_as_it_was_before() {
    let world = World::new().await;
    let worker = world.worker("a", json!([write("log", ""), shell("echo once >> log; sleep 600"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    {
        // The process dies while the tool runs: its future goes, and nothing is stored.
        let dying = worker.step(job_id, epoch);
        let log = worker.workspace(job_id, epoch).join("log");
        tokio::select! {
            _ = dying => panic!("it sleeps"),
            () = async { while std::fs::read_to_string(&log).unwrap_or_default() != "once\n" { tokio::task::yield_now().await; } } => {}
        }
    }
    assert_eq!(world.halves().await, "1 reply, 1 results, 2 reply");
    let again = world.worker("a", json!([null_reply(), null_reply(), finish()]));
    world
        .test
        .execute("begin; set local session_replication_role = replica; update steps set reply = replace(reply, '; sleep 600', ''); commit")
        .await;
    assert_eq!(again.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no: 2 });
    assert_eq!(std::fs::read_to_string(again.workspace(job_id, epoch).join("log")).unwrap(), "once\n");
    assert_eq!(again.calls(), []);
}

fn null_reply() -> Value {
    json!({ "text": "nobody asks for this" })
}

#[tokio::test]
async fn checkouts_of_jobs_that_somebody_else_holds_are_cleared_away() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("true"), finish()]));
    let (gone, old) = world.job(new_job()).await;
    worker.step(gone, old).await.unwrap();
    let new = world.take_over(gone).await;
    let (held, epoch) = world.job(new_job()).await;
    worker.step(held, epoch).await.unwrap();
    worker.step.forget_abandoned().await.unwrap();
    assert!(!worker.workspace(gone, old).exists() && worker.workspace(held, epoch).exists());
    worker.step(gone, new).await.unwrap();
    worker.step.forget(gone, new).await;
    assert!(!worker.workspace(gone, new).exists());
}
