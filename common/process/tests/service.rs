//! `Service`: a server beside us.

use std::fs::{self, File};
use std::time::Duration;

use process::{Command, Exit, Service, Signal};

use crate::{PATH, runs, until};

fn start(script: &str, log: &std::path::Path) -> Service {
    Service::start(&Command::new("/bin/sh").args(["-c", script]).path(PATH), File::create(log).unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_that_obeys_is_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = start("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done", &log);
    until("it is ready", || fs::read_to_string(&log).unwrap() == "ready\n").await;
    assert_eq!(server.stop(&[(Signal::TERM, Duration::from_secs(10))]).await.unwrap(), Exit::Code(3));
    assert_eq!(fs::read_to_string(&log).unwrap(), "ready\nbye\n");
}

#[tokio::test]
async fn a_server_that_does_not_obey_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut server = start("trap '' TERM; echo ready; while :; do sleep 0.05; done", &log);
    until("it is ready", || fs::read_to_string(&log).unwrap() == "ready\n").await;
    assert_eq!(server.ended().unwrap(), None);
    assert_eq!(server.stop(&[(Signal::TERM, Duration::from_millis(200))]).await.unwrap(), Exit::Signal(9));
}

#[tokio::test]
async fn a_dropped_server_dies_with_what_it_started_and_a_detached_one_lives() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = start("sleep 100 & echo $!; wait", &log);
    let grandchild = || fs::read_to_string(&log).unwrap().trim().parse().ok();
    until("it has a child", || grandchild().is_some()).await;
    let (id, grandchild) = (server.id(), grandchild().unwrap());
    drop(server);
    until("both are dead", || !runs(id) && !runs(grandchild)).await;

    let id = start("exec sleep 3", &log).detach();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(runs(id));
}
