//! Every sample event does what its table says.

use e2e::{Codeteam, Up};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use testkit::TestDb;
use testkit::client as http;

/// The rows of the table in events/README.md: file, handler, what it is, what happens.
fn table() -> Vec<(String, String, String, String)> {
    let readme = std::fs::read_to_string(e2e::root().join("events/README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    rows.map(cells).map(|cells| (cells[1].clone(), cells[2].clone(), cells[3].clone(), cells[4].clone())).collect()
}

#[tokio::test]
async fn every_sample_event_does_what_its_table_says() {
    let db = TestDb::new().await;
    let url = db.url.expose();
    let serve = Codeteam::new(["serve", "--listen", "127.0.0.1:0"]).on(url).env("GITHUB_WEBHOOK_SECRET", "s");
    let serve = Up::start(serve).await;
    for (file, handler, what, happens) in table() {
        let path = e2e::root().join("events").join(&file);
        if file.starts_with("github-") {
            let body = std::fs::read(&path).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(b"s").unwrap();
            mac.update(&body);
            let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
            // What a sample of GitHub is begins with the name of its event.
            let event = what.split('`').next().unwrap();
            let headers = [("X-GitHub-Event", event), ("X-GitHub-Delivery", &file), ("X-Hub-Signature-256", &signature)];
            let answer = http::post(&serve.address, "/webhooks/github", &headers, &body).await;
            let accepted = match happens.split([' ', ':']).next().unwrap() {
                "ignored" => "ignored",
                "command" => "command",
                _ => "new",
            };
            assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(accepted)), "{file}: {}", answer.json());
            continue;
        }
        let ran = Codeteam::new(["invoke", &handler, path.to_str().unwrap()]).on(url).run().await;
        match happens.split(' ').next() {
            Some("lease") => ran.expect(1, &["\"errorType\": \"LeaseLost\""]),
            Some("refused") => ran.expect(2, &["\"errorType\": \"Invalid\""]),
            _ => ran.expect(0, &[]),
        }
    }
}
