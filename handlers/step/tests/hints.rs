//! What a person tells a job reaches the model.

use serde_json::json;
use store::hints;
use testkit::new_job;

use crate::{World, calls, finish};

const HINT: &str = "the rounding is in price.py";

impl World {
    /// How often the request of a step says the hint.
    async fn said(&self, step_no: u32) -> usize {
        let request =
            self.test.value(&format!("select request_of(job_id, step_no) from steps where step_no = {step_no} and half = 'reply'")).await;
        request.matches(HINT).count()
    }
}

#[tokio::test]
async fn a_hint_is_in_the_next_request_and_stays_where_it_was_said() {
    let world = World::new().await;
    let list = || calls("list_files", json!({ "path": "." }));
    let worker = world.worker("a", json!([list(), calls("read_file", json!({ "path": "price.py" })), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    hints::give(&world.test.db, job_id, HINT, "ada").await.unwrap();
    // Another worker continues: it finds the hint as the first would have.
    let epoch = world.take_over(job_id).await;
    worker.step(job_id, epoch).await.unwrap();
    worker.step(job_id, epoch).await.unwrap();
    assert_eq!([world.said(1).await, world.said(2).await, world.said(3).await], [0, 1, 1]);
}

#[tokio::test]
async fn a_hint_that_comes_before_the_first_step_stands_beside_the_task() {
    let world = World::new().await;
    let worker = world.worker("a", json!([finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    hints::give(&world.test.db, job_id, HINT, "ada").await.unwrap();
    worker.step(job_id, epoch).await.unwrap();
    assert_eq!(world.said(1).await, 1);
}

#[tokio::test]
async fn a_hint_that_comes_between_two_steps_of_one_worker_is_in_the_next_request() {
    let world = World::new().await;
    let list = || calls("list_files", json!({ "path": "." }));
    let worker = world.worker("a", json!([list(), list(), list(), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    worker.step(job_id, epoch).await.unwrap();
    // It has not looked since.
    hints::give(&world.test.db, job_id, HINT, "ada").await.unwrap();
    worker.step(job_id, epoch).await.unwrap();
    worker.step(job_id, epoch).await.unwrap();
    assert_eq!([world.said(2).await, world.said(3).await, world.said(4).await], [0, 1, 1]);
}
