//! `run`: output, environment, limits, and that nothing outlives it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use process::{Command, Exit, Limits, Output, ProcessError, run};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{PATH, runs, until};

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script]).path(PATH)
}

async fn output(command: Command) -> Output {
    run(command, &CancellationToken::new()).await.unwrap()
}

/// The process ids that a script wrote to a file, one a line.
fn pids(file: &Path) -> Vec<u32> {
    fs::read_to_string(file).unwrap_or_default().lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test]
async fn output_and_exit_code_are_kept_apart() {
    let Output { exit, stdout, stderr, stdout_omitted_bytes, stderr_omitted_bytes, .. } =
        output(shell("echo out; echo err >&2; exit 7")).await;
    assert_eq!((exit, stdout, stderr), (Exit::Code(7), b"out\n".to_vec(), b"err\n".to_vec()));
    assert_eq!((stdout_omitted_bytes, stderr_omitted_bytes), (0, 0));
}

#[tokio::test]
async fn a_child_that_dies_by_a_signal_says_which() {
    assert_eq!(output(shell("kill -TERM $$")).await.exit, Exit::Signal(15));
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let command = Command::new("env").path(PATH).env("NAME", "value");
    assert_eq!(output(command).await.stdout_text(), format!("NAME=value\nPATH={PATH}\n"));
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let command = Command::new("printf").args(["%s|", "a b", "$HOME", "*", ""]).path(PATH);
    assert_eq!(output(command).await.stdout_text(), "a b|$HOME|*||");
}

#[tokio::test]
async fn input_larger_than_a_pipe_comes_back_whole() {
    let input: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let Output { exit, stdout, .. } = output(Command::new("cat").path(PATH).stdin(input.clone()).output_cap(4_000_000)).await;
    assert_eq!(exit, Exit::Code(0));
    assert!(stdout == input, "{} bytes came back", stdout.len());
}

#[tokio::test]
async fn a_child_that_does_not_read_its_input_is_no_error() {
    assert_eq!(output(shell("exec <&-; exit 0").stdin(vec![b'x'; 1_000_000])).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn output_beyond_the_cap_keeps_head_and_tail_and_does_not_block_the_child() {
    let output = output(shell("echo first; head -c 20000000 /dev/zero; echo last").output_cap(12)).await;
    assert_eq!((output.exit, output.stdout.len()), (Exit::Code(0), 12));
    assert!(output.stdout.starts_with(b"first\n") && output.stdout.ends_with(b"\0last\n"), "{:?}", output.stdout);
    assert_eq!(output.stdout_omitted_bytes, 20_000_000 + 11 - 12);
    assert!(output.stdout_text().contains("\n[… 19999999 bytes omitted …]\n"), "{}", output.stdout_text());
}

#[tokio::test]
async fn a_timeout_kills_the_child_and_its_grandchildren_though_they_ignore_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = "trap '' TERM INT HUP; (trap '' TERM; echo $$ >> pids; sleep 100 & echo $! >> pids; wait) & echo before; wait";
    let output = output(shell(script).cwd(folder.path()).timeout(Duration::from_millis(500))).await;
    assert_eq!((output.exit, output.stdout_text().as_str()), (Exit::TimedOut, "before\n"));
    assert!(output.duration < Duration::from_secs(2), "{:?}", output.duration);
    assert_eq!(pids(&file).len(), 2);
    for pid in pids(&file) {
        until("the group is dead", || !runs(pid)).await;
    }
}

#[tokio::test]
async fn a_cancelled_command_is_dead_when_run_returns() {
    let cancel = CancellationToken::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let command = shell("echo $$ > pids; exec sleep 100").cwd(folder.path());
    let (output, ()) = tokio::join!(run(command, &cancel), async {
        until("the child has started", || !pids(&file).is_empty()).await;
        cancel.cancel();
    });
    assert_eq!(output.unwrap().exit, Exit::Cancelled);
    assert!(!runs(pids(&file)[0]));
}

#[tokio::test]
async fn a_dropped_future_kills_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let cancel = CancellationToken::new();
    {
        let mut running = Box::pin(run(shell("sleep 100 & echo $! > pids; wait").cwd(folder.path()), &cancel));
        let deadline = Instant::now() + Duration::from_secs(10);
        while pids(&file).is_empty() && Instant::now() < deadline {
            assert!(timeout(Duration::from_millis(20), &mut running).await.is_err(), "it ended by itself");
        }
    }
    let pid = pids(&file)[0];
    until("the grandchild is dead", || !runs(pid)).await;
}

