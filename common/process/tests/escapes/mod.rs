//! Attempts to get out, each made at every level and once without any walls, where it must succeed.
//!
//! `attempts.py` has the attempts. What stays open is listed in [`OPEN`], and docs/sandbox.md says the same.

mod scene;

use std::collections::BTreeSet;

use process::sandbox::{Level, Machine, Network, Proxy};
use process::{Command, run};
use tokio_util::sync::CancellationToken;

use scene::Scene;

/// The attempts that succeed, with the levels where they do. At every other level, and in every other attempt,
/// nothing gets out.
const OPEN: &[(&str, &[Level])] = &[
    ("changes_the_mode_of_a_private_file", &[Level::Landlock, Level::Seccomp]),
    ("changes_the_times_of_a_private_file", &[Level::Landlock, Level::Seccomp]),
    ("creates_a_file_in_a_private_folder", &[Level::Seccomp]),
    ("has_a_process_killed_when_memory_runs_out", &[Level::Seccomp]),
    ("leaves_by_the_folder_of_a_process", &[Level::Seccomp]),
    ("leaves_by_the_root_of_a_process", &[Level::Seccomp]),
    ("lists_a_folder_outside", &[Level::Uid, Level::Seccomp]),
    ("moves_a_file_out_of_the_workspace", &[Level::Uid, Level::Seccomp]),
    ("opens_a_descriptor_of_a_process", &[Level::Seccomp]),
    ("overwrites_a_private_file", &[Level::Seccomp]),
    ("reads_a_file_that_everybody_may_read", &[Level::Uid, Level::Seccomp]),
    ("reads_a_private_file", &[Level::Seccomp]),
    ("reads_the_environment_of_a_process", &[Level::Seccomp]),
    ("reads_the_memory_map_of_a_process", &[Level::Seccomp]),
    ("reads_the_memory_of_a_process", &[Level::Seccomp]),
    ("reads_through_a_hard_link", &[Level::Seccomp]),
    ("reads_through_a_link_to_a_folder", &[Level::Seccomp]),
    ("reads_through_a_symbolic_link", &[Level::Seccomp]),
    ("removes_a_private_file", &[Level::Seccomp]),
    ("signals_a_process", &[Level::Seccomp]),
    ("signals_a_thread", &[Level::Seccomp]),
    ("signals_by_a_descriptor", &[Level::Seccomp]),
    ("stops_a_process", &[Level::Seccomp]),
    ("takes_back_the_wish_to_be_killed_first", &[Level::Uid, Level::Seccomp]),
    ("truncates_a_private_file", &[Level::Seccomp]),
    ("writes_a_file_that_everybody_may_write", &[Level::Uid, Level::Seccomp]),
    ("writes_the_memory_of_a_process", &[Level::Seccomp]),
    ("writes_to_a_terminal", &[Level::Seccomp]),
    ("writes_to_shared_memory", &[Level::Uid, Level::Seccomp]),
    ("writes_to_the_shared_folder_for_temporary_files", &[Level::Uid, Level::Seccomp]),
];

/// What each network is for, and no escape: to have a socket, and to listen.
fn meant(network: &Network) -> &'static [&'static str] {
    match network {
        Network::Fetch(_) => &["opens_a_socket_of_any_family"],
        Network::Loopback => &["listens_on_this_machine", "opens_a_socket_of_any_family"],
        _ => &[],
    }
}

/// The fewest attempts that there must be.
const FEWEST: usize = 40;

fn open_at(level: Level) -> BTreeSet<String> {
    OPEN.iter().filter(|(_, levels)| levels.contains(&level)).map(|(name, _)| (*name).to_owned()).collect()
}

/// Makes every attempt behind the walls of `level` and compares what got out with what is known to.
async fn exactly_what_is_known_gets_out(level: Level, network: Network) {
    let machine = Machine::this();
    if let Some(objection) = network.objection(level, machine) {
        return eprintln!("skipped: {level} has no {}: {objection}", network.name());
    }
    if (!machine.users && level.has_own_user()) || (machine.landlock_abi < 6 && [Level::Full, Level::Landlock].contains(&level)) {
        return eprintln!("skipped: {level} needs root and Landlock ABI 6; this machine has {machine}");
    }
    let name = network.name();
    let expected: BTreeSet<String> = open_at(level).into_iter().chain(meant(&network).iter().map(|name| (*name).to_owned())).collect();
    let scene = Scene::set(Some(level), network).await;
    let out = scene.attempt_all().await;
    let got_out: BTreeSet<String> = out.iter().filter(|attempt| attempt.escaped).map(|attempt| attempt.name.clone()).collect();
    let said: Vec<_> = out.iter().filter(|attempt| expected.contains(&attempt.name) != attempt.escaped).collect();
    assert_eq!(got_out, expected, "{level}, network {name}: {said:#?}");
    assert!(scene.is_unharmed(), "{level}, network {name}: what is attacked has changed");
}

