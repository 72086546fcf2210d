//! GitHub's own payloads (npm `@octokit/webhooks-examples`) sent to the built service: each is answered, fast, and starts nothing
//! by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::{Codeteam, Up, root};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::TestDb;
use testkit::client::{HttpAnswer, post};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One payload and what event it is of.
#[derive(Clone)]
struct Example {
    event: String,
    body: Vec<u8>,
}

/// All of them; `None` where they are not installed, which is said.
fn examples() -> Option<Vec<(String, Value)>> {
    let index = root().join(".tools/webhooks-examples/node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let Ok(text) = std::fs::read(&index) else {
        e2e::skipped("GitHub's own payloads", "they are not installed: `make tools` brings them, where there is npm");
        return None;
    };
    let events: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let of = |event: &Value| {
        let name = event["name"].as_str().unwrap().to_owned();
        event["examples"].as_array().unwrap().iter().map(move |example| (name.clone(), example.clone())).collect::<Vec<_>>()
    };
    let all: Vec<(String, Value)> = events.iter().flat_map(of).collect();
    assert_eq!(all.len(), 329, "another version of the package?");
    Some(all)
}

fn example((event, payload): &(String, Value)) -> Example {
    Example { event: event.clone(), body: payload.to_string().into_bytes() }
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s").unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn send(address: &str, example: &Example, guid: &str, signature: &str) -> HttpAnswer {
    let headers = [("X-GitHub-Event", example.event.as_str()), ("X-GitHub-Delivery", guid), ("X-Hub-Signature-256", signature)];
    post(address, "/webhooks/github", &headers, &example.body).await
}

async fn serve(db: &TestDb) -> Up {
    let serve = Codeteam::new(["serve", "--listen", "127.0.0.1:0"]).on(db.url.expose()).env("GITHUB_WEBHOOK_SECRET", "s");
    Up::start(serve).await
}

