use std::os::unix::fs::PermissionsExt;

use github::ForgeError;
use github::app::{AppCredentials, CredentialsError, HttpOptions, Manifest, Site, exchange, to_redeliver};
use serde_json::{Value, json};
use testkit::github::{APP_ID, app_key, said};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{World, credentials};

#[tokio::test]
async fn the_app_says_who_it_is_with_a_token_of_nine_minutes_that_it_signed() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let world = World::new().await;
    let about = world.github.app().about().await.unwrap();
    assert_eq!((about.id, about.slug.as_str()), (APP_ID, "code-team"));
    let request = &world.server.requests()[0];
    let header = |name: &str| request.header(name).unwrap().to_owned();
    let token = header("authorization").trim_start_matches("Bearer ").to_owned();
    let parts: Vec<Value> =
        token.split('.').take(2).map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()).collect();
    assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT" }));
    let (issued, ends) = (parts[1]["iat"].as_i64().unwrap(), parts[1]["exp"].as_i64().unwrap());
    assert_eq!((&parts[1]["iss"], ends - issued), (&json!("4711"), 600));
    assert_eq!((header("x-github-api-version").as_str(), header("accept").as_str()), ("2022-11-28", "application/vnd.github+json"));
    assert!(header("user-agent").starts_with("ai-code-team/"));
}

#[tokio::test]
async fn a_key_that_github_does_not_know_is_said_to_be_one() {
    let world = World::new().await;
    world.fail("GET /app", said(401, "A JSON web token could not be decoded"));
    let error = world.github.app().about().await.unwrap_err();
    assert!(matches!(&error, ForgeError::Denied(text) if text.contains("is 4711 the App's number")), "{error:?}");
}

#[tokio::test]
async fn failed_deliveries_are_listed_back_to_a_time_and_made_again() {
    let world = World::new().await;
    {
        let mut state = world.server.state();
        state.page = 2;
        let delivery = |id: u64, guid: &str, status: u16, hour: u8| {
            json!({ "id": id, "guid": guid, "delivered_at": format!("2026-11-26T{hour:02}:00:00Z"), "status": "x", "status_code": status,
                    "event": "issues", "action": "labeled", "redelivery": false, "duration": 0.1 })
        };
        state.deliveries = vec![
            delivery(5, "a", 200, 9),
            delivery(4, "b", 500, 8),
            delivery(3, "a", 502, 7),
            delivery(2, "c", 0, 6),
            delivery(1, "d", 0, 1),
        ];
    }
    let since = OffsetDateTime::parse("2026-11-26T05:00:00Z", &Rfc3339).unwrap();
    let deliveries = world.github.app().deliveries(since).await.unwrap();
    let failed: Vec<u64> = to_redeliver(&deliveries).iter().map(|delivery| delivery.id).collect();
    assert_eq!((deliveries.len(), failed.as_slice()), (4, [2, 4].as_slice()));
    for id in failed {
        world.github.app().redeliver(id).await.unwrap();
    }
    assert_eq!((world.asked("POST /app/hook/deliveries/2/attempts"), world.asked("POST /app/hook/deliveries/4/attempts")), (1, 1));
    assert_eq!(world.github.app().installations().await.unwrap()[0].id, 77);
}

#[tokio::test]
async fn the_code_of_a_manifest_is_good_for_the_credentials() {
    let world = World::new().await;
    let site = Site::with_api("https://github.com", &world.server.url()).unwrap();
    let credentials = exchange(&site, &HttpOptions::default(), "good").await.unwrap();
    assert_eq!((credentials.app_id, credentials.slug.as_deref()), (APP_ID, Some("code-team")));
    assert_eq!(credentials.webhook_secret.unwrap().expose(), "whsec_0123456789");
    let error = exchange(&site, &HttpOptions::default(), "../../spent").await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ForgeError::NotFound(_)) && !text.contains("spent"), "{text}");
}

#[test]
fn a_manifest_asks_for_what_is_needed_and_no_more() {
    let manifest = Manifest {
        name: "Code Team".into(),
        url: "https://example.com".into(),
        webhook_url: Some("https://example.com/webhooks/github".into()),
        redirect_url: "http://127.0.0.1:4000/done".into(),
        organization: Some("acme".into()),
    };
    let json = manifest.to_json();
    let permissions = json!({ "checks": "write", "contents": "write", "issues": "write", "metadata": "read", "pull_requests": "write" });
    assert_eq!((&json["default_permissions"], &json["public"]), (&permissions, &json!(false)));
    assert_eq!(json["hook_attributes"], json!({ "url": "https://example.com/webhooks/github", "active": true }));
    assert_eq!(manifest.action(&Site::github(), "a&b"), "https://github.com/organizations/acme/settings/apps/new?state=a%26b");
}

#[test]
fn credentials_come_back_from_a_file_that_only_its_owner_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/app.json");
    credentials("http://127.0.0.1:1").save(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let loaded = AppCredentials::load(&path).unwrap();
    assert_eq!(loaded.to_json(), credentials("http://127.0.0.1:1").to_json());
    assert_eq!(loaded.secrets().map(|(name, _)| name).collect::<Vec<_>>(), ["GITHUB_APP_PRIVATE_KEY"]);
    for mode in [0o640, 0o604, 0o622] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = AppCredentials::load(&path).unwrap_err();
        assert!(matches!(error, CredentialsError::Exposed { .. }) && error.to_string().contains("chmod 600"), "{error}");
    }
    assert!(matches!(AppCredentials::load(&folder.path().join("none")), Err(CredentialsError::Io { .. })));
}

#[test]
fn what_is_wrong_with_credentials_is_said_without_them() {
    let text = |key: &str| json!({ "app_id": 1, "private_key": key }).to_string();
    let broken = [
        ("{".to_owned(), "not JSON"),
        (json!({ "app_id": "hunter2", "private_key": "hunter2" }).to_string(), "app_id is a number"),
        (text("hunter2"), "not the PEM text of a private key"),
        (json!({ "app_id": 1, "private_key": app_key(), "api_url": "https://x" }).to_string(), "api_url without web_url"),
        (json!({ "app_id": 1, "private_key": app_key(), "web_url": "http://github.example.com" }).to_string(), "https"),
    ];
    for (text, expected) in broken {
        let error = AppCredentials::parse(&text).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains(expected) && !said.contains("hunter2"), "{said}");
    }
    let read = AppCredentials::parse(&text(&app_key())).unwrap();
    let line = app_key().lines().nth(1).unwrap().to_owned();
    assert!(!format!("{read:?}").contains(&line), "{read:?}");
}
