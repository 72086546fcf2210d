//! The environment `dev` as SAM deployed it, with the real binary as its tasks, a real PostgreSQL, a GitHub on loopback and a model
//! that follows a script.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::aws::Emulator;
use e2e::{Repository, wait};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use testkit::TestDb;
use testkit::client::{HttpAnswer, post};
use testkit::github::{APP_ID, Account, Options, SLUG, Server, app_key};

use super::app;
use super::client::{CLOUDWATCH, ECS, SECRETS, ask};
use super::deploy::deployed;
use super::fleet::{Fleet, Plan, What};
use super::gate::Gate;
use super::sqs::Door;

pub(super) const CLUSTER: &str = "ai-coding-team-dev";
const REPOSITORY: &str = "acme/tally";
const PERSON: &str = "hubot";
/// What webhooks are signed with at first.
pub(super) const WEBHOOK_SECRET: &str = "whsec-of-the-first-day-6c1f";

/// The key of a model at first.
pub(super) const MODEL_KEY: &str = "sk-ant-of-the-first-day-6c1f";

/// Where the services know the App from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum App {
    /// A file.
    InFile,
    /// Secrets Manager, into which `codeteam github setup` has put it.
    InEntries,
}

/// What a world begins with.
pub(super) struct Setting {
    /// The model's replies: tool, input, milliseconds of thought.
    pub replies: Vec<(&'static str, Value, u64)>,
    /// How long Fargate takes to start a task.
    pub start: Duration,
    /// Where the App is.
    pub app: App,
    /// Further variables of every process, which win.
    pub environment: Vec<(&'static str, String)>,
}

impl Setting {
    /// Tasks start at once.
    pub(super) fn of(replies: Vec<(&'static str, Value, u64)>) -> Self {
        Self { replies, start: Duration::ZERO, app: App::InFile, environment: Vec::new() }
    }
}

pub(super) struct World {
    // The processes end before what they talk to.
    pub fleet: Fleet,
    /// The way to SQS.
    pub door: Door,
    /// The way to Secrets Manager.
    pub gate: Gate,
    pub emulator: Emulator,
    pub github: Server,
    pub db: TestDb,
    /// Where the service listens.
    pub address: String,
    deliveries: AtomicU64,
    _repository: Repository,
    _folder: TempDir,
}

/// Replies of a change that is soon done.
pub(super) fn quick() -> Vec<(&'static str, Value, u64)> {
    let finish = json!({ "title": "Greet", "summary": "It greets.", "tests_run": [], "confidence": "high" });
    vec![("write_file", json!({ "path": "greeting.txt", "content": "Hello\n" }), 0), ("finish", finish, 0)]
}

/// The same with so many steps of half a second each before it.
pub(super) fn long(steps: usize) -> Vec<(&'static str, Value, u64)> {
    let look = |index: usize| ("shell", json!({ "command": format!("echo {index}") }), 500);
    (0..steps).map(look).chain(quick()).collect()
}

impl World {
    /// `None` where the emulator is not installed, which is said.
    pub(super) async fn start(what: &str, setting: Setting) -> Option<Self> {
        let deployed = deployed(what).await?;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("emulator");
        copy(deployed, &state);
        let emulator = Emulator::keeping(&state).await?;
        let (db, door, gate) = (TestDb::new().await, Door::start(&emulator.address).await, Gate::start(&emulator.address).await);
        let repository = Repository::of(&[("README.md", "A tally.\n")]).await;
        let github = Server::start(Options { ids_after: 1_000_000, ..Options::default() }).await;
        let bare = repository.bare().await;
        github.state().host(REPOSITORY, 100, Some(bare));
        github.state().account(Account { id: 7, login: PERSON.to_owned(), name: None, role: "write".to_owned() });
        let script = folder.path().join("script.json");
        let reply = |(name, input, delay_ms): &(&str, Value, u64)| json!({ "text": "so", "tool_calls": [{ "name": name, "input": input }], "delay_ms": delay_ms });
        let replies: Vec<Value> = setting.replies.iter().map(reply).collect();
        std::fs::write(&script, json!({ "name": what, "replies": replies }).to_string()).unwrap();
        for (name, value) in secrets(&db) {
            put_secret(&emulator.address, name, value).await;
        }
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let mut environment = vec![
            ("MODEL".to_owned(), "scripted".to_owned()),
            ("CODETEAM_SCRIPT".to_owned(), text(&script)),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), format!("http://{}", gate.address())),
        ];
        match setting.app {
            App::InFile => environment.push(("GITHUB_APP_FILE".to_owned(), text(&app_file(folder.path(), &github)))),
            App::InEntries => {
                app::set_up(&emulator, &github).await;
                // GitHub's own is the one of the day then.
                put_secret(&emulator.address, "GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET).await;
                environment.push(("GITHUB_URL".to_owned(), github.url()));
            }
        }
        environment.extend(setting.environment.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let plan = Plan {
            address: emulator.address.clone(),
            sqs: door.address().to_owned(),
            cluster: CLUSTER.to_owned(),
            start: setting.start,
            environment,
        };
        let fleet = Fleet::start(plan).await;
        let deliveries = AtomicU64::new(0);
        let mut world =
            Self { emulator, github, db, fleet, door, gate, address: String::new(), deliveries, _repository: repository, _folder: folder };
        world.desire("dashboard", 1).await;
        world.address = world.until("the service listens", async || listens(&world.fleet.said("dashboard"))).await;
        Some(world)
    }

    /// Asks ECS for so many tasks of `service`.
    pub(super) async fn desire(&self, service: &str, count: u32) {
        let wanted = json!({ "cluster": CLUSTER, "service": service, "desiredCount": count });
        ask(&self.emulator.address, ECS, "UpdateService", wanted).await;
    }

    /// How many tasks of `service` ECS was asked for.
    pub(super) async fn desired(&self, service: &str) -> u64 {
        let answer = ask(&self.emulator.address, ECS, "DescribeServices", json!({ "cluster": CLUSTER, "services": [service] })).await;
        answer["services"][0]["desiredCount"].as_u64().unwrap()
    }

    /// Puts a label on an issue of the repository, which GitHub tells the service: what the service answers.
    pub(super) async fn label(&self, label: &str, secret: &str) -> HttpAnswer {
        let number = self.deliveries.fetch_add(1, Ordering::Relaxed) + 1;
        let payload = json!({
            "action": "labeled",
            "issue": { "number": number, "title": format!("Greet {number}"), "body": "Please.", "updated_at": "2025-08-21T08:05:12Z" },
            "label": { "name": label },
            "repository": { "id": 1, "full_name": REPOSITORY },
            "sender": { "login": PERSON, "type": "User" },
        });
        let body = payload.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let guid = format!("00000000-0000-4000-8000-{number:012}");
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", "issues"),
            ("x-github-delivery", &guid),
            ("x-hub-signature-256", &signature),
        ];
        post(&self.address, "/webhooks/github", &headers, body.as_bytes()).await
    }

    /// The same where it is accepted: the job.
    pub(super) async fn job(&self, label: &str) -> String {
        let answer = self.label(label, WEBHOOK_SECRET).await;
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["job_id"].as_str().unwrap().to_owned()
    }

    /// Gives the metric `name` of `namespace` to CloudWatch under these dimensions.
    pub(super) async fn metric(&self, namespace: &str, name: &str, dimensions: &Value, value: f64) {
        let datum = json!({ "MetricName": name, "Dimensions": dimensions, "Value": value });
        ask(&self.emulator.address, CLOUDWATCH, "PutMetricData", json!({ "Namespace": namespace, "MetricData": [datum] })).await;
    }

    /// Waits until this many jobs have ended well.
    pub(super) async fn done(&self, jobs: usize) {
        let query = "select count(*) from jobs where outcome = 'succeeded'";
        self.until(&format!("{jobs} jobs are done"), async || (self.db.value(query).await == jobs.to_string()).then_some(())).await;
    }

    /// The same as [`wait::until`], with what everybody has said where nothing comes.
    pub(super) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        match tokio::time::timeout(Duration::from_secs(58), wait::until(what, look)).await {
            Ok(found) => found,
            Err(_) => panic!("still waiting until {what}\n{}", self.told()),
        }
    }

    /// The same for what takes longer.
    pub(super) async fn patient<T>(&self, what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let until = tokio::time::Instant::now() + patience;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(tokio::time::Instant::now() < until, "still waiting until {what}\n{}", self.told());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What everybody has said.
    pub(super) fn told(&self) -> String {
        self.fleet.all_said()
    }

    /// Fails where a worker was told to end by a scale-in while it was protected, or one ended in another way than it should.
    pub(super) fn nobody_was_hurt(&self) {
        for service in ["mechanic-worker", "genius-worker"] {
            let happened = self.fleet.happened(service);
            for one in &happened {
                if let What::Ended(exit) = &one.what {
                    assert!(exit.success(), "{one:?}\n{}", self.told());
                }
            }
        }
    }
}

/// What a person puts in after the first deploy, and the database's URL, which AWS makes.
fn secrets(db: &TestDb) -> [(&'static str, &str); 3] {
    [("DATABASE_URL", db.url.expose()), ("GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET), ("ANTHROPIC_API_KEY", MODEL_KEY)]
}

/// The App by a file, as on a machine that is no deployment.
fn app_file(folder: &Path, github: &Server) -> PathBuf {
    let (file, url) = (folder.join("github-app.json"), github.url());
    let credentials = json!({ "app_id": APP_ID, "slug": SLUG, "private_key": app_key(), "web_url": url, "api_url": url });
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
    serde_json::to_writer(opened, &credentials).unwrap();
    file
}

/// Puts a new value into an entry of Secrets Manager, which the template has made.
pub(super) async fn put_secret(address: &str, name: &str, value: &str) {
    let body = json!({ "SecretId": format!("ai-coding-team/dev/{name}"), "SecretString": value });
    ask(address, SECRETS, "PutSecretValue", body).await;
}

/// Where a process that logs JSON lines says that it listens.
fn listens(said: &str) -> Option<String> {
    let rest = said.split("listening on http://").nth(1)?;
    let end = rest.find(|char: char| !char.is_ascii_digit() && !".:".contains(char)).unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            std::fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}
