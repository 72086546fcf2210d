//! A worker that is started as root and gives it up.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use e2e::wait::until;
use e2e::{Codeteam, Repository, tools};
use process::sandbox::Machine;
use process::{Command, Exit, Signal};
use serde_json::json;
use tempfile::TempDir;
use testkit::TestDb;

use super::{call, script};

/// Whom the worker becomes: nobody that anybody else is.
const USER: &str = "64602";

/// A folder that everybody can pass through, and a repository in it that belongs to the worker's user.
struct Scene {
    db: TestDb,
    folder: TempDir,
    repository: Repository,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-root-").permissions(PermissionsExt::from_mode(0o711)).tempdir().unwrap();
        let repository = Repository::of(&[("README.md", "A shop.\n")]).await;
        std::fs::set_permissions(repository.path.parent().unwrap(), PermissionsExt::from_mode(0o711)).unwrap();
        let scene = Self { db: TestDb::new().await, folder, repository };
        open_way_to_database(scene.db.url.expose());
        scene.give_repository(USER).await;
        scene
    }

    async fn give_repository(&self, user: &str) {
        let given = Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(&self.repository.path).path("/usr/bin:/bin");
        assert!(tools::attempt(given).await.exit.success());
    }

    fn command(&self, arguments: &[&str]) -> Codeteam {
        let state = self.folder.path().join("state");
        let cache = self.folder.path().join("cache");
        Codeteam::new(arguments.iter().copied())
            .on(self.db.url.expose())
            .state(&state)
            .env("CODETEAM_CACHE_DIR", cache)
            .env("CODETEAM_USER", USER)
    }

    async fn job(&self) {
        let remote = self.repository.path.to_str().unwrap();
        let job =
            json!({ "repository": "acme/shop", "remote": remote, "input": { "title": "Greet" }, "mode": "mechanic", "model": "scripted" });
        let enqueue = Codeteam::new(["invoke", "enqueue", "-"]).stdin(job.to_string()).env("CODETEAM_LOCAL_REMOTES", "1");
        enqueue.on(self.db.url.expose()).run().await.json(0);
    }
}

/// A private server's socket lies in a folder that is closed to others; what a service connects to is not.
pub(super) fn open_way_to_database(url: &str) {
    let url = url.replace("%2F", "/").replace("%2D", "-");
    let is_private = |folder: &&Path| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("codeteam-pg-"));
    let folders = url.split(['?', '&', '=', '@', ':']).filter_map(|part| Path::new(part).ancestors().find(is_private));
    for folder in folders {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o711)).unwrap();
    }
}

/// The process whose command line begins so.
fn process(words: &str) -> Option<u32> {
    let is_it =
        |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(words.replace(' ', "\0").as_bytes()));
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(is_it)
}

/// The spawner among the children of process `id`.
fn spawner_of(id: u32) -> String {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let is_spawner = |id: &&str| std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with(b"codeteam-spawner"));
    children.split_whitespace().find(is_spawner).unwrap_or_else(|| panic!("no spawner: {children}")).to_owned()
}

/// The checkouts that there are, of every database.
fn checkouts(state: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    entries(&state.join("checkouts")).iter().flat_map(|database| entries(database)).collect()
}

fn owner(path: &Path) -> String {
    std::os::unix::fs::MetadataExt::uid(&path.symlink_metadata().unwrap()).to_string()
}

