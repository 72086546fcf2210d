use std::sync::Arc;
use std::time::Duration;

use domain::Secret;
use domain::review::Side;
use e2e::{root, tools};
use github::app::{App, AppCredentials, AppOptions, HttpOptions, LocalPacer, Site, exchange};
use github::{Access, CheckAction, CheckRun, CheckState, Emotion, Forge, GitHub, LineComment, NewPullRequest, NewReview, Subject};
use process::Exit;
use serde_json::{Value, json};
use testkit::github::{APP_ID, Account, BOT, Options, Reply, Server};
use testkit::model::http::Request;
use time::OffsetDateTime;

const REPOSITORY: &str = "acme/shop";
const MARKER: &str = "<!-- codeteam:job:1 -->";

/// What node and the description say to `lines`; `None` where they are not installed, which is said.
async fn judged(what: &str, lines: &[Value]) -> Option<Vec<Value>> {
    let folder = root().join(".tools/github-api");
    if !folder.join("installed-from").exists() || !tools::has("node").await {
        e2e::skipped(what, "GitHub's description of its API is not installed: `make tools` brings it, where there is npm");
        return None;
    }
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let judge = root().join("e2e/tests/github/judge.mjs");
    let command = tools::command("node").args([judge.as_os_str(), folder.as_os_str()]).stdin(input).timeout(Duration::from_secs(120));
    let output = tools::attempt(command).await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr_text());
    let verdicts: Vec<Value> = output.stdout_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), lines.len());
    Some(verdicts)
}

/// The server that the client's own tests have, with one repository: what it is asked here goes before the judge.
async fn server() -> Server {
    let server = Server::start(Options { keeps_requests: true, ..Options::default() }).await;
    let mut state = server.state();
    state.host(REPOSITORY, 77, None);
    state.account(Account { id: 7, login: "Ada".to_owned(), name: Some("Ada Lovelace".to_owned()), role: "maintain".to_owned() });
    drop(state);
    server
}

fn client(server: &Server) -> GitHub {
    let site = Site::with_api("https://github.com", &server.url()).unwrap();
    let credentials = AppCredentials::new(site, APP_ID, Secret::new(testkit::github::app_key())).unwrap();
    let pacer = Arc::new(LocalPacer::new(Duration::ZERO, Duration::from_secs(20)));
    GitHub::new(App::new(&credentials, AppOptions { pacer, ..AppOptions::new(|_| {}) }).unwrap())
}

fn pull_request(title: &str) -> NewPullRequest {
    NewPullRequest { head: "codeteam/1-x".into(), base: "main".into(), title: title.into(), body: "why".into(), draft: true }
}

fn review(body: &str) -> NewReview {
    let comment = LineComment { path: "src/lib.rs".into(), line: 3, side: Side::Left, body: "off by one".into() };
    NewReview { commit: "c0ffee".into(), body: format!("{body} {MARKER}"), comments: vec![comment] }
}

fn check(state: CheckState) -> CheckRun {
    let job_id = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let actions = vec![CheckAction::Stop, CheckAction::Retry];
    let (title, summary) = ("step 3".to_owned(), "3 of 20".to_owned());
    CheckRun { job_id, commit: "c0ffee".into(), name: "AI Code Team".into(), state, title, summary, actions }
}

/// Everything that the client can do, each way of doing it.
async fn whole_conversation(server: &Server) {
    let github = client(server);
    github.author().await.unwrap();
    github.person("ada").await.unwrap();
    github.permission(REPOSITORY, "ada").await.unwrap();
    github.credential(REPOSITORY, Access::Read).await.unwrap();
    github.credential(REPOSITORY, Access::Write).await.unwrap();
    for title in ["Fix tax", "Fix the tax"] {
        let put = github.put_pull_request(REPOSITORY, &pull_request(title)).await.unwrap();
        github.pull_request(REPOSITORY, put.number).await.unwrap().unwrap();
        let comment = github.put_comment(REPOSITORY, 7, MARKER, &format!("{title} {MARKER}")).await.unwrap();
        github.edit_comment(REPOSITORY, 7, comment.id, MARKER).await.unwrap();
        // As a process that was frozen would.
        server.at(REPOSITORY).comment(7, BOT, MARKER);
        let asked = server.at(REPOSITORY).at_line(3, "ada", "why?", &json!({}));
        for words in ["since", "because"] {
            github.put_reply(REPOSITORY, 3, asked, MARKER, &format!("{words} {MARKER}")).await.unwrap();
            server.at(REPOSITORY).at_line(3, BOT, MARKER, &json!({ "in_reply_to_id": asked }));
        }
        let put = github.put_review(REPOSITORY, 3, MARKER, &review(title)).await.unwrap();
        github.review_comments(REPOSITORY, 3, put.id).await.unwrap();
        let late = server.at(REPOSITORY).review(3, BOT, MARKER, "c0ffee");
        server.at(REPOSITORY).at_line(3, BOT, "off by one", &json!({ "pull_request_review_id": late }));
    }
    let bare = server.at(REPOSITORY).review(3, "ada", "fine", "c0ffee");
    assert_eq!(github.review_comments(REPOSITORY, 3, bare).await.unwrap(), []);
    github.react(REPOSITORY, Subject::Issue { number: 7 }, Emotion::Eyes).await.unwrap();
    github.react(REPOSITORY, Subject::Comment { id: 8 }, Emotion::Rocket).await.unwrap();
    github.react(REPOSITORY, Subject::LineComment { id: 9 }, Emotion::Confused).await.unwrap();
    use CheckState::{ActionRequired, Cancelled, InProgress, Neutral, Queued, Success};
    for state in [Queued, InProgress, Success, Neutral, ActionRequired, Cancelled] {
        let id = github.put_check_run(REPOSITORY, None, &check(state)).await.unwrap();
        let mut late = server.at(REPOSITORY).checks[&id].clone();
        late["id"] = json!(id + 1_000);
        server.at(REPOSITORY).checks.insert(id + 1_000, late);
    }
    let app = github.app();
    server.state().deliveries = vec![json!({ "id": 5, "guid": "a", "delivered_at": "2026-11-26T09:00:00Z", "status_code": 500 })];
    assert_eq!(app.deliveries(OffsetDateTime::UNIX_EPOCH).await.unwrap().len(), 1);
    app.redeliver(5).await.unwrap();
    app.about().await.unwrap();
    app.installations().await.unwrap();
    exchange(app.site(), &HttpOptions::default(), "good").await.unwrap();
}

