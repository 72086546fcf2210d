//! What people do to a job under way: tell it something, and see who works on it.

use process::Signal;

use crate::crash::scene::{Scene, Wait, ends_well};

const HINT: &str = "the greeting is plural";

#[tokio::test]
async fn a_hint_given_during_a_model_call_is_in_the_next_one_and_everybody_sees_it() {
    let scene = Scene::new(Wait::Nowhere).await;
    let hold = scene.model.hold(1);
    let worker = scene.worker();
    hold.reached().await;
    let given = scene.command(["hint", &scene.job_id, HINT, "--json"]).run().await.json(0);
    assert_eq!(given["before_step"], 2, "the first call has gone: {given}");
    hold.release();
    assert_eq!(scene.outcome().await, "succeeded", "{}", worker.said());
    ends_well(worker).await;
    assert_eq!(scene.model.refusals(), Vec::<String>::new());
    let said = async |step: u32| {
        let request = format!("select request_of(job_id, step_no) from steps where step_no = {step} and half = 'reply'");
        scene.db.value(&request).await.contains(HINT)
    };
    assert_eq!((said(1).await, said(2).await, said(4).await), (false, true, true));
    scene.command(["show", &scene.job_id]).run().await.expect(0, &["hint", HINT, "command line"]);
    scene.command(["watch", &scene.job_id]).run().await.expect(0, &[&format!("hint: {HINT}")]);
    scene.command(["hint", &scene.job_id, "again"]).run().await.expect(2, &["is finished already: succeeded"]);
    scene.command(["hint", &scene.job_id, " "]).run().await.expect(2, &["the hint is empty"]);
}

#[tokio::test]
async fn workers_are_listed_while_they_work_and_when_they_have_stopped() {
    let scene = Scene::new(Wait::Nowhere).await;
    let hold = scene.model.hold(1);
    let worker = scene.worker();
    hold.reached().await;
    let listed = async || scene.command(["workers", "--json"]).run().await.json_lines();
    let working = listed().await;
    let [seen] = &working[..] else { panic!("{working:?}") };
    assert_eq!((seen["jobs"].as_i64(), seen["slots"].as_i64(), seen["version"].as_str()), (Some(1), Some(1), Some("0.1.0")));
    assert_eq!((&seen["modes"], seen["stopped_at"].is_null()), (&serde_json::json!(["mechanic", "genius"]), true));
    scene.command(["workers"]).run().await.expect(0, &["works", "mechanic, genius", "s ago"]);
    hold.release();
    scene.outcome().await;
    ends_well(worker).await;
    let stopped = listed().await;
    assert_eq!((stopped[0]["jobs"].as_i64(), stopped[0]["stopped_at"].is_string()), (Some(0), true), "{stopped:?}");
    // One that is killed says nothing any more, and is not taken for one that ended.
    let killed = scene.worker();
    killed.says("working on jobs").await;
    e2e::wait::until("it is listed", async || (listed().await.len() == 2).then_some(())).await;
    killed.end(Signal::KILL).await;
    scene.db.execute("update workers set seen_at = now() - interval '1 minute' where stopped_at is null").await;
    scene.command(["workers"]).run().await.expect(0, &["silent", "stopped", "1 min ago"]);
}
