//! What operators do: hints, the dead-letter queue, lanes, gates, budgets, schedules, workers, the ledger.

use domain::{JobId, Mode, OwnerId, TokenScope};
use serde_json::{Value, json};
use store::steps::StoredHint;
use store::{finish, hints, queue, steps, workers};

use super::{World, make_token, problem};

/// Ends a job that is ready as dead.
async fn die(world: &World, job_id: JobId, cause: &str) {
    let claimed = queue::claim_one(&world.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap();
    let outcome = domain::Outcome::Dead { cause: cause.to_owned() };
    finish::finish(&world.test.db, job_id, claimed.epoch, &outcome, &json!({})).await.unwrap();
}

async fn state(world: &World, job_id: JobId) -> Value {
    world.get(&format!("/jobs/{job_id}")).await.json()["state"].clone()
}

#[tokio::test]
async fn a_hint_is_read_by_the_next_model_call_and_names_its_token() {
    let world = World::new().await;
    let job_id = world.job().await;
    let path = format!("/jobs/{job_id}/hint");
    let given = world.post(&path, &json!({ "text": " mind the rounding " })).await;
    assert_eq!((given.status, &given.json()["before_step"]), (201, &json!(1)));
    let read = steps::hints(&world.test.db, job_id).await.unwrap();
    assert_eq!(read, [StoredHint { before_step: 1, text: "mind the rounding".to_owned() }]);
    let events = world.get(&format!("/jobs/{job_id}/events")).await.json();
    let hint = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "hint").unwrap();
    assert!(hint["data"]["by"].as_str().unwrap().starts_with("token "), "{hint}");
    for text in [String::new(), " \n".to_owned(), "x".repeat(hints::MOST_CHARS + 1)] {
        let answer = world.post(&path, &json!({ "text": text })).await;
        assert_eq!((problem(&answer, 400).as_str(), &answer.json()["errors"][0]["pointer"]), ("invalid-request", &json!("/text")));
    }
    assert_eq!(problem(&world.post(&format!("/jobs/{}/hint", JobId::new()), &json!({ "text": "x" })).await, 404), "not-found");
}

