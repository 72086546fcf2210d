//! Who may ask, what can be asked, and what is refused.

use std::collections::BTreeSet;

use domain::{Clock, Mode, NewJob, SystemClock, TokenScope};
use serde_json::{Value, json};
use store::tokens;
use testkit::client::request;
use testkit::new_job;

use super::{World, make_token, problem};

#[tokio::test]
async fn only_a_token_in_force_opens_and_the_answer_says_how_to_come_by_one() {
    let world = World::new().await;
    let expired = make_token(&world.test, "expired", &[TokenScope::Admin]).await;
    world.test.execute("update api_tokens set expires_at = now() where name = 'expired'").await;
    let revoked = make_token(&world.test, "revoked", &[TokenScope::Admin]).await;
    tokens::revoke(&world.test.db, "revoked").await.unwrap();
    let other_secret = format!("{}{}", &world.token[..world.token.len() - 4], if world.token.ends_with("0000") { "1111" } else { "0000" });
    let wrong = [
        String::new(),
        "authorization: Bearer\r\n".to_owned(),
        "authorization: Bearer nonsense\r\n".to_owned(),
        format!("authorization: Basic {}\r\n", world.token),
        format!("authorization: {}\r\n", world.token),
        format!("authorization: Bearer {other_secret}\r\n"),
        format!("authorization: Bearer codeteam_000000000000_{}\r\n", "0".repeat(64)),
        format!("authorization: Bearer {expired}\r\n"),
        format!("authorization: Bearer {revoked}\r\n"),
    ];
    for headers in wrong {
        let answer = request(&world.address, "GET", "/api/v1/jobs", &headers, b"").await;
        assert_eq!(problem(&answer, 401), "unauthorized", "{headers}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"codeteam\"");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&world.token[22..]));
    }
    assert_eq!(tokens::list(&world.test.db).await.unwrap().iter().filter(|token| token.last_used_at.is_some()).count(), 0);
    assert_eq!(world.get("/jobs").await.status, 200);
    let headers = format!("AUTHORIZATION: bearer  {}\r\n", world.token);
    assert_eq!(request(&world.address, "GET", "/api/v1/jobs", &headers, b"").await.status, 200, "the scheme has no case");
    let used = tokens::list(&world.test.db).await.unwrap();
    assert_eq!(
        used.iter().filter(|token| token.last_used_at.is_some()).map(|token| token.name.as_str()).collect::<Vec<_>>(),
        ["everything"]
    );
}