#[tokio::test]
async fn a_background_process_does_not_outlive_its_command() {
    let output = output(shell("sleep 100 & echo $!")).await;
    assert_eq!(output.exit, Exit::Code(0));
    let pid = output.stdout_text().trim().parse().unwrap();
    until("the background process is dead", || !runs(pid)).await;
    assert!(output.duration < Duration::from_secs(5), "{:?}", output.duration);
}

#[tokio::test]
async fn a_process_that_left_the_group_and_holds_the_pipe_does_not_hold_us() {
    let output = output(shell("setsid sleep 5 & echo done")).await;
    assert_eq!((output.exit, output.stdout_text().as_str()), (Exit::Code(0), "done\n"));
    assert!(output.duration < Duration::from_secs(3), "{:?}", output.duration);
}

#[tokio::test]
async fn file_size_open_files_and_core_dumps_are_limited_by_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { file_size_bytes: Some(4096), open_files: Some(32), ..Limits::default() };
    let script = "ulimit -Hc; ulimit -Hn; head -c 100000 /dev/zero > big; wc -c < big";
    let output = output(shell(script).cwd(folder.path()).limits(limits)).await;
    assert_eq!(output.stdout_text(), "0\n32\n4096\n");
}

#[tokio::test]
async fn memory_is_limited_by_the_kernel() {
    let hungry = || Command::new("python3").args(["-c", "print(len(bytearray(400_000_000)))"]).path(PATH);
    assert_eq!(output(hungry()).await.stdout_text(), "400000000\n");
    let limited = output(hungry().limits(Limits { data_bytes: Some(200_000_000), ..Limits::default() })).await;
    assert!(limited.stderr_text().contains("MemoryError"), "{limited:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_volunteers_to_be_killed_first_when_memory_runs_out() {
    let command = || shell("cat /proc/self/oom_score_adj").limits(Limits { oom_score_adj: Some(1000), ..Limits::default() });
    assert_eq!(output(command()).await.stdout_text(), "1000\n");
    if rustix::process::geteuid().is_root() {
        assert_eq!(output(command().user(65534, 65534).cwd("/")).await.stdout_text(), "1000\n");
    }
}

#[tokio::test]
async fn another_user_has_no_groups_of_ours_and_is_held_to_its_processes() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root may become somebody else.
    }
    let command = shell("id -u; id -G; sleep 1 & sleep 1 & sleep 1 & wait").user(64_321, 64_321).cwd("/");
    let output = output(command.limits(Limits { processes: Some(2), ..Limits::default() })).await;
    assert!(output.stdout_text().starts_with("64321\n64321\n"), "{output:?}");
    assert!(output.stderr_text().to_lowercase().contains("fork"), "{output:?}");
}

#[tokio::test]
async fn a_missing_program_a_missing_directory_and_a_refusal_are_told_apart() {
    let cancel = CancellationToken::new();
    let error = run(Command::new("no-such-program").path("/usr/bin:relative"), &cancel).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no program \"no-such-program\" in \"/usr/bin:relative\"; install \"no-such-program\" or put its folder on PATH"
    );
    let error = run(Command::new("/no/such/program"), &cancel).await.unwrap_err();
    assert!(matches!(error, ProcessError::NotFound { .. }), "{error}");
    let error = run(shell("true").cwd("/no/such/folder"), &cancel).await.unwrap_err();
    assert_eq!(error.to_string(), "no directory /no/such/folder to run \"/bin/sh\" in");
    let error = run(Command::new("/etc/passwd"), &cancel).await.unwrap_err();
    assert!(matches!(error, ProcessError::Spawn { .. }), "{error}");
}

#[tokio::test]
async fn a_child_has_a_session_of_its_own_and_no_terminal() {
    let output = output(shell("ps -o sid= -p $$ | tr -d ' '; echo $$; cat < /dev/tty")).await;
    let (sid, pid) = output.stdout_text().trim().split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(sid, pid);
    assert_ne!(output.exit, Exit::Code(0));
}