#[tokio::test]
async fn a_job_is_requeued_from_its_worker_and_a_finished_one_is_not() {
    let world = World::new().await;
    let job_id = world.job().await;
    let held = queue::claim_one(&world.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap();
    let path = format!("/jobs/{job_id}/requeue");
    assert_eq!(world.send("POST", &path, "", "").await.status, 202);
    assert_eq!(state(&world, job_id).await, "ready");
    steps::load(&world.test.db, job_id, held.epoch).await.unwrap_err();
    world.finish(job_id).await;
    assert_eq!(problem(&world.send("POST", &path, "", "").await, 409), "conflict");
}

#[tokio::test]
async fn dead_jobs_are_paged_through_redriven_and_discarded() {
    let world = World::new().await;
    let mut jobs = Vec::new();
    for cause in ["no disk", "no disk", "no network", "no luck"] {
        let job_id = world.job().await;
        die(&world, job_id, cause).await;
        jobs.push(job_id);
    }
    let first = world.get("/dlq?limit=3").await.json();
    let listed: Vec<_> = first["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].clone()).collect();
    assert_eq!(listed, jobs[..3].iter().map(|job| json!(job)).collect::<Vec<_>>());
    let rest = world.get(&format!("/dlq?limit=3&cursor={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!((&rest["jobs"][0]["cause"], &rest["jobs"][1], &rest["next"]), (&json!("no luck"), &Value::Null, &Value::Null));

    assert_eq!(world.send("POST", &format!("/jobs/{}/redrive", jobs[2]), "", "").await.status, 202);
    assert_eq!(state(&world, jobs[2]).await, "ready");
    assert_eq!(problem(&world.send("POST", &format!("/jobs/{}/redrive", jobs[2]), "", "").await, 409), "conflict");
    let redriven = world.post("/dlq/redrive", &json!({ "cause": "NO DISK", "repository": "acme/shop" })).await.json();
    assert_eq!(
        (redriven, state(&world, jobs[0]).await, state(&world, jobs[3]).await),
        (json!({ "jobs": 2 }), json!("ready"), json!("dead"))
    );

    assert_eq!(problem(&world.post("/dlq/discard", &json!({})).await, 409), "conflict", "every dead job has to be meant");
    assert_eq!(problem(&world.post("/dlq/discard", &json!({ "all": true, "cause": "x" })).await, 409), "conflict");
    assert_eq!(world.post("/dlq/discard", &json!({ "all": true })).await.json(), json!({ "jobs": 1 }));
    let put_away = world.get(&format!("/jobs/{}", jobs[3])).await.json();
    assert_eq!((&put_away["state"], &put_away["finished"]["outcome"]), (&json!("finished"), &json!("dead")));

    die(&world, jobs[0], "again").await;
    let bulk = world.post("/jobs/bulk", &json!({ "action": "discard", "jobs": [jobs[0], jobs[1]] })).await.json();
    assert_eq!((&bulk["results"][0]["done"], &bulk["results"][1]["done"]), (&json!(true), &json!(false)));
    let nul = world.post("/dlq/redrive", &json!({ "cause": "\u{0}" })).await;
    assert_eq!((nul.status, nul.json()), (200, json!({ "jobs": 0 })));
}

#[tokio::test]
async fn a_lane_is_limited_and_a_repository_is_paused_and_resumed() {
    let world = World::new().await;
    let job_id = world.job().await;
    let put = async |body: Value| world.send("PUT", "/lanes/acme/shop", "content-type: application/json\r\n", &body.to_string()).await;
    assert_eq!(put(json!({ "max_running": 2 })).await.status, 200);
    let lane = world.get("/lanes").await.json()["lanes"][0].clone();
    assert_eq!(lane, json!({ "repository": "acme/shop", "max_running": 2, "ready": 1, "running": 0, "waiting": 0, "dead": 0 }));
    for wrong in [json!({ "max_running": 0 }), json!({}), json!({ "max_running": 70_000 }), json!({ "max_running": "two" })] {
        assert_eq!(problem(&put(wrong).await, 400), "invalid-request");
    }
    assert_eq!(put(json!({ "max_running": null })).await.json(), json!({ "repository": "acme/shop", "max_running": null }));

    let closed = world.post("/gates", &json!({ "scope": "repository:acme/shop", "why": "a release" })).await;
    assert_eq!((closed.status, &closed.json()["gates"][0]["detail"]["why"]), (201, &json!("a release")));
    assert!(queue::claim(&world.test.db, OwnerId::new(), Mode::Mechanic, 1, queue::LEASE, None).await.unwrap().is_empty());
    assert_eq!(world.get("/gates").await.json()["gates"][0]["scope"], "repository:acme/shop");
    let resume = async || world.send("DELETE", "/gates?scope=repository:acme/shop", "", "").await.json();
    assert_eq!(resume().await, json!({ "scope": "repository:acme/shop", "was_paused": true }));
    assert_eq!(resume().await["was_paused"], false);
    let claimed = queue::claim(&world.test.db, OwnerId::new(), Mode::Mechanic, 1, queue::LEASE, None).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.job_id).collect::<Vec<_>>(), [job_id]);
    for scope in ["", "everything", "mode:wizard", "repository:acme", "repository:../shop"] {
        assert_eq!(problem(&world.post("/gates", &json!({ "scope": scope })).await, 400), "invalid-request", "{scope}");
    }
}

#[tokio::test]
async fn budgets_are_set_seen_and_taken_away_and_costs_added_up() {
    let world = World::new().await;
    let put = async |body: Value| world.send("PUT", "/budgets", "content-type: application/json\r\n", &body.to_string()).await;
    let set = put(json!({ "scope": "mode:genius", "limit_microusd": 5_000_000 })).await;
    let expected = json!({
        "scope": "mode:genius", "limit_microusd": 5_000_000, "reserved_microusd": 0, "settled_microusd": 0, "closed_until": null,
    });
    assert_eq!((set.status, &set.json()["budgets"][0]), (200, &expected));
    assert_eq!(problem(&put(json!({ "scope": "all", "limit_microusd": -1 })).await, 400), "invalid-request");
    assert_eq!(problem(&put(json!({ "scope": "all", "limit_microusd": 1_000_000_000_000_001_i64 })).await, 400), "invalid-request");
    let remove = async || world.send("DELETE", "/budgets?scope=mode:genius", "", "").await;
    assert_eq!((remove().await.status, remove().await.status), (204, 404));
    assert_eq!(world.get("/budgets").await.json(), json!({ "budgets": [] }));
    assert_eq!(world.get("/costs?by=repository&from=2026-01-01").await.json(), json!({ "costs": [] }));
    for query in ["", "?by=colour", "?by=day&from=yesterday", "?by=day&to=2026-02-30"] {
        assert_eq!(problem(&world.get(&format!("/costs{query}")).await, 400), "invalid-request", "{query}");
    }
}

#[tokio::test]
async fn a_ledger_that_was_changed_does_not_hold() {
    let world = World::new().await;
    let job_id = world.job().await;
    let epoch = queue::claim_one(&world.test.db, OwnerId::new(), job_id, queue::LEASE, None).await.unwrap().unwrap().epoch;
    let call = steps::Reserve { step_no: 1, model: "scripted", cost_microusd: domain::MicroUsd(900), max_output: 10, heard: None };
    steps::reserve(&world.test.db, job_id, epoch, call).await.unwrap();
    let verified = world.send("POST", "/ledger/verify", "", "").await.json();
    assert_eq!((&verified["holds"], &verified["rows"]), (&json!(true), &json!(1)));
    world.test.execute("alter table ledger disable trigger user").await;
    world.test.execute("update ledger set cost_microusd = 1").await;
    let verified = world.post("/ledger/verify", &json!({ "full": true })).await.json();
    assert_eq!((&verified["holds"], &verified["faults"][0]["job_id"]), (&json!(false), &json!(job_id)));
}

#[tokio::test]
async fn a_schedule_is_added_run_stopped_and_removed() {
    let world = World::new().await;
    let job = json!({ "repository": "acme/shop", "input": { "title": "Update the dependencies" }, "mode": "mechanic", "caps": null });
    let nightly = json!({ "name": "nightly", "cron": "30 2 * * 1-5", "time_zone": "America/Sao_Paulo", "missed": "skip", "job": job });
    let added = world.post("/schedules", &nightly).await;
    assert_eq!((added.status, added.header("location")), (201, "/api/v1/schedules/nightly"));
    assert_eq!(problem(&world.post("/schedules", &nightly).await, 409), "conflict");
    let shown = world.get("/schedules/nightly").await.json();
    assert_eq!((&shown, &shown["missed"], &shown["job"]["input"]["title"]), (&added.json(), &json!("skip"), &job["input"]["title"]));
    let act = async |what: &str| world.send("POST", &format!("/schedules/nightly/{what}"), "", "").await;
    let ran = act("run").await;
    let started = world.get(&format!("/jobs/{}", ran.json()["job_id"].as_str().unwrap())).await.json();
    assert_eq!((ran.status, &started["trigger"]["by"], &started["input"]["title"]), (201, &json!("schedule"), &job["input"]["title"]));
    assert_eq!(act("disable").await.json()["next_run_at"], Value::Null);
    assert!(act("enable").await.json()["next_run_at"].is_string());
    assert_eq!(world.get("/schedules").await.json()["schedules"][0]["name"], "nightly");
    assert_eq!(world.send("DELETE", "/schedules/nightly", "", "").await.status, 204);
    for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/run"), ("POST", "/enable"), ("POST", "/disable")] {
        let answer = world.send(method, &format!("/schedules/nightly{path}"), "", "").await;
        assert_eq!(problem(&answer, 404), "not-found", "{method} {path}");
    }
    assert_eq!(problem(&world.get("/schedules/%00").await, 404), "not-found");

    for (field, value, pointer) in [
        ("name", json!("Nightly!"), "/name"),
        ("cron", json!("61 * * * *"), "/cron"),
        ("time_zone", json!("Mars/Olympus"), "/time_zone"),
        ("missed", json!("never"), "/missed"),
        ("job", json!({ "repository": "acme/shop", "input": { "title": " " } }), "/job/input/title"),
        ("job", json!({ "repository": "acme/shop", "input": { "title": "x" }, "remote": "/srv/shop.git" }), "/job/remote"),
        ("when", json!("soon"), "/when"),
    ] {
        let mut wrong = nightly.clone();
        wrong[field] = value;
        let answer = world.post("/schedules", &wrong).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (400, &json!(pointer)), "{}", answer.json());
    }
    assert_eq!(world.get("/schedules").await.json(), json!({ "schedules": [] }));
}

