//! `codeteam up`: one command, everything, until a signal.

use std::path::Path;

use e2e::{Codeteam, Repository, Up, wait};
use hmac::{Hmac, KeyInit, Mac};
use process::{Exit, Signal};
use serde_json::json;
use sha2::Sha256;
use testkit::client::{self as http, HttpAnswer as Answer};

const WEBHOOK_SECRET: &str = "it is a secret to everybody";

/// Sends the sample event as GitHub does, signed with `secret`.
async fn deliver(address: &str, delivery: &str, body: &[u8], secret: &str) -> Answer {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let headers = [("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", delivery), ("X-Hub-Signature-256", &signature)];
    http::post(address, "/webhooks/github", &headers, body).await
}

/// The example program in a bare repository, which the local forge of `state` knows as `acme/tally`.
async fn tally_known_to(state: &Path) -> Repository {
    let repository = Repository::empty().await;
    let example = e2e::root().join("examples/tally/.");
    e2e::tools::run("cp", &["-R", example.to_str().unwrap(), "."], &repository.path).await;
    repository.commit("Split shared expenses").await;
    let record = json!({ "remote": repository.bare().await, "collaborators": { "hubot": "write" } });
    let folder = state.join("forge/acme/tally");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("repository.json"), record.to_string()).unwrap();
    repository
}

#[tokio::test]
async fn a_signed_webhook_becomes_a_pull_request_and_a_signal_ends_it_all() {
    let state = tempfile::tempdir().unwrap();
    let _repository = tally_known_to(state.path()).await;
    let replies = e2e::root().join("examples/tally.replies.json");
    let up = Codeteam::new(["up", "--listen", "127.0.0.1:0"]).state(state.path());
    let up = up.env("GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET).env("MODEL", "scripted").env("CODETEAM_SCRIPT", replies);
    let Up { running, address } = Up::start(up).await;
    running.says("Ctrl-C stops everything").await;
    assert!(!running.said().contains("will wait"), "MODEL names a model: {}", running.said());
    let codeteam = async |arguments: &[&str]| Codeteam::new(arguments).state(state.path()).run().await;
    codeteam(&["doctor"]).await.expect(0, &["codeteam up", "runs as process"]);

    let event = std::fs::read(e2e::root().join("events/github-issue-labeled.json")).unwrap();
    let forged = deliver(&address, "d-0", &event, "another secret").await;
    assert_eq!((forged.status, &forged.json()["errorType"]), (401, &json!("Denied")));
    assert_eq!(deliver(&address, "d-0", &event[..100], WEBHOOK_SECRET).await.status, 400, "truncated, and signed so");
    assert_eq!(deliver(&address, "d-0", &vec![b' '; 25 * 1024 * 1024 + 1], WEBHOOK_SECRET).await.status, 413);
    assert_eq!(codeteam(&["jobs", "--json"]).await.json_lines(), Vec::<serde_json::Value>::new(), "none of these starts a job");

    let accepted = deliver(&address, "d-1", &event, WEBHOOK_SECRET).await;
    assert_eq!((accepted.status, &accepted.json()["accepted"]), (202, &json!("new")));
    let again = deliver(&address, "d-1", &event, WEBHOOK_SECRET).await.json();
    assert_eq!((&again["accepted"], &again["job_id"]), (&json!("known"), &accepted.json()["job_id"]), "the same delivery");
    let another = deliver(&address, "d-2", &event, WEBHOOK_SECRET).await.json();
    assert_eq!((&another["accepted"], &another["job_id"]), (&json!("known"), &accepted.json()["job_id"]), "the same human action");

    let job_id = accepted.json()["job_id"].as_str().unwrap().to_owned();
    codeteam(&["watch", &job_id]).await.expect(0, &["opened draft pull request #1"]);
    assert_eq!(running.said().matches("a mechanic wakes up").count(), 1, "{}", running.said());
    assert!(!running.said().contains("genius wakes"), "{}", running.said());
    let pull = std::fs::read(state.path().join("forge/acme/tally/pulls/1.json")).unwrap();
    let pull: serde_json::Value = serde_json::from_slice(&pull).unwrap();
    assert_eq!(pull["title"], "Hand out every cent of a weighted split", "{pull}");
    assert!(pull["body"].as_str().unwrap().contains("with scripted"), "the pull request says that it was scripted");

    let postgres = state.path().join("postgres");
    assert_ne!(wait::processes(postgres.to_str().unwrap()), []);
    let (exit, said) = running.end(Signal::TERM).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    assert!(!said.contains(WEBHOOK_SECRET));
    assert!(!state.path().join("up.json").exists(), "nobody is sent to a server that is gone");
    wait::until("its processes are gone", async || wait::processes(postgres.to_str().unwrap()).is_empty().then_some(())).await;
    codeteam(&["jobs"]).await.expect(4, &["DATABASE_URL is not set"]);

    let Up { running, .. } = Up::start(Codeteam::new(["up", "--listen", "127.0.0.1:0"]).state(state.path())).await;
    running.says("Ctrl-C stops everything").await;
    assert_eq!(codeteam(&["jobs", "--json"]).await.json_lines()[0]["job_id"], job_id, "the data is kept from one time to the next");
    assert_eq!(running.end(Signal::INT).await.0, Exit::Code(0));
}
