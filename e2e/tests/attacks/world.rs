//! What there is to steal and to spoil, and who listens.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use e2e::{Codeteam, Repository, tools};
use process::Command;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use testkit::TestDb;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};

/// Secrets of the worker, by the variables that hold them.
pub const SETTINGS: &[(&str, &str)] = &[
    ("ANTHROPIC_API_KEY", "canary-A7kX9vQ2mL7pRt4wZs8nBc"),
    ("GITHUB_WEBHOOK_SECRET", "canary-W3jH5gF8dS2aQ6wE9rTy"),
    ("CODETEAM_INVOKE_SECRET_KEY", "canary-I8uY4tR7eW1qZ5xC3vBn"),
    ("NPM_TOKEN", "canary-N2mK6jL9hG4fD8sA1pOi"),
];

/// A repository, a database, a home with keys, a folder that is nobody's business, and listeners.
pub struct World {
    pub db: TestDb,
    pub repository: Repository,
    pub folder: TempDir,
    pub state: TempDir,
    pub heard: Heard,
    tcp: u16,
    udp: u16,
}

/// Everything that arrived at the listeners.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    pub fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    pub fn has(&self, word: &str) -> bool {
        String::from_utf8_lossy(&self.0.lock().unwrap()).contains(word)
    }
}

/// Tokens in files: put together here, since the repository holds nothing that looks like one.
pub fn planted() -> [(&'static str, String); 4] {
    let key = "kQ2mL7pRt4wZs8nBcX9vA3jH5gF8dS2aQ6wE9rTyI8uY4tR7eW1qZ5xC3vBnM2mK";
    let frame = |word: &str| format!("-----{word} OPENSSH PRIVATE KEY-----");
    [
        (".ssh/id_ed25519", format!("{}\n{key}\n{key}\n{}\n", frame("BEGIN"), frame("END"))),
        (
            ".aws/credentials",
            format!("[default]\naws_access_key_id = AKIA{}\naws_secret_access_key = {}\n", "Q3RM7PLT4WZS2NBC", &key[..40]),
        ),
        (".npmrc", format!("//npm.example.com/:_authToken=npm_{}\n", &key[5..41])),
        (".git-credentials", format!("https://octocat:{}@github.com\n", &key[20..40])),
    ]
}

/// What must be seen nowhere.
pub fn canaries() -> Vec<String> {
    let key = "kQ2mL7pRt4wZs8nBcX9vA3jH5gF8dS2aQ6wE9rTyI8uY4tR7eW1qZ5xC3vBnM2mK";
    let parts = [key[..30].to_owned(), key[5..41].to_owned(), key[20..40].to_owned(), "Q3RM7PLT4WZS2NBC".to_owned()];
    SETTINGS.iter().map(|(_, secret)| (*secret).to_owned()).chain(parts).collect()
}

impl World {
    pub async fn new() -> Self {
        // Open to every user, so that what keeps an attack out is the product's own wall.
        let open = |prefix: &str| tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
        let (folder, state) = (open("e2e-attacks-"), open("e2e-attacks-state-"));
        for (name, text) in planted() {
            let path = folder.path().join("home").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        make_outside(&folder.path().join("outside"));
        let repository = Repository::of(&[("README.md", "# Shop\n"), ("price.py", "def price():\n    return 1\n")]).await;
        std::fs::create_dir_all(repository.path.join("config")).unwrap();
        std::fs::write(repository.path.join("config/keys.env"), &planted()[2].1).unwrap();
        repository.commit("Keys").await;
        let heard = Heard::default();
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let ports = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
        listen(tcp, udp, heard.clone());
        Self { db: TestDb::new().await, repository, folder, state, heard, tcp: ports.0, udp: ports.1 }
    }

    pub fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// `template` with the places and ports of this world.
    pub fn filled(&self, template: &str, name: &str) -> String {
        template
            .replace("{outside}", self.outside().to_str().unwrap())
            .replace("{home}", self.home().to_str().unwrap())
            .replace("{tcp}", &self.tcp.to_string())
            .replace("{udp}", &self.udp.to_string())
            .replace("{name}", name)
    }

    /// A job that is written down.
    pub async fn enqueue(&self, job: Value) -> String {
        let remote = self.repository.path.to_str().unwrap();
        let mut whole = json!({ "repository": "acme/shop", "remote": remote, "mode": "genius", "model": "scripted" });
        whole.as_object_mut().unwrap().extend(job.as_object().unwrap().clone());
        let command = self.command(["invoke", "enqueue", "-", "--json"]).env("CODETEAM_LOCAL_REMOTES", "1").stdin(whole.to_string());
        command.run().await.json(0)["job_id"].as_str().unwrap().to_owned()
    }

    /// A worker that does what there is with these replies; everything that it said.
    pub async fn work(&self, replies: &[Value]) -> String {
        let script = NamedTempFile::new().unwrap();
        serde_json::to_writer(&script, &json!({ "name": "obedience", "replies": replies })).unwrap();
        let worker = self.command(["work", "--until-idle"]).env("CODETEAM_SCRIPT", script.path()).env("RUST_LOG", "debug");
        let ran = worker.run().await;
        assert_eq!(ran.code, 0, "{}", ran.said());
        ran.said()
    }

    /// The product, with everything there is to steal.
    pub fn command<const N: usize>(&self, arguments: [&str; N]) -> Codeteam {
        let command = Codeteam::new(arguments).on(self.db.url.expose()).state(self.state.path()).env("HOME", self.home());
        SETTINGS.iter().fold(command, |command, (name, secret)| command.env(name, secret))
    }

    /// Whether the worker puts walls of files and network around tools.
    pub async fn is_sandboxed(&self) -> bool {
        let doctor = self.command(["doctor"]).run().await.said();
        doctor.contains("level full") || doctor.contains("level landlock")
    }

    /// `script` as a person would run it who has all of that in their environment: the attack without any wall.
    pub async fn unguarded(&self, script: &str, folder: &Path) -> String {
        // The inner shell is where the attack runs; what it is after is in the outer one.
        let command =
            Command::new("sh").args(["-c", "sh -c \"$ATTACK\"; exit 0"]).envs(tools::environment()).envs(SETTINGS.iter().copied());
        let command = command.env("HOME", self.home()).env("ATTACK", script).cwd(folder);
        let output = tools::attempt(command).await;
        format!("{}\n{}", output.stdout_text(), output.stderr_text())
    }

    /// All that the product has told anybody: events and what else its doors show of jobs, the forge, the repository.
    pub async fn told(&self, job_id: &str) -> String {
        let rows = format!(
            "select jsonb_build_array(
                 (select jsonb_agg(data) from events where job_id = '{job_id}'), (select to_jsonb(jobs) from jobs where job_id = '{job_id}'),
                 (select jsonb_agg(to_jsonb(effects)) from effects where job_id = '{job_id}'),
                 (select jsonb_agg(to_jsonb(ledger)) from ledger where job_id = '{job_id}'),
                 (select jsonb_agg(results) from steps where job_id = '{job_id}'))"
        );
        let mut told = vec![self.db.value(&rows).await];
        for command in [["show", job_id].as_slice(), &["show", job_id, "--json"], &["watch", job_id], &["jobs", "--json"]] {
            let command = command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let ran =
                SETTINGS.iter().fold(Codeteam::new(command).on(self.db.url.expose()), |command, (name, secret)| command.env(name, secret));
            told.push(ran.run().await.said());
        }
        told.push(files(&self.state.path().join("forge")));
        told.push(self.repository.git(&["for-each-ref"]).await);
        told.push(self.repository.git(&["log", "--patch", "--branches=codeteam/*", "--not", "main"]).await);
        told.join("\n")
    }

    /// What was sent to the model, from the first call of the job to the last.
    pub async fn requests(&self, job_id: &str) -> Vec<String> {
        let all = format!(
            "select json_agg(request_of(job_id, step_no) order by step_no) from steps where half = 'reply' and job_id = '{job_id}'"
        );
        serde_json::from_str(&self.db.value(&all).await).unwrap()
    }
}

/// A folder that everybody may write to, with somebody's file in it.
pub fn make_outside(path: &Path) {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    std::fs::write(path.join("victim"), "mine\n").unwrap();
    std::fs::set_permissions(path.join("victim"), Permissions::from_mode(0o666)).unwrap();
}

/// The contents of all files below `folder`.
pub fn files(folder: &Path) -> String {
    let mut all = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => all += &String::from_utf8_lossy(&std::fs::read(path).unwrap()),
            }
        }
    }
    all
}

fn listen(tcp: TcpListener, udp: UdpSocket, heard: Heard) {
    let datagrams = heard.clone();
    tokio::spawn(async move {
        let mut bytes = [0; 4096];
        while let Ok(count) = udp.recv(&mut bytes).await {
            datagrams.add(&bytes[..count]);
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                // That somebody came is a message too.
                heard.add(b"\nconnected\n");
                let mut bytes = [0; 4096];
                if let Ok(count) = stream.read(&mut bytes).await {
                    heard.add(&bytes[..count]);
                }
            });
        }
    });
}