#[tokio::test]
async fn a_token_does_what_its_scopes_name_and_no_more() {
    let mut world = World::new().await;
    let job = world.job().await;
    let new = json!({ "repository": "acme/shop", "input": { "title": "x" } });
    let stop = format!("/jobs/{job}/stop");
    for (scopes, may) in [
        (vec![TokenScope::JobsRead], [true, false]),
        (vec![TokenScope::JobsWrite], [false, true]),
        (vec![TokenScope::JobsRead, TokenScope::JobsWrite], [true, true]),
        (vec![TokenScope::Admin], [true, true]),
    ] {
        world.token = make_token(&world.test, &format!("{scopes:?}"), &scopes).await;
        let read = [world.get("/jobs").await, world.get(&format!("/jobs/{job}")).await, world.get(&format!("/jobs/{job}/ledger")).await];
        let write = [world.post("/jobs", &new).await, world.send("POST", &stop, "", "").await];
        for (answers, may, scope) in [(read.as_slice(), may[0], "jobs:read"), (write.as_slice(), may[1], "jobs:write")] {
            for answer in answers {
                if may {
                    assert!(answer.status < 300, "{scopes:?}: {}", String::from_utf8_lossy(&answer.body));
                } else {
                    assert_eq!(problem(answer, 403), "missing-scope");
                    assert!(answer.json()["detail"].as_str().unwrap().contains(scope));
                    assert!(answer.header("www-authenticate").contains(&format!("error=\"insufficient_scope\", scope=\"{scope}\"")));
                }
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_the_place_and_changes_nothing() {
    let world = World::new().await;
    let job = |change: &dyn Fn(&mut Value)| {
        let mut job = json!({ "repository": "acme/shop", "input": { "title": "x" }, "caps": { "steps": 1, "tokens": 1, "cost_microusd": 1, "active_ms": 1 } });
        change(&mut job);
        job.to_string()
    };
    let bodies = [
        (String::new(), ""),
        ("{".to_owned(), ""),
        ("[]".to_owned(), ""),
        ("{} {}".to_owned(), ""),
        (job(&|job| job["repository"] = json!("nowhere")), "/repository"),
        (job(&|job| job["repository"] = json!(7)), "/repository"),
        (job(&|job| job["caps"]["steps"] = json!("seven")), "/caps/steps"),
        (job(&|job| job["caps"]["setps"] = json!(7)), "/caps/setps"),
        (job(&|job| job["input"]["title"] = json!("")), "/input/title"),
        (job(&|job| job["input"]["title"] = json!("a\nb")), "/input/title"),
        (job(&|job| job["input"]["number"] = json!(-1)), "/input/number"),
        (job(&|job| job["input"]["titel"] = json!("x")), "/input/titel"),
        (job(&|job| job["moed"] = json!("genius")), "/moed"),
        (job(&|job| job["mode"] = json!("wizard")), "/mode"),
        (job(&|job| job["kind"] = json!("poem")), "/kind"),
        (job(&|job| job["priority"] = json!(40_000)), "/priority"),
        (job(&|job| job["trigger"] = json!({ "by": "cli" })), "/trigger"),
        (job(&|job| job["headers"] = json!({})), "/headers"),
        (job(&|job| job["model"] = json!("no-such-model")), "/model"),
        (job(&|job| job["remote"] = json!("/srv/shop.git")), "/remote"),
        (r#"{"repository": "a/b", "repository": "a/b", "input": {"title": "x"}}"#.to_owned(), ""),
    ];
    let mut wrong = Vec::new();
    for (body, pointer) in bodies {
        let answer = world.send("POST", "/jobs", "content-type: application/json\r\n", &body).await;
        if answer.status != 400 || answer.json()["errors"][0]["pointer"] != pointer {
            wrong.push(format!("{pointer}: {body}\n  {}", answer.json()));
        }
    }
    let query = [
        ("/jobs?limit=0", "limit"),
        ("/jobs?limit=501", "limit"),
        ("/jobs?limit=-1", "limit"),
        ("/jobs?limit=ten", "limit"),
        ("/jobs?state=asleep", "state"),
        ("/jobs?mode=wizard", "mode"),
        ("/jobs?kind=", "kind"),
        ("/jobs?outcome=ready", "outcome"),
        ("/jobs?since=yesterday", "since"),
        ("/jobs?repository=%00", "repository"),
        ("/jobs?cursor=0198cb5e-7a40-7c21-9f3e-5b6d8a2cbeef", "cursor"),
        ("/jobs?cursor=%00", "cursor"),
        ("/jobs?stat=ready", "stat"),
        ("/jobs?limit=1&limit=2", "query"),
        ("/jobs/7", "job_id"),
        ("/jobs/%00/events", "job_id"),
        ("/jobs/0198cb5e-7a40-7c21-9f3e-5b6d8a2cbeef/events?after=-1", "after"),
        ("/jobs/0198cb5e-7a40-7c21-9f3e-5b6d8a2cbeef/steps?limit=1001", "limit"),
        ("/events?job=7", "job"),
        ("/events?repository=nowhere", "repository"),
    ];
    for (path, parameter) in query {
        let answer = world.get(path).await;
        if answer.status != 400 || answer.json()["errors"][0]["parameter"] != parameter {
            wrong.push(format!("{path}\n  {}", answer.json()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let typed = world.send("POST", "/jobs", "content-type: text/plain\r\n", &job(&|_| {})).await;
    assert_eq!(problem(&typed, 415), "unsupported-media-type");
    let place = world.send("GET", "/events", "last-event-id: 17\r\n", "").await;
    assert_eq!((problem(&place, 400), &place.json()["errors"][0]["parameter"]), ("invalid-request".to_owned(), &json!("Last-Event-ID")));
    assert_eq!(problem(&world.get("/nothing").await, 404), "not-found");
    let method = world.send("PATCH", "/jobs", "", "").await;
    assert_eq!(problem(&method, 405), "method-not-allowed");
    assert_eq!(method.header("allow").split(',').collect::<BTreeSet<_>>(), BTreeSet::from(["GET", "HEAD", "POST"]));
    let unknown = "0198cb5e-7a40-7c21-9f3e-5b6d8a2cbeef";
    for path in ["", "/events", "/steps", "/ledger"] {
        assert_eq!(problem(&world.get(&format!("/jobs/{unknown}{path}")).await, 404), "not-found", "{path}");
    }
    assert_eq!(world.test.value("select count(*) from jobs").await, "0");
}

#[tokio::test]
async fn one_key_is_one_job_and_another_request_under_it_is_refused() {
    let world = World::new().await;
    let job = json!({ "repository": "acme/shop", "input": { "title": "Round\0 up", "body": "please" }, "mode": "mechanic" });
    let create = async |key: &str, job: &Value| {
        let headers = format!("content-type: application/json; charset=utf-8\r\nidempotency-key: {key}\r\n");
        world.send("POST", "/jobs", &headers, &job.to_string()).await
    };
    let first = create("k-1", &job).await;
    assert_eq!((first.status, &first.json()["new"]), (201, &json!(true)), "{}", first.json());
    let job_id = first.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/api/v1/jobs/{job_id}"));
    let again = create("k-1", &job).await;
    assert_eq!((again.status, again.json()), (200, json!({ "job_id": job_id, "new": false })));
    for (pointer, value) in [("/input/title", json!("Round down")), ("/mode", json!("genius")), ("/kind", json!("analysis"))] {
        let mut other = job.clone();
        other["kind"] = json!("change");
        *other.pointer_mut(pointer).unwrap() = value;
        assert_eq!(problem(&create("k-1", &other).await, 409), "key-reused", "{pointer}");
    }
    for key in ["", &"x".repeat(256), "\u{e9}"] {
        let answer = create(key, &job).await;
        assert_eq!(
            (problem(&answer, 400), &answer.json()["errors"][0]["parameter"]),
            ("invalid-request".to_owned(), &json!("Idempotency-Key"))
        );
    }
    let mut elsewhere = job.clone();
    elsewhere["repository"] = json!("acme/till");
    assert_eq!(create("k-1", &elsewhere).await.status, 201, "each repository has its own keys");
    assert_eq!(world.test.value("select count(*) from jobs").await, "2");
    assert_eq!(world.test.value("select trigger ->> 'by' from jobs limit 1").await, "api");
}

#[tokio::test]
async fn following_the_links_shows_every_job_once_while_new_ones_are_written() {
    let world = World::new().await;
    let mut before = BTreeSet::new();
    for _ in 0..60 {
        before.insert(world.job().await.to_string());
    }
    let mut seen = Vec::new();
    let mut path = "/jobs?limit=7".to_owned();
    loop {
        world.job().await;
        let page = world.get(&path).await;
        assert_eq!(page.status, 200);
        seen.extend(page.json()["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap().to_owned()));
        let link = page.header("link");
        if link.is_empty() {
            assert!(page.json()["next"].is_null());
            break;
        }
        path = link.strip_prefix("</api/v1").and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned();
        assert!(path.contains("limit=7") && path.contains(page.json()["next"].as_str().unwrap()));
    }
    assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len(), "none twice");
    assert!(before.is_subset(&seen.into_iter().collect()), "none left out");
}

#[tokio::test]
async fn filters_go_on_to_the_next_page() {
    let world = World::new().await;
    let since = SystemClock.now() - time::Duration::hours(1);
    let since = since.format(&time::format_description::well_known::Rfc3339).unwrap().replace('+', "%2B");
    for repository in ["acme/shop", "acme/till", "acme/till"] {
        world.job_like(&NewJob { repository: repository.to_owned(), mode: Some(Mode::Genius), ..new_job() }).await;
    }
    let first = world.get(&format!("/jobs?repository=acme/till&mode=genius&kind=change&state=ready&since={since}&limit=1")).await;
    let link = first.header("link").strip_prefix("</api/v1").and_then(|link| link.split_once('>')).unwrap().0.to_owned();
    let second = world.get(&link).await;
    for page in [&first, &second] {
        let job = &page.json()["jobs"][0];
        assert_eq!(
            (job["repository"].as_str(), job["state"].as_str(), job["mode"].as_str()),
            (Some("acme/till"), Some("ready"), Some("genius"))
        );
    }
    assert_ne!(first.json()["jobs"][0]["job_id"], second.json()["jobs"][0]["job_id"]);
    assert_eq!((second.json()["jobs"].as_array().unwrap().len(), second.header("link")), (1, ""));
}