/// Requests that are wrong in one way each: what has gone wrong in other clients, and what nobody would notice.
fn broken() -> Vec<Value> {
    let request = |method: &str, path: &str, body: Value| json!({ "method": method, "path": path, "query": {}, "body": body });
    let review = |change: Value| {
        let mut body = json!({ "commit_id": "c0ffee", "event": "COMMENT", "body": "x", "comments": [{ "path": "a", "line": 3, "side": "LEFT", "body": "x" }] });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        request("POST", "/repos/acme/shop/pulls/3/reviews", body)
    };
    let long = "x".repeat(21);
    vec![
        request("POST", "/repos/acme/shop/issues/comments/5", json!({ "body": "x" })),
        request("PATCH", "/repos/acme/shop/issues/comments/abc", json!({ "body": "x" })),
        request("PATCH", "/repos/acme/shop/issues/comments/5", json!({ "bodi": "x" })),
        request("PATCH", "/repos/acme/shop/issues/comments/5", Value::Null),
        request("POST", "/repos/acme/shop/issues/7/reactions", json!({ "content": "clap" })),
        request("POST", "/repos/acme/shop/pulls", json!({ "title": "x", "head": "x" })),
        request("POST", "/repos/acme/shop/pulls", json!({ "title": "x", "head": "x", "base": "main", "draft": "yes" })),
        review(json!({ "event": "SHOUT" })),
        review(json!({ "comments": [{ "path": "a", "line": "3", "body": "x" }] })),
        review(json!({ "comments": [{ "path": "a", "ligne": 3, "body": "x" }] })),
        request("POST", "/repos/acme/shop/check-runs", json!({ "name": "x" })),
        request("PATCH", "/repos/acme/shop/check-runs/1", json!({ "conclusion": "fine" })),
        request("PATCH", "/repos/acme/shop/check-runs/1", json!({ "actions": [{ "label": long, "description": "x", "identifier": "x" }] })),
        request("POST", "/app/installations/77/access_tokens", json!({ "permissions": { "contents": "all" } })),
        request("POST", "/app/installations/77/access_tokens", json!({ "permissions": { "content": "read" } })),
        request("PUT", "/repos/acme/shop/pulls/3/reviews/4", json!({})),
        json!({ "method": "GET", "path": "/repos/acme/shop/pulls", "query": { "state": "every" } }),
        json!({ "method": "GET", "path": "/repos/acme/shop/pulls", "query": { "branch": "x" } }),
        json!({ "method": "GET", "path": "/app/hooks/deliveries", "query": {} }),
    ]
}

#[tokio::test]
async fn githubs_own_description_takes_every_request_of_ours_and_refuses_broken_ones() {
    let server = server().await;
    whole_conversation(&server).await;
    let mut lines: Vec<Value> = Vec::new();
    for request in server.requests() {
        let path = request.path.split('?').next();
        let body = (!request.body.is_empty()).then(|| serde_json::from_slice::<Value>(&request.body).unwrap());
        lines.push(json!({ "method": request.method, "path": path, "query": request.query(), "body": body }));
    }
    // The App's own token is judged too: by node, and with a claim that was changed.
    let bearer = |request: &Request| Some(request.header("authorization")?.strip_prefix("Bearer ")?.to_owned());
    let jwt = server.requests().iter().filter_map(bearer).find(|token| token.split('.').count() == 3).unwrap();
    lines.push(json!({ "jwt": jwt, "pem": testkit::github::app_key() }));
    let good = lines.len();
    lines.push(json!({ "jwt": jwt.replacen('.', ".x", 1), "pem": testkit::github::app_key() }));
    lines.extend(broken());
    let Some(verdicts) = judged("our requests against GitHub's description of its API", &lines).await else { return };
    for (place, (line, verdict)) in lines.iter().zip(&verdicts).enumerate() {
        assert_eq!(verdict.is_null(), place < good, "{verdict} on {line}");
    }
    let ways: std::collections::BTreeSet<&str> = server_operations(&lines[..good]);
    assert_eq!(ways, ["DELETE", "GET", "PATCH", "POST", "PUT"].into());
    e2e::measured(&format!("GitHub's description takes {good} requests and refuses {} broken ones", lines.len() - good));
}

