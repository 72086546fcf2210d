//! Looking at one job, and steering one or many.

use domain::MicroUsd;
use domain::{OwnerId, Usage};
use serde_json::{Value, json};
use std::time::Duration;
use store::steps::{Acted, Answered, Reserve};
use store::{finish, queue, steps};

use super::{World, problem};

#[tokio::test]
async fn a_job_is_shown_with_its_steps_events_and_ledger() {
    let world = World::new().await;
    let db = &world.test.db;
    let job_id = world.job().await;
    let waiting = world.get(&format!("/jobs/{job_id}")).await.json();
    assert_eq!((&waiting["state"], &waiting["queue"]["attempt"], &waiting["finished"]), (&json!("ready"), &json!(0), &Value::Null));
    let epoch = queue::claim_one(db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap().epoch;
    let call = Reserve { step_no: 1, model: "scripted", cost_microusd: MicroUsd(900), max_output: 10, heard: None };
    let reservation = steps::reserve(db, job_id, epoch, call).await.unwrap().number;
    let answered = Answered {
        step_no: 1,
        model: "scripted",
        request: "q",
        before: None,
        reply: "a",
        took: Duration::from_millis(12),
        reservation: (reservation, MicroUsd(900)),
        usage: Usage { uncached_input: 5, output: 2, ..Usage::default() },
        cost_microusd: MicroUsd(70),
        tools: vec!["shell".to_owned()],
    };
    steps::store_reply(db, job_id, epoch, &answered).await.unwrap();
    let acted = Acted { step_no: 1, results: &json!([{ "said": "so" }]), checkpoint: None, left_out: &[], took: Duration::from_millis(3) };
    steps::store_results(db, job_id, epoch, &acted).await.unwrap();
    finish::finish(db, job_id, epoch, &domain::Outcome::Failed { cause: "no idea".to_owned() }, &json!({ "branch": "b" })).await.unwrap();

    let shown = world.get(&format!("/jobs/{job_id}")).await.json();
    assert_eq!((&shown["state"], &shown["queue"], &shown["trigger"]), (&json!("finished"), &Value::Null, &json!({ "by": "api" })));
    assert_eq!(shown["finished"]["sentence"], "failed: no idea");
    assert_eq!(shown["finished"]["links"], json!({ "branch": "b" }));
    assert_eq!(shown["spent"], json!({ "steps": 1, "tokens": 7, "cost_microusd": 70, "active_ms": 15 }));
    let step = &shown["steps"][0];
    assert_eq!((&step["tools"], &step["cost_microusd"], step.get("results")), (&json!(["shell"]), &json!(70), None));
    let page = world.get(&format!("/jobs/{job_id}/steps")).await.json();
    assert_eq!((&page["steps"][0]["results"], &page["more"]), (&json!([{ "said": "so" }]), &json!(false)));
    let ledger = world.get(&format!("/jobs/{job_id}/ledger")).await.json();
    let rows: Vec<_> = ledger["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["kind"].as_str().unwrap(), row["cost_microusd"].as_i64().unwrap()))
        .collect();
    assert_eq!(rows, [("reserved", 900), ("settled", 70)]);
    let first = world.get(&format!("/jobs/{job_id}/events?limit=2")).await.json();
    assert_eq!((&first["more"], &first["events"][1]["seq"]), (&json!(true), &json!(2)));
    let rest = world.get(&format!("/jobs/{job_id}/events?after=2")).await.json();
    let kinds: Vec<_> = rest["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, &rest["more"]), (vec!["model_called", "model_replied", "tools_ran", "finalized"], &json!(false)));
}

#[tokio::test]
async fn a_job_is_stopped_and_a_finished_one_is_not() {
    let world = World::new().await;
    let job_id = world.job().await;
    for time in 1..=2 {
        let answer = world.send("POST", &format!("/jobs/{job_id}/stop"), "", "").await;
        assert_eq!((answer.status, answer.json()), (202, json!({ "job_id": job_id, "action": "stop" })), "time {time}");
    }
    assert_eq!(world.get(&format!("/jobs/{job_id}")).await.json()["queue"]["cancel_requested"], true);
    world.finish(job_id).await;
    assert_eq!(problem(&world.send("POST", &format!("/jobs/{job_id}/stop"), "", "").await, 409), "conflict");
}

#[tokio::test]
async fn a_retry_is_a_new_job_once_for_each_key() {
    let world = World::new().await;
    let job_id = world.job().await;
    let path = format!("/jobs/{job_id}/retry");
    assert_eq!(problem(&world.send("POST", &path, "", "").await, 409), "conflict", "it is not finished");
    world.finish(job_id).await;
    let plain = world.send("POST", &path, "", "").await;
    assert_eq!((plain.status, &plain.json()["retry_of"]), (201, &json!(job_id)));
    let genius = world.post(&path, &json!({ "mode": "genius" })).await.json();
    let shown = world.get(&format!("/jobs/{}", genius["job_id"].as_str().unwrap())).await.json();
    assert_eq!((&shown["mode"], &shown["retry_of"]), (&json!("genius"), &json!(job_id)));
    let keyed = async || world.send("POST", &path, "idempotency-key: again\r\n", "").await.json()["job_id"].clone();
    assert_eq!(keyed().await, keyed().await);
    assert_eq!(world.test.value("select count(*) from jobs").await, "4");
    assert_eq!(problem(&world.post(&path, &json!({ "mood": "genius" })).await, 400), "invalid-request");
}

#[tokio::test]
async fn what_is_done_to_many_jobs_is_answered_for_each() {
    let world = World::new().await;
    let (running, ended) = (world.job().await, world.job().await);
    world.finish(ended).await;
    let unknown = domain::JobId::new();
    let answer = world.post("/jobs/bulk", &json!({ "action": "stop", "jobs": [running, ended, unknown] })).await.json();
    assert_eq!(answer["more"], false);
    let done: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|result| (result["job_id"].clone(), result["done"].clone())).collect();
    assert_eq!(done, [(json!(running), json!(true)), (json!(ended), json!(false)), (json!(unknown), json!(false))]);
    assert!(answer["results"][1]["detail"].as_str().unwrap().contains("finished already"), "{answer}");

    let filter = json!({ "action": "retry", "filter": { "state": "finished", "repository": "acme/shop" } });
    let answer = world.post("/jobs/bulk", &filter).await.json();
    assert_eq!((&answer["results"][0]["job_id"], answer["results"].as_array().unwrap().len()), (&json!(ended), 1));
    let new = answer["results"][0]["new_job_id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/jobs/{new}")).await.json()["retry_of"], json!(ended));

    let both = json!({ "action": "stop", "jobs": [ended, ended], "filter": { "state": "ready", "mode": "mechanic" } });
    let both = world.post("/jobs/bulk", &both).await.json();
    let worked_on: Vec<_> = both["results"].as_array().unwrap().iter().map(|result| result["job_id"].clone()).collect();
    assert_eq!(worked_on, [json!(ended), json!(new), json!(running)], "each once, those of the filter from the newest");
    assert_eq!(world.post("/jobs/bulk", &json!({ "action": "stop" })).await.json(), json!({ "results": [], "more": false }));

    let many: Vec<_> = (0..501).map(|_| domain::JobId::new()).collect();
    for (body, pointer) in [
        (json!({ "action": "stop", "jobs": many }), "/jobs"),
        (json!({ "action": "stop", "jobs": [7] }), "/jobs/0"),
        (json!({ "action": "stop", "filter": {} }), "/filter"),
        (json!({ "action": "stop", "filter": { "state": "ready", "repository": "nowhere" } }), "/filter/repository"),
        (json!({ "action": "dance", "jobs": [running] }), "/action"),
    ] {
        let answer = world.post("/jobs/bulk", &body).await;
        assert_eq!(
            (problem(&answer, 400).as_str(), &answer.json()["errors"][0]["pointer"]),
            ("invalid-request", &json!(pointer)),
            "{body}"
        );
    }
}
