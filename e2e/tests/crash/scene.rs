//! One job with everything around it, and what must be true of it in the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use e2e::product::Running;
use e2e::wait::until;
use e2e::{Codeteam, Repository, git, tools};
use process::{Exit, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Answer, ModelStub, TestDb};

/// Reads, writes, runs, hands in.
pub const STEPS: usize = 4;

/// What makes the job wait somewhere, once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Wait {
    Nowhere,
    /// The tool of step 3, when it has done its work.
    InTool,
    /// The push, before the branch is there.
    BeforePush,
    /// The push, when the branch is there and git has not said so.
    AfterPush,
}

/// A database, a repository, a model and a job that is ready.
pub struct Scene {
    pub db: TestDb,
    pub model: ModelStub,
    pub job_id: String,
    bare: PathBuf,
    _repository: Repository,
    folder: TempDir,
}

/// The rows of each table, as JSON.
pub type Tables = BTreeMap<&'static str, Vec<Value>>;

/// What was there when a worker's work ended, by step from the first.
#[derive(Clone, PartialEq, Debug)]
pub struct Taken {
    calls: Vec<usize>,
    stored: Vec<usize>,
}

impl Scene {
    pub async fn new(wait: Wait) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-crash-").tempdir().unwrap();
        let repository = Repository::of(&[("README.md", "A shop.\n")]).await;
        let bare = repository.bare().await;
        let model = ModelStub::start(script(folder.path(), wait)).await;
        let scene = Self { db: TestDb::new().await, model, job_id: String::new(), bare, _repository: repository, folder };
        let remote = scene.remote(wait);
        let job = json!({ "repository": "acme/shop", "remote": remote, "input": { "title": "Greet" }, "mode": "mechanic" });
        let accepted = scene.command(["invoke", "enqueue", "-", "--json"]).stdin(job.to_string()).run().await.json(0);
        Self { job_id: accepted["job_id"].as_str().unwrap().to_owned(), ..scene }
    }

    /// A worker of its own, as on another machine that shares the forge.
    pub fn worker(&self) -> Running {
        self.command(["work"]).start()
    }

    /// The product on this job's database.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Codeteam {
        let path = tools::environment().into_iter().find(|(name, _)| name == "PATH").map(|(_, path)| path).unwrap_or_default();
        let mut own = OsString::from(self.folder.path().join("bin"));
        own.push(":");
        own.push(path);
        Codeteam::new(arguments)
            .on(self.db.url.expose())
            .state(&self.state())
            .env("PATH", own)
            .env("ANTHROPIC_API_KEY", ModelStub::KEY)
            .env("ANTHROPIC_BASE_URL", self.model.url())
            .env("DATABASE_CONNECTIONS", "3")
            // The tool says outside of its workspace how far it is, where no sandbox lets it.
            .env("CODETEAM_SANDBOX", "none")
    }

    /// Waits until what the scene waits for has been reached.
    pub async fn waits(&self) {
        until("the job waits", async || self.folder.path().join("waits").exists().then_some(())).await;
    }

    /// Ends the waiting.
    pub fn go_on(&self) {
        std::fs::write(self.folder.path().join("go-on"), "").unwrap();
    }

    /// Lets the lease run out, by the only clock that counts.
    pub async fn expire_lease(&self) {
        self.db.execute("update queue set lease_until = now() - interval '1 second' where state = 'leased'").await;
    }

    /// Waits until the job has ended, and gives its outcome.
    pub async fn outcome(&self) -> String {
        let query = "select outcome from jobs";
        until("the job has ended", async || Some(self.db.value(query).await).filter(|outcome| !outcome.is_empty())).await
    }

    /// A new worker takes the job over and brings it to its end.
    pub async fn take_over(&self) {
        self.expire_lease().await;
        let worker = self.worker();
        // Before that it knows no signals.
        worker.says("working on jobs").await;
        assert_eq!(self.outcome().await, "succeeded", "{}", worker.said());
        ends_well(worker).await;
    }

    /// Somebody else holds the job now, and does nothing with it.
    pub async fn is_taken(&self) {
        self.expire_lease().await;
        // A worker of the other mode takes expired leases back, and finds nothing to do.
        self.command(["work", "--mode", "genius", "--until-idle"]).run().await.expect(0, &["took back 1 expired leases"]);
        self.is_held().await;
    }

    /// Somebody holds the job and does nothing with it.
    pub async fn is_held(&self) {
        let claim = json!({ "mode": "mechanic", "job_id": self.job_id });
        let claimed = self.command(["invoke", "claim", "-", "--json"]).stdin(claim.to_string()).run().await.json(0);
        assert_eq!(claimed[0]["job_id"], json!(self.job_id), "{claimed}");
    }

    /// What was asked of the model so far, and what of it is stored.
    pub async fn taken(&self) -> Taken {
        let stored = self.db.value("select coalesce(json_agg(step_no order by step_no), '[]') from steps where half = 'reply'").await;
        Taken { calls: self.model.calls(), stored: serde_json::from_str(&stored).unwrap() }
    }

    /// Everything that must be true of the job in its end, given what was there when its first worker ended.
    pub async fn is_whole(&self, taken: &Taken) {
        assert_eq!(self.model.refusals(), Vec::<String>::new());
        let bought = |step: usize| taken.calls[step - 1] + usize::from(!taken.stored.contains(&step));
        let expected: Vec<usize> = (1..=STEPS).map(bought).collect();
        assert_eq!(self.model.calls(), expected, "a stored reply is never bought again: {taken:?}");
        let twice = taken.calls.iter().enumerate().filter(|(step, calls)| **calls > 0 && !taken.stored.contains(&(step + 1))).count();
        assert!(twice <= 1, "only a call in flight is bought twice: {taken:?}");
        let halves = self.db.value("select string_agg(step_no || ' ' || half, ', ' order by step_no, half) from steps").await;
        let each: Vec<String> = (1..=STEPS).flat_map(|step| [format!("{step} reply"), format!("{step} results")]).collect();
        assert_eq!(halves, each.join(", "));
        self.is_published_once().await;
    }

    /// One branch with the work on it, one pull request, a ledger that holds, and nothing that still runs.
    pub async fn is_published_once(&self) {
        let branches = git::git(&self.bare, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]).await;
        let branches: Vec<&str> = branches.lines().filter(|branch| *branch != "main").collect();
        let [branch] = branches[..] else { panic!("expected one branch: {branches:?}") };
        assert_eq!(git::git(&self.bare, &["show", &format!("{branch}:greeting.txt")]).await, "hello\nagain\n");
        let pulls = std::fs::read_dir(self.state().join("forge/acme/shop/pulls")).unwrap().map(|file| file.unwrap().file_name());
        assert_eq!(pulls.collect::<Vec<_>>(), ["1.json"]);
        self.command(["ledger", "verify"]).run().await.expect(0, &["every chain holds"]);
        self.nothing_runs().await;
    }

    /// Waits until no process of this job is left.
    pub async fn nothing_runs(&self) {
        self.nothing_runs_beside(&[]).await;
    }

    /// Waits until no process of this job is left but these workers.
    pub async fn nothing_runs_beside(&self, workers: &[u32]) {
        let left = async || self.processes().iter().all(|id| workers.contains(id)).then_some(());
        until("every process of the job is gone", left).await;
    }

    /// The processes that have to do with this job: its folder or its repository is in their environment,
    /// command or directory.
    fn processes(&self) -> Vec<u32> {
        let (folder, bare) = (self.folder.path().to_str().unwrap(), self.bare.to_str().unwrap());
        let concerned = |id: &u32| {
            let process = Path::new("/proc").join(id.to_string());
            // A process that ends meanwhile has nothing to read.
            let read = |file: &str| String::from_utf8_lossy(&std::fs::read(process.join(file)).unwrap_or_default()).into_owned();
            let directory = std::fs::read_link(process.join("cwd")).unwrap_or_default();
            let seen = [read("cmdline"), read("environ"), directory.to_string_lossy().into_owned()];
            seen.iter().any(|text| text.contains(folder) || text.contains(bare))
        };
        let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(concerned).collect()
    }

    /// Every row of every table that a worker writes, as JSON.
    pub async fn tables(&self) -> Tables {
        let mut tables = BTreeMap::new();
        for table in ["jobs", "queue", "steps", "events", "ledger", "effects"] {
            let rows = format!("select to_jsonb({table}) as row from {table}");
            let rows = self.db.value(&format!("select coalesce(jsonb_agg(row order by row::text), '[]') from ({rows}) rows")).await;
            tables.insert(table, serde_json::from_str(&rows).unwrap());
        }
        tables
    }

    /// The events of a kind.
    pub async fn events(&self, kind: &str) -> usize {
        self.db.value(&format!("select count(*) from events where kind = '{kind}'")).await.parse().unwrap()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Where the repository is. A push over ssh runs the repository's hooks, one by a path does not: `ssh` is
    /// ours, and runs on this machine what it should run on another.
    fn remote(&self, wait: Wait) -> String {
        let bare = self.bare.display();
        let hook = match wait {
            Wait::Nowhere | Wait::InTool => return bare.to_string(),
            Wait::BeforePush => "pre-receive",
            Wait::AfterPush => "post-receive",
        };
        executable(&self.folder.path().join("bin/ssh"), "for last; do :; done\nexec env -i PATH=\"$PATH\" sh -c \"$last\"\n");
        executable(&self.bare.join("hooks").join(hook), &waiting(self.folder.path()));
        format!("ssh://git@forge.example{bare}")
    }
}