fn server_operations(lines: &[Value]) -> std::collections::BTreeSet<&str> {
    lines.iter().filter_map(|line| line["method"].as_str()).collect()
}

#[tokio::test]
async fn githubs_own_examples_are_read() {
    let operations = [
        "GET /app",
        "GET /app/installations",
        "GET /app/hook/deliveries",
        "GET /repos/acme/shop/installation",
        "POST /app/installations/1/access_tokens",
        "GET /repos/acme/shop/collaborators/ada/permission",
        "GET /users/ada",
        "GET /repos/acme/shop/pulls",
        "GET /repos/acme/shop/pulls/1347",
        "GET /repos/acme/shop/issues/7/comments",
        "GET /repos/acme/shop/pulls/3/comments",
        "GET /repos/acme/shop/pulls/3/reviews",
        "GET /repos/acme/shop/commits/c0ffee/check-runs",
        "POST /repos/acme/shop/check-runs",
    ];
    let lines: Vec<Value> = operations.iter().map(|operation| json!({ "example": operation })).collect();
    let Some(examples) = judged("GitHub's examples of replies", &lines).await else { return };
    let example = |operation: &str| examples[operations.iter().position(|known| *known == operation).unwrap()].clone();
    let server = server().await;
    let github = client(&server);
    let next = |operation: &str, sent: &str| {
        let status = if operation.starts_with("POST") { 201 } else { 200 };
        server.state().faults.push((sent.to_owned(), Reply::json(status, &example(operation))));
    };
    let answer = |operation: &str| next(operation, operation);

    answer("GET /app");
    let about = github.app().about().await.unwrap();
    assert_eq!((about.slug.as_str(), about.permissions["contents"].as_str()), ("octoapp", "read"));
    answer("GET /app/installations");
    assert_eq!(github.app().installations().await.unwrap()[0].id, 1);
    answer("GET /app/hook/deliveries");
    let deliveries = github.app().deliveries(OffsetDateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!((deliveries.len(), deliveries[0].status_code, deliveries[0].event.as_str()), (2, 200, "issues"));

    // The example's token ended in 2016, so each question gets one of its own.
    answer("GET /repos/acme/shop/installation");
    answer("POST /app/installations/1/access_tokens");
    let token = github.credential(REPOSITORY, Access::Read).await.unwrap().unwrap();
    assert_eq!(token.password.expose(), example("POST /app/installations/1/access_tokens")["token"]);
    server.state().installations.insert("acme".to_owned(), 1);

    answer("GET /repos/acme/shop/collaborators/ada/permission");
    assert_eq!(github.permission(REPOSITORY, "ada").await.unwrap(), github::Permission::Admin);
    answer("GET /users/ada");
    let octocat = github.person("ada").await.unwrap().unwrap();
    assert_eq!((octocat.name.as_str(), octocat.email.as_str()), ("monalisa octocat", "1+octocat@users.noreply.github.com"));
    answer("GET /repos/acme/shop/pulls/1347");
    let pull = github.pull_request(REPOSITORY, 1347).await.unwrap().unwrap();
    let expected = example("GET /repos/acme/shop/pulls/1347");
    assert_eq!((pull.number, pull.open, pull.head_commit.as_deref()), (1347, true, expected["head"]["sha"].as_str()));
    assert_eq!((pull.fork, pull.request.head.as_str(), pull.request.base.as_str()), (None, "new-topic", "master"));
    answer("GET /repos/acme/shop/pulls");
    assert_eq!(github.find_pull_request(REPOSITORY, "new-topic").await.unwrap().unwrap().number, 1347);
    // Written by somebody else, so not ours, but all of it is read.
    answer("GET /repos/acme/shop/issues/7/comments");
    assert_eq!(github.find_comment(REPOSITORY, 7, "Me too").await.unwrap(), None);
    answer("GET /repos/acme/shop/pulls/3/reviews");
    assert_eq!(github.find_review(REPOSITORY, 3, "body").await.unwrap(), None);
    answer("GET /repos/acme/shop/pulls/3/comments");
    let comments = github.review_comments(REPOSITORY, 3, 42).await.unwrap();
    assert_eq!(comments, [LineComment { path: "file1.txt".into(), line: 2, side: Side::Right, body: "Great stuff!".into() }]);
    answer("GET /repos/acme/shop/commits/c0ffee/check-runs");
    answer("POST /repos/acme/shop/check-runs");
    assert_eq!(github.put_check_run(REPOSITORY, None, &check(CheckState::Queued)).await.unwrap(), 4);
}
