//! How fast a signed webhook is answered, beside what the database needs to commit as many bytes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use config::Settings;
use domain::Secret;
use process::Command;
use serde_json::{Value, json};
use testkit::TestDb;
use tokio::time::Instant;

use crate::figures::{Figures, show, table, verdict};
use crate::http::Connection;
use crate::peers::{said, start};

const SECRET: &str = "bench-webhook-secret";
/// Deliveries of each kind, after as many to warm up as [`WARM`] says.
const DELIVERIES: usize = 1_000;
const WARM: usize = 100;
/// The longest that ninety-nine of a hundred may take.
const GOAL: Duration = Duration::from_millis(50);

/// What GitHub sends: an event and its body.
type Payload = (String, Value);

/// Measures and prints.
pub(crate) async fn run() -> Result<()> {
    let payloads = payloads()?;
    let (settings, folder, db) = (Settings::from_env(&[])?, tempfile::tempdir()?, TestDb::new().await);
    let binary = std::env::current_exe()?.with_file_name("codeteam");
    let serve = Command::new(&binary).args(["serve", "--listen", "127.0.0.1:0"]).path(&settings.path);
    let serve = serve.env("DATABASE_URL", db.url.expose()).env("CODETEAM_STATE_DIR", folder.path()).env("GITHUB_WEBHOOK_SECRET", SECRET);
    // The folder is that of whoever measures.
    let serve = serve.env("CODETEAM_USER", "root");
    let log = folder.path().join("serve.log");
    let mut running = start(&serve, &log)?;
    let address = said(&mut running, &log, "listening on http://").await?;
    let address = address.split(';').next().unwrap_or_default().parse().with_context(|| format!("the address of serve {address:?}"))?;
    let mut connection = Connection::open(address).await?;

    let label = payloads.iter().find(|(event, body)| event == "issues" && body["action"] == "labeled");
    let (_, label) = label.context("no payload of a label")?.clone();
    let bytes = payloads.iter().map(|(_, body)| body.to_string().len()).sum::<usize>() / payloads.len();
    let (mut commit, mut any, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..WARM + DELIVERIES {
        // In turns, so that what the machine does meanwhile is the same for all three.
        let filler = "x".repeat(bytes);
        let started = Instant::now();
        db.execute(&format!("insert into deliveries (delivery_id, event, body) values ('bare-{number}', 'issues', '{filler}')")).await;
        let bare = started.elapsed();
        let (event, body) = &payloads[number % payloads.len()];
        let ignored = deliver(&mut connection, event, body, &format!("any-{number}")).await?;
        let mut labeled = label.clone();
        labeled["label"]["name"] = json!("mechanic");
        labeled["issue"]["number"] = json!(1_000_000 + number);
        let started_job = deliver(&mut connection, "issues", &labeled, &format!("job-{number}")).await?;
        if number >= WARM {
            commit.push(bare);
            any.push(ignored);
            jobs.push(started_job);
        }
    }
    let written = db.value("select count(*) from jobs").await;
    ensure!(written == (WARM + DELIVERIES).to_string(), "{} labels became {written} jobs", WARM + DELIVERIES);

    let (commit, any, jobs) = (Figures::of(&commit), Figures::of(&any), Figures::of(&jobs));
    let millis = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    let line = |name: &str, figures: &Figures| {
        let (half, most) = figures.over(&commit);
        vec![name.to_owned(), millis(figures.p50), millis(figures.p99), format!("{half:.2}"), format!("{most:.2}")]
    };
    show(&format!("\nWebhooks: {DELIVERIES} of each kind, one after the other, {} payloads of {bytes} bytes on average", payloads.len()));
    table(&[
        ["", "p50 ms", "p99 ms", "p50 : commit", "p99 : commit"].map(str::to_owned).to_vec(),
        line("a bare commit of as many bytes", &commit),
        line("any event", &any),
        line("a label that starts a job", &jobs),
    ]);
    let longest = any.p99.max(jobs.p99);
    show(&format!(
        "  goal: 99 of 100 within {} ms on a calm machine: {} ms: {}",
        GOAL.as_millis(),
        millis(longest),
        verdict(longest <= GOAL)
    ));
    Ok(())
}

/// Delivers one, signed; how long its answer took.
async fn deliver(connection: &mut Connection, event: &str, payload: &Value, guid: &str) -> Result<Duration> {
    let body = payload.to_string();
    let signature = github::sign(&Secret::new(SECRET), body.as_bytes());
    let headers = format!("X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {guid}\r\nX-Hub-Signature-256: {signature}\r\n");
    let started = Instant::now();
    let answer = connection.send_with("POST", "/webhooks/github", &headers, body.as_bytes()).await?;
    let took = started.elapsed();
    ensure!(answer.status == 202, "{event} was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(took)
}

/// GitHub's own payloads.
fn payloads() -> Result<Vec<Payload>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let index = root.join(".tools/webhooks-examples/node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read(&index).with_context(|| format!("{} is not there: `make tools` brings it", index.display()))?;
    let events: Vec<Value> = serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", index.display()))?;
    let of = |event: &Value| {
        let name = event["name"].as_str().unwrap_or_default().to_owned();
        event["examples"].as_array().into_iter().flatten().map(|example| (name.clone(), example.clone())).collect::<Vec<_>>()
    };
    Ok(events.iter().flat_map(of).collect())
}