/// Stops a worker in the middle of whatever it does, and waits until every thread of it stands still.
pub async fn freeze(worker: &Running) {
    worker.signal(Signal::STOP);
    let threads = format!("/proc/{}/task", worker.id());
    let stands = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name, which may hold anything, ends at the last bracket; the state follows.
        status.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
    };
    let all = async || std::fs::read_dir(&threads).unwrap().all(|thread| stands(thread.unwrap())).then_some(());
    until("every thread stands still", all).await;
}

/// Tells an idle worker to stop, which it does at once.
pub async fn ends_well(worker: Running) {
    let (exit, said) = worker.end(Signal::TERM).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
}

fn script(folder: &Path, wait: Wait) -> [Answer; STEPS] {
    let wait = if wait == Wait::InTool { waiting(folder) } else { String::new() };
    let finish = json!({ "title": "Greet twice", "summary": "It greets.", "tests_run": [], "confidence": "high" });
    [
        Answer::call("read_file", json!({ "path": "README.md" })),
        Answer::call("write_file", json!({ "path": "greeting.txt", "content": "hello\n" })),
        // Twice on one workspace, it would say so in the file.
        Answer::call("shell", json!({ "command": format!("echo again >> greeting.txt\n{wait}"), "timeout_s": 600 })),
        Answer::call("finish", finish),
    ]
}

/// A script that waits for [`Scene::go_on`] the first time it runs, in a child as tests and builds do.
fn waiting(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "if mkdir '{folder}/first' 2>/dev/null; then\n\
         sh -c 'cd \"$0\"; touch waits; while test ! -e go-on; do sleep 0.02; done' '{folder}' &\n\
         wait\n\
         fi\n"
    )
}

fn executable(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
