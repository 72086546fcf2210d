//! Jobs in plain JSON, as the API and direct invocations write them.

use dispatch::HttpRequest;
use serde_json::{Value, json};

use crate::{NOTHING, World, refused, sample};

fn job(change: impl FnOnce(&mut Value)) -> Value {
    let mut job = json!({ "repository": "acme/shop", "mode": "mechanic", "input": { "title": "Fix the rounding" } });
    change(&mut job);
    job
}

#[tokio::test]
async fn the_sample_is_a_ready_job_and_the_second_time_the_same_one() {
    let world = World::new().await;
    let event: Value = serde_json::from_slice(&sample("enqueue-new-job.json")).unwrap();
    let first = world.json(event.clone()).await.unwrap();
    let second = world.json(event.clone()).await.unwrap();
    assert_eq!((&first["accepted"], &second["accepted"]), (&json!("new"), &json!("known")));
    assert_eq!(first["job_id"], second["job_id"]);
    assert_eq!(world.rows().await, [1, 1, 1, 1, 0]);
    let row = "select concat_ws(' ', queue.state, queue.mode, remote, caps ->> 'steps') from jobs join queue using (job_id)";
    assert_eq!(world.test.value(row).await, "ready mechanic https://github.com/acme/tally.git 12");
    let elsewhere = {
        let mut event = event;
        event["repository"] = json!("acme/shop");
        event
    };
    assert_eq!(world.json(elsewhere).await.unwrap()["accepted"], "new", "a key is its repository's own");
}

#[tokio::test]
async fn the_sample_of_a_review_is_a_ready_job_of_that_kind() {
    let world = World::new().await;
    let event: Value = serde_json::from_slice(&sample("enqueue-review.json")).unwrap();
    assert_eq!(world.json(event).await.unwrap()["accepted"], "new");
    let row = "select concat_ws(' ', queue.state, kind, input ->> 'number', input ->> 'head') from jobs join queue using (job_id)";
    assert_eq!(world.test.value(row).await, "ready review 3 weighted-split");
}

#[tokio::test]
async fn a_job_without_a_key_is_a_new_one_each_time() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(world.json(job(|_| {})).await.unwrap()["accepted"], "new");
    }
    assert_eq!(world.rows().await, [2, 2, 2, 0, 0]);
}

#[tokio::test]
async fn a_job_that_makes_no_sense_is_refused_by_what_is_wrong_and_not_written() {
    let world = World::new().await;
    let cases: [(Value, &str); 18] = [
        (job(|job| job["repository"] = json!("shop")), "write it as owner/name"),
        (job(|job| job["repository"] = json!("../etc")), "write it as owner/name"),
        (job(|job| job["input"]["title"] = json!("")), "input.title is empty"),
        (job(|job| job["input"]["title"] = json!(" \t ")), "input.title is empty"),
        (job(|job| job["input"]["title"] = json!("two\nlines")), "input.title must be one line"),
        (job(|job| job["input"]["title"] = json!("x".repeat(301))), "at most 300 characters"),
        (job(|job| job["input"]["body"] = json!("x".repeat(256 * 1024 + 1))), "input.body has 262145 bytes"),
        (job(|job| job["model"] = json!("claude-haiku-45")), r#"did you mean "claude-haiku-4-5" or "claude-opus-4-5"?"#),
        (job(|job| job["moed"] = json!("genius")), "moed"),
        (job(|job| job["mode"] = json!("wizard")), "wizard"),
        (job(|job| job["input"] = json!({})), "title"),
        (job(|job| job["caps"] = json!({ "steps": -1 })), "caps.steps: invalid value: integer `-1`, expected u32"),
        (job(|job| job["idempotency_key"] = json!("a\0b")), "idempotency_key must be 1 to 255 characters"),
        (job(|job| job["idempotency_key"] = json!("")), "idempotency_key must be 1 to 255 characters"),
        (job(|job| job["kind"] = json!("review")), "input names nothing to review"),
        (
            job(|job| {
                job["kind"] = json!("question");
                job["input"]["head"] = json!("feature");
            }),
            "input.head is for jobs of kind review and change",
        ),
        (
            job(|job| {
                job["input"]["head"] = json!("feature");
                job["input"]["base"] = json!("feature");
            }),
            "are both \"feature\"",
        ),
        (json!("a string"), "string"),
    ];
    for (request, words) in cases {
        let (kind, said) = refused(world.json(request).await);
        assert_eq!(kind, "Invalid", "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(world.rows().await, NOTHING, "{said}");
    }
    let longest = job(|job| job["input"]["title"] = json!("ü".repeat(300)));
    assert_eq!(world.json(longest).await.unwrap()["accepted"], "new");
}

#[tokio::test]
async fn over_http_nothing_but_the_webhook_is_open() {
    let world = World::new().await;
    let post = |path: &str| HttpRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: Default::default(),
        body: serde_json::to_vec(&job(|_| {})).unwrap(),
    };
    for path in ["/", "/api/jobs", "/webhooks", "/webhooks/github/x"] {
        let said = format!("nothing but /webhooks/github is open here, not {path}");
        assert_eq!(refused(world.http(post(path)).await), ("Denied", said));
    }
    for path in ["/webhooks/github", "/webhooks/github/", "/prod/webhooks/github"] {
        let (kind, said) = refused(world.http(post(path)).await);
        assert_eq!(kind, "Denied");
        assert!(said.contains("signature"), "{said}");
    }
    assert_eq!(world.rows().await, NOTHING);
}

#[tokio::test]
async fn a_server_refuses_remotes_within_its_own_walls_and_passwords_in_them() {
    let (server, own) = (World::new().await, World::build(None, true).await);
    for (remote, words) in [
        ("/srv/shop.git", "is a path on the server"),
        ("https://ana:hunter2@example.com/shop.git", "carries a user or password"),
        ("http://localhost/shop.git", "own network"),
        ("http://127.0.0.1:8080/shop.git", "own network"),
        ("http://10.1.2.3/shop.git", "own network"),
        ("http://169.254.169.254/latest", "own network"),
    ] {
        let request = job(|job| job["remote"] = json!(remote));
        let (kind, said) = refused(server.json(request.clone()).await);
        assert_eq!(kind, "Invalid", "{remote}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{remote}: {said}");
        assert_eq!(own.json(request).await.unwrap()["accepted"], "new", "{remote}");
    }
    assert_eq!(server.rows().await, NOTHING);
    for remote in ["--upload-pack=evil", "ext::sh -c evil", "http://[::1]/shop.git"] {
        assert_eq!(refused(own.json(job(|job| job["remote"] = json!(remote))).await).0, "Invalid", "{remote}");
    }
    assert_eq!(server.json(job(|job| job["remote"] = json!("https://example.com/shop.git"))).await.unwrap()["accepted"], "new");
}