#[tokio::test]
async fn workers_are_listed_with_their_state() {
    let world = World::new().await;
    for (host, modes) in [("a", vec![Mode::Mechanic]), ("b", vec![Mode::Genius])] {
        let present =
            workers::Present { owner: OwnerId::new(), host: host.to_owned(), task_arn: None, modes, slots: 2, version: "0.1.0".to_owned() };
        workers::seen(&world.test.db, &present).await.unwrap();
    }
    world.test.execute("update workers set seen_at = now() - interval '40 seconds' where host = 'b'").await;
    let listed = world.get("/workers").await.json();
    let listed: Vec<_> = listed["workers"].as_array().unwrap().iter().map(|worker| (&worker["host"], &worker["state"])).collect();
    assert_eq!(listed, [(&json!("a"), &json!("works")), (&json!("b"), &json!("silent"))]);
}

#[tokio::test]
async fn only_an_administrator_changes_what_holds_for_all_jobs() {
    let mut world = World::new().await;
    world.token = make_token(&world.test, "both", &[TokenScope::JobsRead, TokenScope::JobsWrite]).await;
    for (method, path) in [
        ("PUT", "/lanes/acme/shop"),
        ("POST", "/gates"),
        ("DELETE", "/gates?scope=all"),
        ("PUT", "/budgets"),
        ("DELETE", "/budgets?scope=all"),
        ("POST", "/ledger/verify"),
        ("POST", "/schedules"),
        ("DELETE", "/schedules/nightly"),
        ("POST", "/schedules/nightly/enable"),
        ("POST", "/schedules/nightly/disable"),
        ("POST", "/schedules/nightly/run"),
    ] {
        let answer = world.send(method, path, "content-type: application/json\r\n", "{}").await;
        assert_eq!(problem(&answer, 403), "missing-scope", "{method} {path}");
    }
    for path in ["/lanes", "/gates", "/budgets", "/costs?by=day", "/schedules", "/workers", "/dlq"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}
