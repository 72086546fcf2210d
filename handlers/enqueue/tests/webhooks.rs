//! Webhooks: whatever comes, the answer is the right one and nothing more is written than it says.

use std::sync::Arc;

use domain::Secret;
use github::WebhookSecrets;
use github::signature::sign;
use github::webhook::MAX_BODY_BYTES;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{NOTHING, ONE_JOB, ONLY_THE_DELIVERY, World, delivery, refused, sample, secret};

fn labeled() -> dispatch::HttpRequest {
    delivery("issues", "d1", &sample("github-issue-labeled.json"))
}

#[tokio::test]
async fn a_label_makes_a_job_that_waits_for_triage_with_the_request_frozen() {
    let world = World::new().await;
    let accepted = world.http(labeled()).await.unwrap();
    assert_eq!(accepted["accepted"], "new");
    assert_eq!(world.rows().await, ONE_JOB);
    let test = &world.test;
    assert_eq!(test.value("select concat_ws(' ', state, waiting_for, lane, mode) from queue").await, "waiting triage acme/tally");
    let input: Value = serde_json::from_str(&test.value("select input from jobs").await).unwrap();
    let event: Value = serde_json::from_slice(&sample("github-issue-labeled.json")).unwrap();
    let issue = &event["issue"];
    let frozen = json!({ "title": issue["title"], "body": issue["body"], "number": 7, "requester": event["sender"]["login"] });
    assert_eq!(input, frozen);
    assert_eq!(test.value("select trigger from jobs").await, r#"{"by": "label", "label": "mechanic"}"#);
    assert_eq!(test.value("select job_id from deliveries where body is not null").await, accepted["job_id"].as_str().unwrap());
}

#[tokio::test]
async fn each_sample_does_what_the_list_of_samples_says() {
    for (file, event, accepted, reason) in [
        ("github-issue-labeled-genius.json", "issues", "new", ""),
        ("github-issue-comment-command.json", "issue_comment", "new", ""),
        ("github-issue-labeled-other.json", "issues", "ignored", r#"the label "good first issue" starts nothing"#),
        ("github-issue-comment-plain.json", "issue_comment", "ignored", "the comment does not begin with /mechanic, /genius or /codeteam"),
        ("github-ping.json", "ping", "ignored", "ping"),
    ] {
        let world = World::new().await;
        let answer = world.http(delivery(event, "d1", &sample(file))).await.unwrap();
        assert_eq!(answer["accepted"], accepted, "{file}");
        assert_eq!(answer["reason"].as_str().unwrap_or_default(), reason, "{file}");
        assert_eq!(world.rows().await, if accepted == "new" { ONE_JOB } else { ONLY_THE_DELIVERY }, "{file}");
        assert_eq!(world.test.value("select ignored from deliveries").await, reason, "{file}");
    }
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_ignored_with_the_reason() {
    let world = World::new().await;
    let answer = world.http(delivery("moon_phase", "d1", b"{\"phase\": \"full\"}")).await.unwrap();
    assert_eq!(answer, json!({ "accepted": "ignored", "reason": "nothing reacts to the event \"moon_phase\"" }));
    assert_eq!(world.rows().await, ONLY_THE_DELIVERY);
}

#[tokio::test]
async fn a_webhook_without_a_valid_signature_is_denied_and_writes_nothing() {
    let world = World::new().await;
    let with = |signature: Option<String>| {
        let mut request = labeled();
        request.headers.remove("x-hub-signature-256");
        request.headers.extend(signature.map(|value| ("x-hub-signature-256".to_owned(), value)));
        request
    };
    let body = labeled().body;
    let forged = [
        None,
        Some(String::new()),
        Some("sha256=".to_owned()),
        Some(sign(&Secret::new("another secret"), &body)),
        Some(sign(&secret(), b"another body")),
        Some(sign(&secret(), &body).replace("sha256=", "sha1=")),
    ];
    for signature in forged {
        assert_eq!(refused(world.http(with(signature.clone())).await).0, "Denied", "{signature:?}");
        assert_eq!(world.rows().await, NOTHING, "{signature:?}");
    }
    let mut changed = labeled();
    changed.body.push(b' ');
    assert_eq!(refused(world.http(changed).await).0, "Denied");
    let mut truncated = labeled();
    truncated.body.truncate(truncated.body.len() / 2);
    assert_eq!(refused(world.http(truncated).await).0, "Denied");
    assert_eq!(world.rows().await, NOTHING);
    assert_eq!(world.http(labeled()).await.unwrap()["accepted"], "new", "the same delivery, signed, is not known yet");
}

#[tokio::test]
async fn a_signed_body_that_is_no_payload_is_refused_and_only_the_delivery_is_kept() {
    let whole = sample("github-issue-labeled.json");
    for body in [&whole[..whole.len() / 2], b"not json", b"", b"\xff\xfe"] {
        let world = World::new().await;
        let (kind, said) = refused(world.http(delivery("issues", "d1", body)).await);
        assert_eq!(kind, "Invalid", "{said}");
        assert_eq!(world.rows().await, ONLY_THE_DELIVERY, "{said}");
        assert_eq!(world.test.value("select ignored from deliveries").await, said);
    }
}

#[tokio::test]
async fn signed_json_of_a_shape_that_nobody_knows_is_accepted_and_ignored_with_the_reason() {
    for body in [b"[1, 2]".as_slice(), b"null", b"{\"action\": \"labeled\", \"issue\": []}"] {
        let world = World::new().await;
        let answer = world.http(delivery("issues", "d1", body)).await.unwrap();
        assert_eq!(answer["accepted"], "ignored");
        assert!(answer["reason"].as_str().unwrap().contains("a shape that this release does not know"), "{answer}");
        assert_eq!(world.rows().await, ONLY_THE_DELIVERY);
    }
}

#[tokio::test]
async fn a_command_is_written_once_however_often_and_under_whatever_name_it_is_delivered() {
    let world = Arc::new(World::new().await);
    let mut calls = JoinSet::new();
    for n in 0..9 {
        let world = world.clone();
        calls.spawn(async move {
            world.http(delivery("issue_comment", &format!("d{}", n / 3), &sample("github-issue-comment-stop.json"))).await.unwrap()
        });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer["accepted"] == "command").count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer["accepted"] == "known_command").count(), 8);
    assert!(answers.iter().all(|answer| answer["command_id"] == answers[0]["command_id"]));
    assert_eq!(world.rows().await, [0, 0, 0, 0, 3]);
    let written = "select concat_ws(' ', repository, number, actor, command, comment, asked_at at time zone 'UTC') from commands";
    let expected =
        r#"acme/tally 7 hubot {"do": "stop", "because": {"why": "asked"}} {"id": 1000032, "at_line": false} 2025-08-21 08:20:00"#;
    assert_eq!(world.test.value(written).await, expected);
}

#[tokio::test]
async fn a_body_larger_than_github_sends_is_refused_before_anything_else() {
    let world = World::new().await;
    let body = vec![b' '; MAX_BODY_BYTES + 1];
    let (kind, said) = refused(world.http(delivery("issues", "d1", &body)).await);
    assert_eq!((kind, said.as_str()), ("Invalid", "the body has 26214401 bytes: GitHub sends at most 26214400"));
    assert_eq!(world.rows().await, NOTHING);
}

#[tokio::test]
async fn without_a_secret_no_webhook_is_accepted() {
    let world = World::with_secrets(None).await;
    let (kind, said) = refused(world.http(labeled()).await);
    assert_eq!((kind, said.as_str()), ("Denied", "webhooks are refused: no GITHUB_WEBHOOK_SECRET is set"));
    assert_eq!(world.rows().await, NOTHING);
}

#[tokio::test]
async fn while_secrets_rotate_both_sign_and_afterwards_only_the_new_one() {
    let new = Secret::new("the new secret");
    let rotating = World::with_secrets(Some(WebhookSecrets::new(new.clone(), Some(secret())).unwrap())).await;
    assert_eq!(rotating.http(labeled()).await.unwrap()["accepted"], "new");
    let mut signed_anew = labeled();
    signed_anew.headers.insert("x-hub-signature-256".to_owned(), sign(&new, &signed_anew.body));
    assert_eq!(rotating.http(signed_anew.clone()).await.unwrap()["accepted"], "known");
    let rotated = World::with_secrets(Some(WebhookSecrets::new(new, None).unwrap())).await;
    assert_eq!(refused(rotated.http(labeled()).await).0, "Denied");
    assert_eq!(rotated.rows().await, NOTHING);
    assert_eq!(rotated.http(signed_anew).await.unwrap()["accepted"], "new");
}

#[tokio::test]
async fn a_delivery_without_its_name_or_event_is_refused() {
    let world = World::new().await;
    for header in ["x-github-delivery", "x-github-event"] {
        for value in [None, Some("")] {
            let mut request = labeled();
            request.headers.remove(header);
            request.headers.extend(value.map(|value| (header.to_owned(), value.to_owned())));
            assert_eq!(refused(world.http(request).await), ("Invalid", format!("header {header} is missing")));
        }
    }
    assert_eq!(world.rows().await, NOTHING);
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_the_job_it_was() {
    let world = World::new().await;
    let first = world.http(labeled()).await.unwrap();
    let again = world.http(labeled()).await.unwrap();
    assert_eq!((&again["accepted"], &again["job_id"]), (&json!("known"), &first["job_id"]));
    assert_eq!(world.rows().await, ONE_JOB);
}

#[tokio::test]
async fn one_delivery_many_times_at_once_is_one_job() {
    let world = Arc::new(World::new().await);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let world = world.clone();
        calls.spawn(async move { world.http(labeled()).await.unwrap() });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer["accepted"] == "new").count(), 1);
    assert!(answers.iter().all(|answer| answer["job_id"] == answers[0]["job_id"]));
    assert_eq!(world.rows().await, ONE_JOB);
}

