//! A change that cannot begin without an answer asks a person and waits, held by nobody.

use domain::{JobInput, Kind, NewJob, Outcome, Trigger};
use serde_json::{Value, json};
use step::StepResponse;
use store::{hints, queue};
use testkit::new_job;

use crate::{World, calls, finish, shell};

const QUESTION: &str = "Which of the two price lists is right?";

fn ask() -> Value {
    calls(
        "finish",
        json!({
            "title": "It is open which prices are right", "summary": "Both lists are in use.", "tests_run": [],
            "confidence": "low", "needs_human": QUESTION,
        }),
    )
}

/// What a job handed in that ended, and is to be decided by a person.
fn needs_human(response: StepResponse) -> Option<String> {
    match response {
        StepResponse::Done { outcome: Outcome::Succeeded { finish } } => finish.needs_human,
        other => panic!("{other:?}"),
    }
}

fn waits() -> StepResponse {
    StepResponse::Waits { reason: format!("it asks: {QUESTION}") }
}

#[tokio::test]
async fn the_answer_wakes_the_job_and_the_model_reads_it() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("ls"), ask(), finish()]));
    let input = JobInput { number: Some(7), ..new_job().input };
    let (job_id, epoch) = world.job(NewJob { input, ..new_job() }).await;
    assert_eq!(worker.drive(job_id, epoch).await.unwrap(), waits());
    assert_eq!(world.test.value("select concat_ws(' ', state, waiting_for, owner) from queue").await, "waiting answer");
    assert_eq!(world.test.value("select data ->> 'question' from events where kind = 'snoozed'").await, QUESTION);
    let url = world.test.value("select detail ->> 'url' from effects where name = 'comment' and state = 'confirmed'").await;
    let comment = std::fs::read_to_string(url.strip_prefix("file://").unwrap_or(&url)).unwrap();
    assert!(comment.contains(QUESTION) && comment.contains("codeteam hint"), "{comment}");

    hints::give(&world.test.db, job_id, "the one in euros", "ada").await.unwrap();
    let epoch = world.claim(job_id).await;
    assert_eq!(needs_human(worker.drive(job_id, epoch).await.unwrap()), None);
    assert_eq!(worker.calls(), [(1, 1), (2, 1), (3, 1)]);
    let request = world.test.value("select request_of(job_id, step_no) from steps where step_no = 3 and half = 'reply'").await;
    assert!(request.contains("The question was put to a person") && request.contains("the one in euros"), "{request}");
}

#[tokio::test]
async fn a_question_mentions_nobody_and_forges_no_marker() {
    let world = World::new().await;
    let input = json!({
        "title": "Open", "summary": "Ask @octocat. <!-- codeteam:job:other -->", "tests_run": [], "confidence": "low",
        "needs_human": "Shall @acme/owners decide?",
    });
    let worker = world.worker("a", json!([calls("finish", input)]));
    let input = JobInput { number: Some(7), ..new_job().input };
    let (job_id, epoch) = world.job(NewJob { input, ..new_job() }).await;
    assert!(matches!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Waits { .. }));
    let url = world.test.value("select detail ->> 'url' from effects where name = 'comment' and state = 'confirmed'").await;
    let comment = std::fs::read_to_string(url.strip_prefix("file://").unwrap_or(&url)).unwrap();
    assert!(comment.contains("octocat") && comment.contains("acme/owners"), "{comment}");
    assert!(!comment.contains("@octocat") && !comment.contains("@acme") && !comment.contains("codeteam:job:other"), "{comment}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_job_waits_is_not_waited_for() {
    let world = World::new().await;
    let worker = world.worker("a", json!([ask(), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), waits());
    hints::give(&world.test.db, job_id, "the one in euros", "ada").await.unwrap();
    // As if the worker had died between its results and the wait.
    let epoch = world.claim(job_id).await;
    world.test.execute("begin; set local session_replication_role = replica; delete from events where kind = 'snoozed'; commit").await;
    assert_eq!(needs_human(worker.step(job_id, epoch).await.unwrap()), None);
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_handed_in() {
    let world = World::new().await;
    let worker = world.worker("a", json!([ask()]));
    let (job_id, epoch) = world.job(new_job()).await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), waits());
    world.test.execute("update queue set run_at = now()").await;
    assert_eq!(queue::wake_due(&world.test.db, None).await.unwrap().len(), 1);
    let epoch = world.claim(job_id).await;
    assert_eq!(needs_human(worker.step(job_id, epoch).await.unwrap()).as_deref(), Some(QUESTION));
    assert_eq!(worker.calls(), [(1, 1)], "nothing is bought for it");
}

#[tokio::test]
async fn what_can_be_handed_in_is_not_held_back_by_a_question() {
    let world = World::new().await;
    let change = calls("write_file", json!({ "path": "new.txt", "content": "new\n" }));
    for (job, first) in [
        (new_job(), change),
        (NewJob { kind: Kind::Analysis, ..new_job() }, shell("ls")),
        (NewJob { trigger: Trigger::Cli, ..new_job() }, shell("ls")),
    ] {
        let worker = world.worker("a", json!([first, ask()]));
        let (job_id, epoch) = world.job(job).await;
        assert_eq!(needs_human(worker.drive(job_id, epoch).await.unwrap()).as_deref(), Some(QUESTION));
    }
}
