//! What the repository asks of the network, and what the job gets.

use config::Networks;
use domain::project::Network;
use process::sandbox::{Machine, unreachable};
use process::{Command, Service};
use serde_json::json;
use step::Walls;
use testkit::{PATH, Repository, TestDb, new_job};

use crate::{World, finish, shell};

/// The registry of packages that `process` is tested with.
const REGISTRY: &str = include_str!("../../../common/process/tests/network/registry.py");

async fn world(files: &[(&str, &str)]) -> World {
    World { test: TestDb::new().await, repository: Repository::with(files).await }
}

/// What the tools of a step said.
async fn said(world: &World, step_no: u32) -> String {
    world.test.value(&format!("select results::text from steps where step_no = {step_no} and half = 'results'")).await
}

/// What people are told about the preparation.
async fn told(world: &World) -> String {
    world.test.value("select data::text from events where kind = 'prepared' order by seq limit 1").await
}

#[tokio::test]
async fn a_network_that_the_operator_does_not_allow_is_not_there_and_people_are_told() {
    let world = world(&[(".codeteam.toml", "network = \"loopback\"\n")]).await;
    let worker = world.worker("a", json!([shell("python3 -c 'import socket; socket.socket()'"), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    assert!(said(&world, 1).await.contains("PermissionError"));
    let told = told(&world).await;
    assert!(told.contains("asks for loopback, which this installation does not allow"), "{told}");
}

#[tokio::test]
async fn a_test_that_listens_works_where_the_operator_allows_loopback() {
    let level = Machine::this().level();
    if let Some(objection) = process::sandbox::Network::Loopback.objection(level, Machine::this()) {
        return eprintln!("skipped: {objection}");
    }
    let world = world(&[(".codeteam.toml", "network = \"loopback\"\n")]).await;
    let script = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 0)); \
                  socket.create_connection(s.getsockname()); print(\"talked\")'";
    let mut worker = world.worker("a", json!([shell(script), finish()]));
    worker.step = worker.step.behind(Walls::new(level, Vec::new()).allowing(Networks::of(&[Network::None, Network::Loopback], &[])));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    let said = said(&world, 1).await;
    assert!(said.contains("talked"), "{said}");
    let asked = world.test.value("select request_of(job_id, step_no) from steps where step_no = 1 and half = 'reply'").await;
    assert!(asked.contains("$CODETEAM_PORTS"), "the model is told: {asked}");
}

#[tokio::test]
async fn dependencies_are_fetched_before_the_work_and_commands_have_no_network() {
    let level = Machine::this().level();
    let proxied = process::sandbox::Network::Fetch(process::sandbox::Proxy::default());
    let npm = std::path::PathBuf::from("/usr/bin/npm");
    if let Some(objection) = proxied.objection(level, Machine::this()) {
        return eprintln!("skipped: {objection}");
    }
    if !npm.exists() || (level.has_own_user() && !unreachable(&[npm]).is_empty()) {
        return eprintln!("skipped: there is no npm on this machine that the sandbox's users can get to");
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("registry.py");
    std::fs::write(&script, REGISTRY).unwrap();
    let log = std::fs::File::create(folder.path().join("errors")).unwrap();
    let _registry = Service::start(&Command::new("/usr/bin/python3").arg(&script).arg(folder.path()).path(PATH), log).unwrap();
    let port = folder.path().join("port");
    while !port.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let port = std::fs::read_to_string(port).unwrap();
    let certificate = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    let lock = json!({ "name": "whole", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
        "": { "name": "whole", "version": "1.0.0", "dependencies": { "part": "1.0.0" } },
        "node_modules/part": { "version": "1.0.0", "resolved": "https://registry.test/part/-/part-1.0.0.tgz", "hasInstallScript": true },
    } });
    let world = world(&[
        (".codeteam.toml", "network = \"fetch\"\n"),
        (".gitignore", "node_modules\n"),
        (".npmrc", "registry=https://registry.test/\ncafile=ca.pem\nupdate-notifier=false\n"),
        ("ca.pem", &certificate),
        ("package.json", r#"{"name": "whole", "version": "1.0.0", "dependencies": {"part": "1.0.0"}}"#),
        ("package-lock.json", &lock.to_string()),
        ("requirements.txt", "-e .\n"),
    ])
    .await;
    let uses =
        "node -e 'console.log(\"part is\", require(\"part\"))'; ls script-ran; node -e 'require(\"net\").connect(443, \"127.0.0.1\")'";
    let mut worker = world.worker("a", json!([shell(uses), finish()]));
    let networks = Networks::of(&[Network::None, Network::Fetch], &[&format!("registry.test=127.0.0.1:{port}")]);
    worker.step = worker.step.behind(Walls::new(level, Vec::new()).allowing(networks));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    let told = told(&world).await;
    assert!(told.contains("--no-fund` fetched them"), "{told}");
    assert!(told.contains("was not run, since requirements.txt has"), "{told}");
    let said = said(&world, 1).await;
    assert!(said.contains("part is 42") && said.contains("EPERM"), "{said}");
    assert!(said.contains("cannot access 'script-ran'"), "an install script ran: {said}");
}
