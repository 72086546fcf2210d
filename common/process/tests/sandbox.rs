//! Commands behind walls: what ordinary ones still can, and that nothing of them is left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use process::sandbox::{Excess, Level, Machine, Profile, Slots};
use process::{Command, Exit, Limits, Output, Sandbox, run};
use tokio_util::sync::CancellationToken;

use crate::{PATH, runs, until};

/// A folder that users of slots can get into.
pub(crate) fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711)).tempdir().unwrap();
    std::fs::create_dir(folder.path().join("workspace")).unwrap();
    folder
}

/// The walls of `level` around the folder `workspace` in `folder`, which is given to the slot.
pub(crate) fn walls(folder: &Path, level: Level) -> Sandbox {
    let workspace = folder.join("workspace");
    let slot = level.has_own_user().then(|| Slots::default().take().unwrap());
    if let Some(slot) = &slot {
        slot.give(&workspace).unwrap();
    }
    Sandbox::new(Arc::new(Profile::new(Vec::new(), vec![workspace])), level, slot)
}

/// The levels that this machine can give, but for none.
pub(crate) fn levels() -> Vec<Level> {
    let machine = Machine::this();
    let possible = |level: &Level| {
        *level != Level::None
            && (machine.users || !level.has_own_user())
            && (machine.landlock_abi > 0 || !matches!(level, Level::Landlock | Level::Full))
    };
    Level::ALL.into_iter().filter(possible).collect()
}

