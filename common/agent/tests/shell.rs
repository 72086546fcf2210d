//! Commands: what they see, how they end, what is kept of their output.

use std::time::Duration;

use agent::AgentError;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixture::{Bench, reply};

#[tokio::test]
async fn a_command_answers_its_exit_code_and_both_streams_in_order() {
    let bench = Bench::with("a.txt", "here\n");
    let answer = bench.ok("shell", json!({ "command": "cat a.txt; echo oops >&2; echo more; exit 3" })).await;
    assert_eq!(answer, "exit code 3\nhere\noops\nmore");
    assert_eq!(bench.ok("shell", json!({ "command": "true" })).await, "exit code 0, no output");
    assert!(bench.ok("shell", json!({ "command": "no-such-program-here" })).await.starts_with("exit code 127\n"));
}

#[tokio::test]
async fn which_commands_ran_and_how_they_ended_is_kept_beside_what_the_model_reads() {
    let long = format!("true {}", "x".repeat(300));
    let commands = ["exit 3", "echo made", long.as_str(), "sleep 60"];
    let calls: Vec<(&str, Value)> = commands.iter().map(|command| ("shell", json!({ "command": command, "timeout_s": 1 }))).collect();
    let calls = [calls, vec![("read_file", json!({ "path": "a.txt" })), ("shell", json!({ "cmd": "true" }))]].concat();
    let ran = Bench::with("a.txt", "here\n").run(&reply(&calls)).await.unwrap();
    let kept: Vec<(&str, &str)> = ran.commands.iter().map(|ran| (ran.command.as_str(), ran.ending.as_str())).collect();
    let cut = format!("{}…", &long[..200]);
    let timed_out = "timed out after 1 s; it and everything it started were killed";
    assert_eq!(kept, [("exit 3", "exit code 3"), ("echo made", "exit code 0"), (&cut, "exit code 0"), ("sleep 60", timed_out)]);
}

#[tokio::test]
async fn a_command_that_may_have_changed_something_asks_for_a_checkpoint() {
    let ran = Bench::new().run(&reply(&[("shell", json!({ "command": "true" }))])).await.unwrap();
    assert!(ran.changed);
}

#[tokio::test]
async fn a_command_sees_only_the_environment_that_is_built_for_it() {
    let bench = Bench::new();
    let answer = bench.ok("shell", json!({ "command": "env | cut -d= -f1 | sort | tr '\\n' ' '; pwd; echo $HOME" })).await;
    let expected = [
        "CI",
        "GIT_PAGER",
        "GIT_TERMINAL_PROMPT",
        "HOME",
        "LANG",
        "NO_COLOR",
        "PAGER",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "TERM",
        "TMPDIR",
    ];
    let lines: Vec<&str> = answer.lines().collect();
    let (names, folder) = lines[1].rsplit_once(' ').unwrap();
    // The shell itself adds these.
    let names: Vec<&str> = names.split(' ').filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    assert_eq!(names, expected);
    assert_eq!(folder, bench.root().to_str().unwrap());
    assert!(!lines[2].starts_with(folder), "{}", lines[2]);
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_everything_it_started() {
    let bench = Bench::new();
    let start = Instant::now();
    let answer = bench.ok("shell", json!({ "command": "echo begun; (sleep 60; touch survived) & sleep 60", "timeout_s": 1 })).await;
    assert_eq!(answer, "timed out after 1 s; it and everything it started were killed\nbegun");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_command_never_outlives_the_jobs_time() {
    let mut bench = Bench::new();
    bench.time = Duration::from_millis(300);
    let answer = bench.ok("shell", json!({ "command": "sleep 60" })).await;
    assert!(answer.contains("all the time that this job had left"), "{answer}");
}

#[tokio::test]
async fn of_long_output_the_head_and_the_tail_are_kept() {
    let answer = Bench::new().ok("shell", json!({ "command": "seq 1 100000" })).await;
    assert!(answer.len() < 10_200, "{}", answer.len());
    assert!(answer.starts_with("exit code 0\n1\n2\n3\n") && answer.ends_with("\n99999\n100000"), "{}", &answer[answer.len() - 40..]);
    assert!(answer.contains("bytes omitted"));
}

#[tokio::test]
async fn output_that_is_no_text_can_still_be_stored() {
    let answer = Bench::new().ok("shell", json!({ "command": "printf 'a\\000b\\377'" })).await;
    assert_eq!(answer, "exit code 0\na\u{fffd}b\u{fffd}");
}

#[tokio::test]
async fn a_command_too_long_for_the_system_is_refused_in_words() {
    let bench = Bench::new();
    let answer = bench.err("shell", json!({ "command": format!("echo {}", "x".repeat(200_000)) })).await;
    assert!(answer.contains("write_file"), "{answer}");
    assert!(bench.ok("shell", json!({ "command": format!("true {}", "x".repeat(99_000)) })).await.starts_with("exit code 0"));
}

#[tokio::test]
async fn a_cancelled_command_ends_the_step_at_once() {
    let bench = Bench::new();
    let reply = reply(&[("shell", json!({ "command": "touch begun; sleep 60" }))]);
    let stop = async {
        while !bench.root().join("begun").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.cancel.cancel();
        Instant::now()
    };
    let (result, cancelled_at) = tokio::join!(bench.run(&reply), stop);
    assert!(matches!(result, Err(AgentError::Cancelled)), "{result:?}");
    assert!(cancelled_at.elapsed() < Duration::from_secs(5));
}
