//! `codeteam github`: an App is registered in a browser, looked at, and made up for what it missed.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use e2e::Codeteam;
use e2e::product::Running;
use process::{Exit, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::client as http;
use testkit::github::app_key;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(super) const WEBHOOK_SECRET: &str = "whsec-4f1c9e2b7a";

/// A GitHub that knows one code, which is good once.
pub(super) async fn github(installations: Value) -> MockServer {
    let server = MockServer::start().await;
    let registered = json!({ "id": 4711, "slug": "acme-codeteam", "pem": app_key(), "webhook_secret": WEBHOOK_SECRET });
    let once = ResponseTemplate::new(201).set_body_json(registered);
    Mock::given(method("POST")).and(path("/api/v3/app-manifests/c0de/conversions")).respond_with(once).expect(0..=1).mount(&server).await;
    let about = json!({
        "id": 4711,
        "slug": "acme-codeteam",
        "name": "Acme Codeteam",
        "html_url": "https://github.example/apps/acme-codeteam",
        "permissions": { "checks": "write", "contents": "write", "issues": "write", "metadata": "read", "pull_requests": "write" },
        "events": ["check_run", "issue_comment", "issues", "pull_request", "pull_request_review", "pull_request_review_comment"],
    });
    for (place, body) in [("/api/v3/app", about), ("/api/v3/app/installations", installations)] {
        Mock::given(method("GET")).and(path(place)).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    }
    server
}

/// The value of an attribute of the page's form.
fn attribute(page: &str, before: &str) -> String {
    let value = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1;
    let value = value.split('"').next().unwrap();
    [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")]
        .iter()
        .fold(value.to_owned(), |value, (from, to)| value.replace(from, to))
}

/// Sets an App up as a person would with a browser: what the command said and the folder of its state.
async fn set_up(server: &MockServer) -> (String, TempDir) {
    let state = tempfile::tempdir().unwrap();
    (set_up_in(server, state.path(), "root").await, state)
}

/// The same with this folder of the state, for services of this user.
async fn set_up_in(server: &MockServer, state: &Path, user: &str) -> String {
    let url = server.uri();
    let arguments = ["github", "setup", "--github", &url, "--url", "https://codeteam.example.com", "--organization", "acme", "--json"];
    let running = Codeteam::new(arguments).state(state).env("CODETEAM_USER", user);
    let (exit, said) = register(server, running.env("CODETEAM_CACHE_DIR", state.with_extension("cache")).start()).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    said
}

/// Does what a person does in a browser, for a setup that is under way for the organization acme: how it ended and what it said.
pub(super) async fn register(server: &MockServer, running: Running) -> (Exit, String) {
    let url = server.uri();
    let line = running.says("http://127.0.0.1:").await;
    let address = line.trim().trim_start_matches("http://").to_owned();
    let page = http::get(&address, "/").await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{:?}", page.headers);
    let action = attribute(&text, "action=\"");
    let begin = format!("{url}/organizations/acme/settings/apps/new?state=");
    let secret = action.strip_prefix(&begin).unwrap_or_else(|| panic!("{action}"));
    let manifest: Value = serde_json::from_str(&attribute(&text, "name=\"manifest\" value=\"")).unwrap();
    assert_eq!(manifest["redirect_url"], format!("http://{address}/registered"));
    assert_eq!(manifest["hook_attributes"]["url"], "https://codeteam.example.com/webhooks/github");
    assert_eq!(manifest["public"], false);
    assert_eq!(manifest["default_permissions"]["workflows"], Value::Null, "{manifest}");

    // Somebody else's page cannot bring its own code.
    assert_eq!(http::get(&address, "/registered?code=c0de&state=guessed").await.status, 400);
    assert_eq!(http::request(&address, "GET", "/", "host: evil.example\r\n", b"").await.status, 421);
    let back = format!("/registered?code=c0de&state={secret}");
    let answer = http::get(&address, &back).await;
    assert!(String::from_utf8_lossy(&answer.body).contains("/apps/acme-codeteam/installations/new"), "{answer:?}");
    running.end(Signal::TERM).await
}

#[tokio::test]
async fn an_app_is_registered_in_the_browser_and_only_its_owner_may_read_its_key() {
    let server = github(json!([])).await;
    let (said, state) = set_up(&server).await;
    assert!(said.contains("/apps/acme-codeteam/installations/new"), "{said}");
    assert!(!said.contains(WEBHOOK_SECRET) && !said.contains("PRIVATE KEY"), "{said}");
    let file = state.path().join("github-app.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&kept["app_id"], &kept["private_key"], &kept["webhook_secret"]), (&json!(4711), &json!(app_key()), &json!(WEBHOOK_SECRET)));

    let again = Codeteam::new(["github", "setup", "--github", &server.uri()]).state(state.path()).run().await;
    again.expect(2, &["github-app.json holds an App already", "--replace"]);
    let check = Codeteam::new(["github", "check"]).state(state.path()).run().await;
    check.expect(4, &["App 4711 (Acme Codeteam)", "installed nowhere yet"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = Codeteam::new(["github", "check"]).state(state.path()).run().await;
    exposed.expect(4, &["others may read or write it (mode 644)", "chmod 600"]);
}

#[tokio::test]
async fn what_root_sets_up_belongs_to_the_user_that_services_become() {
    const USER: u32 = 64_603;
    let folder = tempfile::tempdir().unwrap();
    if folder.path().metadata().unwrap().uid() != 0 {
        return;
    }
    let (server, state) = (github(json!([])).await, folder.path().join("state"));
    set_up_in(&server, &state, &USER.to_string()).await;
    for (path, mode) in [(state.clone(), 0o711), (state.join("github-app.json"), 0o600)] {
        let status = path.metadata().unwrap();
        assert_eq!((status.uid(), status.permissions().mode() & 0o777), (USER, mode), "{}", path.display());
    }
}

#[tokio::test]
async fn what_an_installation_lacks_is_named() {
    let lacking = json!([{
        "id": 7,
        "account": { "login": "acme" },
        "permissions": { "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "write" },
        "events": ["issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment", "check_run"],
        "repository_selection": "selected",
        "suspended_at": null,
    }]);
    let server = github(lacking).await;
    let (_, state) = set_up(&server).await;
    let check = Codeteam::new(["github", "check"]).state(state.path()).run().await;
    let words = ["acme, selected repositories", "\"contents\" is \"read\" and has to be \"write\"", "\"checks: write\" is missing"];
    check.expect(4, &words);
}

#[tokio::test]
async fn webhooks_that_were_never_taken_are_asked_for_again() {
    let server = github(json!([])).await;
    let (_, state) = set_up(&server).await;
    let at = "2999-01-01T00:00:00Z";
    let delivery = |id: u64, guid: &str, status: u16| json!({ "id": id, "guid": guid, "delivered_at": at, "status_code": status, "event": "issues", "action": "labeled" });
    let page = json!([delivery(4, "b", 502), delivery(3, "a", 202), delivery(2, "a", 500)]);
    let listed = ResponseTemplate::new(200).set_body_json(page);
    Mock::given(method("GET")).and(path("/api/v3/app/hook/deliveries")).respond_with(listed).mount(&server).await;
    let asked = Mock::given(method("POST")).and(path("/api/v3/app/hook/deliveries/4/attempts"));
    asked.respond_with(ResponseTemplate::new(202).set_body_json(json!({}))).expect(1).mount(&server).await;
    let dry = Codeteam::new(["github", "redeliver", "--since", "12h", "--dry-run"]).state(state.path()).run().await;
    dry.expect(0, &["b  issues labeled, answered 502", "1 webhook would be sent again"]);
    let redelivered = Codeteam::new(["github", "redeliver", "--since", "12h"]).state(state.path()).run().await;
    redelivered.expect(0, &["1 webhook is sent again"]);
}

#[tokio::test]
async fn without_an_app_the_way_to_one_is_named() {
    let state = tempfile::tempdir().unwrap();
    for command in ["check", "redeliver"] {
        Codeteam::new(["github", command]).state(state.path()).run().await.expect(4, &["`codeteam github setup` registers one"]);
    }
}