pub(crate) async fn sh(folder: &Path, sandbox: &Sandbox, script: &str) -> Output {
    let workspace = folder.join("workspace");
    let command = Command::new("/bin/sh").args(["-c", script]).path(PATH).env("TMPDIR", &workspace).cwd(workspace);
    run(command.timeout(Duration::from_secs(30)).sandbox(sandbox.clone()), &CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn a_command_reads_the_system_and_writes_its_workspace_at_every_level() {
    assert!(Machine::this().level() > Level::None, "{}", Machine::this());
    for level in levels() {
        let folder = open_folder();
        let sandbox = walls(folder.path(), level);
        let output = sh(
            folder.path(),
            &sandbox,
            "umask; mkdir a && echo hello > a/b && ln -s b a/c && cat a/c && cat /etc/passwd | head -c4; id -u",
        )
        .await;
        let uid = if level.has_own_user() { "63" } else { "" };
        assert!(output.exit.success() && output.stdout_text().contains(&format!("hello\nroot{uid}")), "{level}: {output:?}");
    }
}

#[tokio::test]
async fn capabilities_and_new_privileges_are_gone_and_a_filter_is_on_at_every_level() {
    for level in levels() {
        let folder = open_folder();
        let output =
            sh(folder.path(), &walls(folder.path(), level), "grep -E '^(Cap(Prm|Eff|Inh|Amb)|NoNewPrivs|Seccomp):' /proc/self/status")
                .await;
        let zero = "0".repeat(16);
        let expected = format!("CapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapAmb:\t{zero}\nNoNewPrivs:\t1\nSeccomp:\t2\n");
        assert_eq!(output.stdout_text(), expected, "{level}");
    }
}

#[tokio::test]
async fn a_daemon_in_a_session_of_its_own_does_not_outlive_its_command() {
    for level in levels() {
        let folder = open_folder();
        let script = "setsid sh -c 'setsid sleep 100 & echo $! >> pids; echo $$ >> pids; exec sleep 100' >/dev/null 2>&1 & \
                      until [ -s pids ] && [ $(wc -l < pids) = 2 ]; do sleep 0.01; done";
        let output = sh(folder.path(), &walls(folder.path(), level), script).await;
        assert_eq!(output.exit, Exit::Code(0), "{level}: {output:?}");
        let pids = std::fs::read_to_string(folder.path().join("workspace/pids")).unwrap();
        for pid in pids.lines() {
            assert!(!runs(pid.parse().unwrap()), "{level}: {pid} is alive");
        }
    }
}

#[tokio::test]
async fn commands_of_the_same_user_do_not_end_each_others_daemons() {
    let (one, other) = (open_folder(), open_folder());
    let (first, second) = (walls(one.path(), Level::Seccomp), walls(other.path(), Level::Seccomp));
    let long = "setsid sh -c 'touch up; while [ ! -e stop ]; do sleep 0.01; done; touch done' & while [ ! -e done ]; do sleep 0.01; done";
    let long = sh(one.path(), &first, long);
    let short = async {
        until("the daemon is up", || one.path().join("workspace/up").exists()).await;
        let output = sh(other.path(), &second, "setsid sleep 100 & echo $!").await;
        assert!(!runs(output.stdout_text().trim().parse().unwrap()));
        std::fs::write(one.path().join("workspace/stop"), "").unwrap();
    };
    let (long, ()) = tokio::join!(long, short);
    assert_eq!(long.exit, Exit::Code(0), "{long:?}");
}

#[tokio::test]
async fn a_command_that_uses_too_much_memory_or_disk_is_killed_and_told_why() {
    for level in levels() {
        let folder = open_folder();
        let sandbox = walls(folder.path(), level);
        let workspace = folder.path().join("workspace");
        let slot = level.has_own_user().then(|| Slots::default().take_owner_of(&workspace)).transpose().unwrap().flatten();
        assert!(slot.is_none(), "the slot is still held");
        let profile = |memory_bytes, disk_bytes| Profile { memory_bytes, disk_bytes, ..Profile::new(Vec::new(), vec![workspace.clone()]) };
        let narrow = |memory, disk| sandbox.clone().around(profile(memory, disk));
        let hungry = "for i in 1 2 3 4; do python3 -c 'import time; b = bytearray(60_000_000); time.sleep(60)' & done; wait";
        let output = sh(folder.path(), &narrow(150_000_000, 1 << 30), hungry).await;
        assert_eq!(output.exit, Exit::Exceeded(Excess::Memory { limit_bytes: 150_000_000 }), "{level}");
        let output = sh(folder.path(), &narrow(1 << 30, 20_000_000), "head -c 30000000 /dev/zero > big; sleep 60").await;
        assert_eq!(output.exit, Exit::Exceeded(Excess::Disk { limit_bytes: 20_000_000 }), "{level}");
        assert_eq!(output.exit.to_string(), "killed: the workspace and its home grew beyond 0.0 GiB");
    }
}

#[tokio::test]
async fn a_slot_is_held_by_one_and_cannot_be_taken_by_another_until_it_is_dropped() {
    if !Machine::this().users {
        return; // Only root gives users away.
    }
    let folder = tempfile::tempdir().unwrap();
    let slots = Slots::default();
    let slot = slots.take().unwrap();
    slot.give(folder.path()).unwrap();
    assert_ne!(slots.take().unwrap().uid(), slot.uid());
    assert!(slots.take_owner_of(folder.path()).unwrap().is_none());
    let uid = slot.uid();
    drop(slot);
    assert_eq!(slots.take_owner_of(folder.path()).unwrap().map(|slot| slot.uid()), Some(uid));
}

#[tokio::test]
async fn limits_and_the_wish_to_be_killed_first_hold_behind_walls_too() {
    for level in levels() {
        let folder = open_folder();
        let sandbox = walls(folder.path(), level);
        let limits = Limits { open_files: Some(64), oom_score_adj: Some(1000), ..Limits::default() };
        let script = "ulimit -Hn; until [ $(cat /proc/self/oom_score_adj) = 1000 ]; do sleep 0.01; done; echo first";
        let command = Command::new("/bin/sh").args(["-c", script]).path(PATH).limits(limits).sandbox(sandbox);
        let output = run(command.cwd(folder.path().join("workspace")), &CancellationToken::new()).await.unwrap();
        assert_eq!(output.stdout_text(), "64\nfirst\n", "{level}: {output:?}");
    }
}

#[tokio::test]
async fn what_a_killed_worker_left_running_is_ended_by_the_next_one() {
    if !Machine::this().users {
        return; // Only root gives users away.
    }
    let slots = Slots::default();
    let uid = slots.take().unwrap().uid();
    // The user is nobody's now, as a killed worker leaves it. Another test may take it meanwhile and end what runs: then once more.
    let mut daemon = None;
    for _ in 0..20 {
        let command = Command::new("/bin/sh").args(["-c", "setsid sleep 100 & echo $!"]).path(PATH).user(uid, uid).cwd("/");
        daemon = run(command, &CancellationToken::new()).await.unwrap().stdout_text().trim().parse().ok();
        if daemon.is_some() {
            break;
        }
    }
    let daemon = daemon.expect("a daemon is left running");
    let _other = slots.take().unwrap();
    until("the daemon is dead", || !runs(daemon)).await;
}

#[tokio::test]
async fn what_acts_as_a_user_has_its_rights_alone_and_afterwards_the_thread_is_itself_again() {
    if !Machine::this().users {
        return; // Only root may become somebody else.
    }
    let folder = open_folder();
    let workspace = folder.path().join("workspace");
    let slot = Slots::default().take().unwrap();
    slot.give(&workspace).unwrap();
    let owner = |name: &str| std::os::unix::fs::MetadataExt::uid(&std::fs::symlink_metadata(workspace.join(name)).unwrap());
    slot.acting(async {
        assert!(std::fs::read("/etc/shadow").is_err());
        assert!(std::fs::write(folder.path().join("outside"), "x").is_err());
        std::fs::write(workspace.join("by-it"), "x").unwrap();
        tokio::task::yield_now().await;
        let path = workspace.join("by-a-thread-of-it");
        std::thread::spawn(move || std::fs::write(path, "x").unwrap()).join().unwrap();
    })
    .await
    .unwrap();
    std::fs::write(workspace.join("by-us"), "x").unwrap();
    assert!(std::fs::read("/etc/shadow").is_ok());
    assert_eq!((owner("by-it"), owner("by-a-thread-of-it"), owner("by-us")), (slot.uid(), slot.uid(), 0));
}
