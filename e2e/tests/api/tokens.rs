//! Tokens, from the command that makes one to the request that it opens.

use e2e::Codeteam;
use process::Signal;
use serde_json::json;
use testkit::TestDb;

use super::{get, serve, token};

#[tokio::test]
async fn a_token_is_printed_once_opens_until_it_is_revoked_and_is_never_logged() {
    let db = TestDb::new().await;
    let url = db.url.expose();
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(url).run().await;
    codeteam(&["token", "list"]).await.expect(0, &["no tokens yet"]);
    let made =
        codeteam(&["token", "create", "--name", "ci", "--scope", "jobs:read", "--scope", "jobs:write", "--expires-days", "30", "--json"])
            .await;
    let made = made.json(0);
    let token_of_ci = made["token"].as_str().unwrap().to_owned();
    assert_eq!((&made["scopes"], made["expires_at"].is_string()), (&json!(["jobs:read", "jobs:write"]), true));
    let secret = token_of_ci.rsplit('_').next().unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    let reader = token(&db, "reader", "jobs:read").await;

    let up = serve(&db).await;
    assert_eq!(get(&up, &token_of_ci, "/api/v1/jobs").await.json(), json!({ "jobs": [], "next": null }));
    let wrong = format!("{}{}", &token_of_ci[..token_of_ci.len() - 8], "00000000");
    assert_eq!(get(&up, &wrong, "/api/v1/jobs").await.status, 401);
    assert_eq!(get(&up, &token_of_ci, &format!("/api/v1/{token_of_ci}")).await.status, 404);
    codeteam(&["token", "list"])
        .await
        .expect(0, &["ci", "reader", "in force", "jobs:read, jobs:write", made["token_id"].as_str().unwrap()]);
    codeteam(&["token", "revoke", "ci"]).await.expect(0, &["opens nothing any more"]);
    assert_eq!(get(&up, &token_of_ci, "/api/v1/jobs").await.status, 401, "from the next request on");
    assert_eq!(get(&up, &reader, "/api/v1/jobs").await.status, 200);
    let listed = codeteam(&["token", "list", "--json"]).await;
    assert!(!listed.said().contains(&secret));
    let lines = listed.json_lines();
    let ci = lines.iter().find(|token| token["name"] == "ci").unwrap();
    assert!(ci["revoked_at"].is_string() && ci["last_used_at"].is_string() && ci["in_force"] == false, "{ci}");

    let (_, said) = up.running.end(Signal::TERM).await;
    for secret in [&secret, reader.rsplit('_').next().unwrap()] {
        assert!(!said.contains(secret), "a token is logged:\n{said}");
    }
    let stored = db.value("select string_agg(t::text, ' ') from api_tokens t").await;
    assert!(!stored.contains(&secret), "only its hash is stored");
}

#[tokio::test]
async fn a_token_that_cannot_be_made_is_explained() {
    let db = TestDb::new().await;
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).on(db.url.expose()).run().await;
    token(&db, "ci", "admin").await;
    codeteam(&["token", "create", "--name", "ci", "--scope", "admin"]).await.expect(2, &["a token named \"ci\" is in force"]);
    codeteam(&["token", "create", "--name", "me"]).await.expect(2, &["--scope"]);
    codeteam(&["token", "create", "--name", "me", "--scope", "everything"]).await.expect(2, &["jobs:read, jobs:write or admin"]);
    codeteam(&["token", "create", "--name", " ", "--scope", "admin"]).await.expect(2, &["--name is \"\""]);
    codeteam(&["token", "create", "--name", "me", "--scope", "admin", "--expires-days", "0"]).await.expect(2, &["1..=3650"]);
    codeteam(&["token", "revoke", "nobody"]).await.expect(2, &["no token \"nobody\" is in force"]);
}