#[tokio::test]
async fn a_worker_without_root_does_a_whole_job_with_files_that_are_a_slots() {
    if !Machine::this().users {
        return e2e::skipped("a worker that gives root up", "only root can be given up");
    }
    let scene = Scene::new().await;
    scene.job().await;
    let script = script(&[
        call("write_file", json!({ "path": "folder/greeting", "content": "one\n" })),
        call(
            "shell",
            json!({ "command": "id -u > who; echo two >> folder/greeting; umask 077; mkdir closed; echo hidden > closed/file; mkdir node; chmod 0 node" }),
        ),
        call("edit_file", json!({ "path": "closed/file", "edits": [{ "old": "hidden", "new": "found" }] })),
        call("search", json!({ "pattern": "f.und" })),
        call("finish", json!({ "title": "Greet", "summary": "Greeted.", "confidence": "high" })),
    ]);
    std::fs::set_permissions(script.path(), PermissionsExt::from_mode(0o644)).unwrap();
    let worked = scene.command(&["work", "--until-idle"]).env("CODETEAM_SCRIPT", script.path()).run().await;
    worked.expect(0, &[]);
    let ended = scene.db.value("select outcome || ' ' || (links ->> 'branch') from jobs").await;
    let branch = ended.strip_prefix("succeeded ").unwrap_or_else(|| panic!("{ended}\n{}", worked.said())).to_owned();
    scene.give_repository("0").await;
    let show = async |path: &str| scene.repository.git(&["show", &format!("{branch}:{path}")]).await;
    assert!(show("who").await.starts_with("63"));
    assert_eq!((show("folder/greeting").await, show("closed/file").await), ("one\ntwo\n".to_owned(), "found\n".to_owned()));
    let state = scene.folder.path().join("state");
    assert_eq!([owner(&state), owner(&scene.folder.path().join("cache"))], [USER, USER]);
    assert_eq!(checkouts(&state), Vec::<PathBuf>::new(), "left behind");
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_no_command_running_and_the_next_one_clears_up() {
    if !Machine::this().users {
        return e2e::skipped("a worker that gives root up", "only root can be given up");
    }
    let scene = Scene::new().await;
    scene.job().await;
    let daemon = format!("sleep 4{:07}", std::process::id());
    let script = script(&[
        call("shell", json!({ "command": format!("setsid {daemon} > /dev/null 2>&1 & sleep 1000"), "timeout_s": 600 })),
        call("finish", json!({ "title": "Greet", "summary": "Greeted.", "confidence": "high" })),
    ]);
    std::fs::set_permissions(script.path(), PermissionsExt::from_mode(0o644)).unwrap();
    let worker = scene.command(&["work"]).env("CODETEAM_SCRIPT", script.path()).start();
    until("the daemon runs", async || process(&daemon)).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
    assert!(status.contains(&format!("Uid:\t{USER}\t{USER}\t{USER}\t{USER}")), "{status}");
    let spawner = spawner_of(worker.id());
    assert_eq!(std::fs::read(format!("/proc/{spawner}/environ")).unwrap(), b"", "the spawner has an environment");
    worker.signal(Signal::KILL);
    until("the daemon is dead", async || process(&daemon).is_none().then_some(())).await;
    until("the spawner has ended", async || (!Path::new("/proc").join(&spawner).join("exe").exists()).then_some(())).await;
    scene.db.execute("update queue set lease_until = now() - interval '1 second' where state = 'leased'").await;
    scene.db.execute("update queue set cancel_requested = true").await;
    scene.command(&["work", "--until-idle"]).env("CODETEAM_SCRIPT", script.path()).run().await.expect(0, &[]);
    assert_eq!(checkouts(&scene.folder.path().join("state")), Vec::<PathBuf>::new(), "left behind");
}

#[tokio::test]
async fn a_worker_whose_spawner_is_killed_gives_its_job_back_and_ends() {
    if !Machine::this().users {
        return e2e::skipped("a worker that gives root up", "only root can be given up");
    }
    let scene = Scene::new().await;
    scene.job().await;
    let sleep = format!("sleep 5{:07}", std::process::id());
    let script = script(&[call("shell", json!({ "command": sleep, "timeout_s": 600 }))]);
    std::fs::set_permissions(script.path(), PermissionsExt::from_mode(0o644)).unwrap();
    let worker = scene.command(&["work"]).env("CODETEAM_SCRIPT", script.path()).start();
    until("the command runs", async || process(&sleep)).await;
    tools::run("kill", &["-KILL", &spawner_of(worker.id())], Path::new("/")).await;
    worker.says("the spawner of sandboxed commands has ended").await;
    let (exit, said) = worker.end(Signal::CONT).await;
    assert_eq!(exit, Exit::Code(4), "{said}");
    assert_eq!(scene.db.value("select state from queue").await, "ready", "{said}");
}

#[tokio::test]
async fn a_state_directory_of_somebody_else_is_refused_with_what_helps() {
    if !Machine::this().users {
        return e2e::skipped("a worker that gives root up", "only root can be given up");
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = Codeteam::new(["work"]).state(folder.path()).env("CODETEAM_USER", USER).run().await;
    refused.expect(4, &["belongs to user 0", &format!("chown -R {USER}:{USER} {}", folder.path().display()), "CODETEAM_USER"]);
    assert_eq!(owner(folder.path()), "0");
    let unknown = Codeteam::new(["work"]).env("CODETEAM_USER", "nobody-of-that-name").run().await;
    unknown.expect(4, &["CODETEAM_USER is \"nobody-of-that-name\": there is no such user"]);
}
