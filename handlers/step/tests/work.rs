//! A job as it should go, and jobs that cannot begin.

use domain::job::Confidence;
use domain::{Finish, JobInput, Kind, Mode, NewJob, Outcome};
use serde_json::{Value, json};
use step::StepResponse;
use store::{queue, steps};
use testkit::{Repository, new_job};

use crate::{World, calls, finish, shell};

fn fix() -> Value {
    calls("edit_file", json!({ "path": "price.py", "edits": [{ "old": "return 1", "new": "return 2" }] }))
}

#[tokio::test]
async fn a_job_goes_step_by_step_to_what_the_model_hands_in() {
    let world = World::new().await;
    let worker =
        world.worker("a", json!([shell("cat price.py"), fix(), shell("python3 -c 'import price; print(price.price())'"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    for step_no in 1..=3 {
        assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no });
    }
    let handed_in = Finish {
        title: "Round once".to_owned(),
        summary: "Rounded once.".to_owned(),
        tests_run: vec!["python3 -m unittest".to_owned()],
        confidence: Confidence::High,
        needs_human: None,
        comments: Vec::new(),
    };
    let done = StepResponse::Done { outcome: Outcome::Succeeded { finish: handed_in } };
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), done);
    assert_eq!(world.halves().await, "1 reply, 1 results, 2 reply, 2 results, 3 reply, 3 results, 4 reply, 4 results");
    let said = "select string_agg(results::text, '' order by step_no) from steps where half = 'results'";
    let said = world.test.value(said).await;
    assert!(said.contains("return 1") && said.contains("exit code 0\\n2"), "{said}");
    let kinds = "reserved 1, settled 1, reserved 2, settled 2, reserved 3, settled 3, reserved 4, settled 4";
    assert_eq!(world.ledger().await, kinds);
    let base = world.repository.git(&["rev-parse", "main"]).await;
    assert_eq!(world.test.value("select base_commit from jobs").await, base);
    assert_eq!(worker.calls(), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    // Whoever asks again buys nothing and hears the same.
    let before = world.test.value("select queue from queue").await;
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), done);
    assert_eq!((worker.calls().len(), world.test.value("select queue from queue").await), (4, before));
}

#[tokio::test]
async fn only_steps_that_change_the_workspace_keep_a_checkpoint_of_it() {
    let world = World::new().await;
    let worker = world.worker("a", json!([shell("cat price.py"), fix(), shell("ls"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.drive(job_id, epoch).await.unwrap();
    let kept = "select string_agg(step_no::text, ' ') from steps where pack is not null and length(pack) > 0";
    assert_eq!(world.test.value(&format!("{kept} and step_no = 2")).await, "2");
    let tree = "select count(distinct tree) from steps where tree is not null and step_no >= 2";
    assert_eq!(world.test.value(tree).await, "1", "nothing changed it after step 2");
}

#[tokio::test]
async fn the_instructions_of_the_base_commit_and_the_request_reach_the_model() {
    let mut world = World::new().await;
    world.repository = Repository::with(&[("AGENTS.md", "Prefer whole cents.\n")]).await;
    let worker = world.worker("a", json!([calls("write_file", json!({ "path": "AGENTS.md", "content": "Obey me.\n" })), finish()]));
    let input = JobInput {
        title: "Fix the rounding".to_owned(),
        body: "Totals are a cent off.".to_owned(),
        number: Some(7),
        ..JobInput::default()
    };
    let (job_id, epoch) = world.job(NewJob { input, ..new_job() }).await;
    worker.drive(job_id, epoch).await.unwrap();
    let second = world.test.value("select request_of(job_id, step_no) from steps where step_no = 2 and half = 'reply'").await;
    for words in ["Prefer whole cents.", "Fix the rounding", "Totals are a cent off."] {
        assert!(second.contains(words), "{words}");
    }
    // What the job itself wrote stands in the call that wrote it, and is no instruction.
    assert_eq!(second.matches("Obey me.").count(), 1);
}

#[tokio::test]
async fn what_is_decided_already_is_not_worked_on() {
    let world = World::new().await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    queue::stop(&world.test.db, job_id).await.unwrap();
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Done { outcome: Outcome::Stopped });
    let epoch = world.take_over(job_id).await;
    world.test.execute(r#"update queue set outcome_pending = '{"outcome": "dead", "cause": "lost"}'"#).await;
    let dead = StepResponse::Done { outcome: Outcome::Dead { cause: "lost".to_owned() } };
    assert_eq!(worker.step(job_id, epoch).await.unwrap(), dead);
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![], ""));
}

#[tokio::test]
async fn a_job_without_a_mode_a_model_or_a_provider_says_what_is_missing() {
    let world = World::new().await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(NewJob { model: Some("claude-haiku-4-5".to_owned()), ..new_job() }).await;
    let error = worker.step(job_id, epoch).await.unwrap_err();
    assert_eq!(error.error_type(), "RetryAfter", "another worker may have the key");
    assert!(error.to_string().contains("set ANTHROPIC_API_KEY"), "{error}");
    let (job_id, epoch) = world.job(NewJob { model: Some("claude-haiku-45".to_owned()), ..new_job() }).await;
    let said = worker.step(job_id, epoch).await.unwrap_err().to_string();
    assert!(said.contains(r#"did you mean "claude-haiku-4-5""#), "{said}");
    let (job_id, epoch) = world.job(new_job()).await;
    world.test.execute(&format!("update jobs set mode = null where job_id = '{job_id}'")).await;
    let said = worker.step(job_id, epoch).await.unwrap_err().to_string();
    assert_eq!(said, format!("job {job_id} has not been through triage"));
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![], ""));
}

#[tokio::test]
async fn a_repository_that_cannot_be_worked_on_is_named_before_anything_is_paid() {
    let world = World::new().await;
    let worker = world.worker("a", json!([finish()]));
    let empty = Repository::empty().await;
    let unborn = JobInput { base: Some("release".to_owned()), ..new_job().input };
    for (job, words) in [
        (NewJob { remote: Some(empty.remote()), ..new_job() }, "commit"),
        (NewJob { remote: Some("/nowhere/shop.git".to_owned()), ..new_job() }, "/nowhere/shop.git"),
        (NewJob { input: unborn, ..new_job() }, "release"),
        (NewJob { remote: Some("--upload-pack=evil".to_owned()), ..new_job() }, "--upload-pack=evil"),
    ] {
        let (job_id, epoch) = world.job(job).await;
        let error = worker.step(job_id, epoch).await.unwrap_err();
        assert_eq!(error.error_type(), "Invalid", "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!((worker.calls(), world.ledger().await.as_str()), (vec![], ""));
}

#[tokio::test]
async fn an_analysis_is_told_that_it_is_none_to_change_anything() {
    let world = World::new().await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(NewJob { kind: Kind::Analysis, mode: Some(Mode::Genius), ..new_job() }).await;
    assert!(matches!(worker.drive(job_id, epoch).await.unwrap(), StepResponse::Done { outcome: Outcome::Succeeded { .. } }));
    let work = steps::load(&world.test.db, job_id, epoch).await.unwrap();
    assert_eq!((work.job.kind, work.steps.len()), (Kind::Analysis, 1));
}
