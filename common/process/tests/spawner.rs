//! A process that has given root up, and the spawner that starts its commands: two real processes, and real signals.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::sandbox::Machine;
use process::{Command, Exit, Service, Signal, run};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{PATH, runs, until};

/// Whom the process becomes: nobody that anybody else is.
const USER: u32 = 64_601;

/// The program of `examples/spawned.rs`, which cargo builds with the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples/spawned")
}

/// A folder of the process, with the program where its user can get to it.
fn place() -> TempDir {
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711)).tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(USER), Some(USER)).unwrap();
    // A link: a copy could not be run for as long as a child that somebody starts meanwhile holds what we write to.
    fs::hard_link(program(), folder.path().join("program"))
        .or_else(|_| fs::copy(program(), folder.path().join("program")).map(drop))
        .unwrap();
    folder
}

fn spawned(place: &TempDir, script: &str) -> Command {
    Command::new(place.path().join("program"))
        .args([USER.to_string(), place.path().join("state").display().to_string(), script.to_owned()])
        .path(PATH)
        .env("SECRET", "TOPSECRET")
        .timeout(Duration::from_secs(60))
}

/// Starts it with a command that has left a daemon in a session of its own; the process, its spawner and the daemon.
async fn started(place: &TempDir) -> (Service, u32, u32) {
    let log = fs::File::create(place.path().join("log")).unwrap();
    let service = Service::start(&spawned(place, "setsid sleep 1000 & echo $! > new; mv new daemon; sleep 1000"), log).unwrap();
    let daemon = place.path().join("state/workspace/daemon");
    until("the daemon runs", || daemon.exists()).await;
    let daemon = fs::read_to_string(daemon).unwrap().trim().parse().unwrap();
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", service.id())).unwrap();
    let spawner = children
        .split_whitespace()
        .find(|child| fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.starts_with("codeteam-spawner")));
    let spawner = spawner.unwrap_or_else(|| panic!("no spawner among {children:?}")).parse().unwrap();
    assert!(runs(daemon) && runs(spawner));
    (service, spawner, daemon)
}

fn status(process: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_process_without_root_has_its_commands_run_as_a_user_of_their_own() {
    if !Machine::this().users {
        return eprintln!("skipped: only root can be given up");
    }
    let place = place();
    let script = "id -u; id -G; cat ours/file; umask 077; mkdir closed; echo hidden > closed/file; chmod 0 ours";
    let output = run(spawned(&place, script), &CancellationToken::new()).await.unwrap();
    let said = output.stdout_text();
    assert_eq!(output.exit, Exit::Code(0), "{said}{}", output.stderr_text());
    let line =
        |name: &str| said.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_else(|| panic!("{name}: {said}"));
    let commands: Vec<&str> = line("said").split(' ').collect();
    assert!(commands.len() == 3 && commands[0] == commands[1] && commands[0].starts_with("63") && commands[2] == "given", "{said}");
    let lines = [
        ("level", Machine::this().level().name()),
        ("exit", "exit code 0"),
        ("read by us", "false"),
        ("read by the user", "hidden"),
        ("secret by the user", "false"),
        ("a work that panics", "true"),
        ("read by us when opened", "true"),
        ("secret by us", "false"),
        ("given to another", "true"),
        ("removed", "true"),
    ];
    for (name, expected) in lines {
        assert_eq!(line(name), expected, "{name}: {said}");
    }
}

#[tokio::test]
async fn the_spawner_knows_no_secret_and_has_four_of_roots_rights_and_the_process_has_none() {
    if !Machine::this().users {
        return eprintln!("skipped: only root can be given up");
    }
    let place = place();
    let (service, spawner, _) = started(&place).await;
    let environment = |process: u32| fs::read(format!("/proc/{process}/environ")).unwrap();
    assert!(environment(service.id()).windows(9).any(|part| part == b"TOPSECRET"), "the control");
    assert_eq!(environment(spawner), b"");
    // CHOWN, KILL, SETGID and SETUID.
    let kept = format!("{:016x}", 1 | 1 << 5 | 1 << 6 | 1 << 7);
    for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(status(spawner, set), kept, "{set}");
    }
    let none = "0".repeat(16);
    assert_eq!(["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"].map(|set| status(service.id(), set)), [&none; 4].map(Clone::clone));
    assert_eq!(status(service.id(), "Uid:"), [USER.to_string().as_str(); 4].join(" "));
    assert_eq!([service.id(), spawner].map(|process| status(process, "NoNewPrivs:")), ["1", "1"]);
    // Its descriptors lead to nothing but the process that it works for, its log, and the locks of users.
    for file in fs::read_dir(format!("/proc/{spawner}/fd")).unwrap() {
        let to = fs::read_link(file.unwrap().path()).unwrap_or_default();
        let to = to.to_string_lossy();
        let known = ["socket:", "pipe:", "/dev/null", "anon_inode:", "/run/codeteam/slots/"].iter().any(|start| to.starts_with(start));
        assert!(known || to.ends_with("/log"), "{to}");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_nothing_of_its_commands_and_no_spawner() {
    if !Machine::this().users {
        return eprintln!("skipped: only root can be given up");
    }
    let place = place();
    let (service, spawner, daemon) = started(&place).await;
    service.signal(Signal::KILL).unwrap();
    until("the daemon is dead", || !runs(daemon)).await;
    until("the spawner has ended", || !runs(spawner)).await;
}

#[tokio::test]
async fn what_a_user_is_asked_to_end_ends_while_its_process_goes_on() {
    if !Machine::this().users {
        return eprintln!("skipped: only root can be given up");
    }
    let place = place();
    let output = run(spawned(&place, "setsid sleep 1000 & echo $!"), &CancellationToken::new()).await.unwrap();
    let said = output.stdout_text();
    let daemon = said.lines().find_map(|line| line.strip_prefix("said: ")).unwrap().parse().unwrap();
    assert!(!runs(daemon), "{said}");
}