#[tokio::test]
async fn two_deliveries_of_one_human_action_are_one_job() {
    let world = World::new().await;
    let first = world.http(labeled()).await.unwrap();
    let other = world.http(delivery("issues", "d2", &sample("github-issue-labeled.json"))).await.unwrap();
    assert_eq!((&other["accepted"], &other["job_id"]), (&json!("known"), &first["job_id"]));
    assert_eq!(world.rows().await, [1, 1, 1, 1, 2]);
    let genius = world.http(delivery("issues", "d3", &sample("github-issue-labeled-genius.json"))).await.unwrap();
    assert_eq!(genius["accepted"], "new", "another label is another action");
}

#[tokio::test]
async fn a_title_longer_than_one_line_should_be_goes_on_in_the_body() {
    let world = World::new().await;
    let mut event: Value = serde_json::from_slice(&sample("github-issue-labeled.json")).unwrap();
    event["issue"]["title"] = json!("ö".repeat(400));
    event["issue"]["body"] = json!("The text.");
    let answer = world.http(delivery("issues", "d1", event.to_string().as_bytes())).await.unwrap();
    assert_eq!(answer["accepted"], "new");
    let title = world.test.value("select input ->> 'title' from jobs").await;
    assert_eq!(title, format!("{}…", "ö".repeat(299)));
    assert_eq!(world.test.value("select input ->> 'body' from jobs").await, format!("…{}\n\nThe text.", "ö".repeat(101)));
}