/// What one of them is: the event and its action.
fn name(event: &str, payload: &Value) -> String {
    format!("{event} {}", payload["action"].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn every_payload_is_accepted_at_once_and_only_the_listed_ones_ask_for_anything() {
    let Some(all) = examples() else { return };
    let db = TestDb::new().await;
    let serve = serve(&db).await;
    let mut asked = BTreeSet::new();
    let mut took = Vec::new();
    for (number, payload) in all.iter().enumerate() {
        let example = example(payload);
        let signature = sign(&example.body);
        let started = Instant::now();
        let answer = send(&serve.address, &example, &format!("guid-{number}"), &signature).await;
        took.push(started.elapsed());
        let said = answer.json();
        assert_eq!(answer.status, 202, "{}: {said}", name(&payload.0, &payload.1));
        match said["accepted"].as_str().unwrap() {
            "ignored" => assert!(!said["reason"].as_str().unwrap().is_empty(), "{said}"),
            other => drop(asked.insert((name(&payload.0, &payload.1), other.to_owned()))),
        }
        assert!(!said.to_string().contains("shape"), "{}: {said}", name(&payload.0, &payload.1));
    }
    // What happened there may end a job or tell it something; none of it is a job.
    let commands = [("pull_request closed", "command"), ("pull_request synchronize", "command")];
    assert_eq!(
        asked.iter().map(|(name, accepted)| (name.as_str(), accepted.as_str())).collect::<Vec<_>>(),
        [commands[0], ("pull_request closed", "known_command"), commands[1]]
    );
    assert_eq!(db.value("select count(*) from jobs").await, "0");
    assert_eq!(db.value("select count(*) from deliveries").await, "329");
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let (half, most, slowest) = (at(50), at(99), at(100));
    e2e::measured(&format!("329 webhooks answered: p50 {half:.1?}, p99 {most:.1?}, slowest {slowest:.1?}"));
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test]
async fn one_byte_of_a_body_or_a_signature_that_is_not_as_it_was_is_401_and_writes_nothing() {
    let Some(all) = examples() else { return };
    let db = TestDb::new().await;
    let serve = serve(&db).await;
    for (number, payload) in all.iter().enumerate() {
        let example = example(payload);
        let signature = sign(&example.body);
        let mut flipped = example.clone();
        let at = (number * 7919) % flipped.body.len();
        flipped.body[at] ^= 1;
        let mut forged = signature.clone().into_bytes();
        let at = "sha256=".len() + number % 64;
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        let forged = String::from_utf8(forged).unwrap();
        for (example, signature) in [(&flipped, &signature), (&example, &forged)] {
            let answer = send(&serve.address, example, "guid", signature).await;
            assert_eq!((answer.status, &answer.json()["errorType"]), (401, &json!("Denied")), "{}", name(&payload.0, &payload.1));
        }
    }
    assert_eq!(db.value("select count(*) from deliveries").await, "0");
}

/// The payload, with a trigger of ours in it where it has room for one.
fn triggering(event: &str, payload: &Value) -> Option<Value> {
    let mut payload = payload.clone();
    match (event, payload["action"].as_str().unwrap_or_default()) {
        ("issues" | "pull_request", "labeled" | "unlabeled") => payload["label"]["name"] = json!("mechanic"),
        ("issue_comment", "created") => payload["comment"]["body"] = json!("/mechanic fix the rounding"),
        ("pull_request_review_comment", "created") => payload["comment"]["body"] = json!("/codeteam status"),
        ("pull_request_review", "submitted") => payload["review"]["body"] = json!("/genius split it"),
        ("check_run", "rerequested") => payload["check_run"]["external_id"] = json!("0198c8f0-5f00-7000-8000-4c7b1e9d2a60"),
        ("check_run", "requested_action") => {
            payload["check_run"]["external_id"] = json!("0198c8f0-5f00-7000-8000-4c7b1e9d2a60");
            payload["requested_action"]["identifier"] = json!("stop");
        }
        ("pull_request", "closed" | "synchronize") => {}
        _ => return None,
    }
    Some(payload)
}

#[tokio::test]
async fn what_is_delivered_three_times_at_once_under_three_names_is_one_job_or_one_command() {
    let Some(all) = examples() else { return };
    let db = TestDb::new().await;
    let serve = serve(&db).await;
    let triggers: Vec<(String, Value)> =
        all.iter().filter_map(|(event, payload)| Some((event.clone(), triggering(event, payload)?))).collect();
    assert!(triggers.len() > 20, "{}", triggers.len());
    let mut calls = JoinSet::new();
    for (number, payload) in triggers.iter().enumerate() {
        for guid in 0..3 {
            let (address, example) = (serve.address.clone(), example(payload));
            calls.spawn(async move {
                let signature = sign(&example.body);
                let answer = send(&address, &example, &format!("guid-{number}-{guid}"), &signature).await;
                (number, answer.status, answer.json())
            });
        }
    }
    let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let (mut new, mut all_ids) = (0, BTreeSet::new());
    while let Some(answered) = calls.join_next().await {
        let (number, status, said) = answered.unwrap();
        assert_eq!(status, 202, "{said}");
        let id = said["job_id"].as_str().or(said["command_id"].as_str()).unwrap_or_else(|| panic!("{said}"));
        new += usize::from(said["accepted"] == "new" || said["accepted"] == "command");
        ids.entry(number).or_default().insert(id.to_owned());
        all_ids.insert(id.to_owned());
    }
    for (number, ids) in &ids {
        assert_eq!(ids.len(), 1, "{}", name(&triggers[*number].0, &triggers[*number].1));
    }
    assert_eq!(new, all_ids.len(), "each was new once");
    let written: usize = db.value("select (select count(*) from jobs) + (select count(*) from commands)").await.parse().unwrap();
    assert_eq!(written, all_ids.len());
    let keys = db.value("select count(*) from job_keys where key like 'github:%'").await;
    assert_eq!(keys, db.value("select count(*) from jobs").await);
    e2e::measured(&format!("{} triggers, 3 times each at once, are {} jobs and commands", triggers.len(), all_ids.len()));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_written_in_time_is_answered_within_a_second_and_counts_as_failed() {
    let db = std::sync::Arc::new(TestDb::new().await);
    let serve = serve(&db).await;
    let body = std::fs::read(root().join("events/github-issue-labeled.json")).unwrap();
    let example = Example { event: "issues".to_owned(), body };
    let signature = sign(&example.body);
    let slow = tokio::spawn({
        let db = db.clone();
        async move { db.execute("do $$ begin lock table deliveries in access exclusive mode; perform pg_sleep(4); end $$").await }
    });
    let locked = "select count(*) from pg_locks where relation = 'deliveries'::regclass and mode = 'AccessExclusiveLock' and granted";
    while db.value(locked).await == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    let answer = send(&serve.address, &example, "guid", &signature).await;
    let took = started.elapsed();
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{}", answer.json());
    e2e::measured(&format!("a webhook behind a locked table is answered after {took:.1?}"));
    // The promise is a second on a calm machine; tests run beside each other.
    assert!(took < Duration::from_secs(2), "{took:?}");
    slow.await.unwrap();
    let again = send(&serve.address, &example, "guid", &signature).await.json();
    assert!(again["accepted"] == "new" || again["accepted"] == "known", "{again}");
    assert_eq!(db.value("select count(*) from jobs").await, "1");
}