#[tokio::test]
async fn with_root_and_landlock_nothing_gets_out() {
    assert_eq!(open_at(Level::Full), BTreeSet::new());
    exactly_what_is_known_gets_out(Level::Full, Network::None).await;
}

#[tokio::test]
async fn with_root_and_without_landlock_exactly_what_is_known_gets_out() {
    exactly_what_is_known_gets_out(Level::Uid, Network::None).await;
}

#[tokio::test]
async fn without_root_and_with_landlock_exactly_what_is_known_gets_out() {
    exactly_what_is_known_gets_out(Level::Landlock, Network::None).await;
}

#[tokio::test]
async fn without_root_and_landlock_exactly_what_is_known_gets_out() {
    exactly_what_is_known_gets_out(Level::Seccomp, Network::None).await;
}

#[tokio::test]
async fn with_a_proxy_as_the_way_out_nothing_more_gets_out() {
    for level in [Level::Full, Level::Uid, Level::Landlock, Level::Seccomp] {
        let proxy = Proxy::new(["registry.test=127.0.0.1:9"]).unwrap();
        exactly_what_is_known_gets_out(level, Network::Fetch(proxy)).await;
    }
}

#[tokio::test]
async fn with_loopback_nothing_more_gets_out() {
    for level in [Level::Full, Level::Landlock] {
        exactly_what_is_known_gets_out(level, Network::Loopback).await;
    }
}

/// Started by the test after it, as somebody who never was root.
#[tokio::test]
#[ignore = "made by another test as another user"]
async fn what_a_person_can_have_holds_for_a_person() {
    assert!(!rustix::process::geteuid().is_root() && !Machine::this().users);
    let proxy = Proxy::new(["registry.test=127.0.0.1:9"]).unwrap();
    for network in [Network::None, Network::Fetch(proxy), Network::Loopback] {
        for level in [Level::Landlock, Level::Seccomp] {
            exactly_what_is_known_gets_out(level, network.clone()).await;
        }
    }
}

#[tokio::test]
async fn a_process_that_never_was_root_holds_its_commands_as_well() {
    if !Machine::this().users {
        return eprintln!("skipped: only root can start a process of another user");
    }
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let program = folder.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(scene::PERSON), Some(scene::PERSON)).unwrap();
    let command = Command::new(program)
        .args(["--ignored", "--exact", "escapes::what_a_person_can_have_holds_for_a_person", "--nocapture"])
        .user(scene::PERSON, scene::PERSON)
        .path(crate::PATH)
        .env("TMPDIR", &theirs)
        .cwd(&theirs)
        .timeout(std::time::Duration::from_secs(900));
    let output = run(command, &CancellationToken::new()).await.unwrap();
    let (said, complained) = (output.stdout_text(), output.stderr_text());
    assert!(output.exit.success() && said.contains("1 passed"), "{}\n{said}\n{complained}", output.exit);
}

#[tokio::test]
async fn every_attempt_succeeds_where_there_are_no_walls() {
    if !Machine::this().users {
        return eprintln!("skipped: without walls some attempts need root");
    }
    let out = Scene::set(None, Network::None).await.attempt_all().await;
    let failed: Vec<_> = out.iter().filter(|attempt| !attempt.escaped).collect();
    assert!(failed.is_empty(), "these prove nothing, since they fail without walls too: {failed:#?}");
    assert!(out.len() >= FEWEST, "{} attempts", out.len());
}

#[tokio::test]
async fn the_documents_name_exactly_what_stays_open() {
    let page = include_str!("../../../../docs/sandbox.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| attempt |")).filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let [name, uid, landlock, seccomp, ..] = cells[..] else { return None };
        let levels = [(Level::Uid, uid), (Level::Landlock, landlock), (Level::Seccomp, seccomp)];
        let open: Vec<Level> = levels.into_iter().filter(|(_, cell)| *cell == "open").map(|(level, _)| level).collect();
        Some((name.trim_end_matches('`').to_owned(), open))
    });
    let known: Vec<(String, Vec<Level>)> = OPEN.iter().map(|(name, levels)| ((*name).to_owned(), levels.to_vec())).collect();
    assert_eq!(rows.collect::<Vec<_>>(), known, "the table of docs/sandbox.md and OPEN differ");
    let attempts = scene::names().await;
    assert!(known.iter().all(|(name, _)| attempts.contains(name)), "an attempt that is listed as open does not exist");
}
