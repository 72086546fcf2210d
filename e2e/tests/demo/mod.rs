//! `codeteam demo`, as a newcomer types it.

mod interrupted;
mod keyed;

use std::path::Path;
use std::time::Duration;

use e2e::{Codeteam, measured, skipped, tools, wait};
use process::Exit;
use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for temporary files, so that what is left over is seen.
fn temporary() -> TempDir {
    tempfile::Builder::new().prefix("e2e-demo-").tempdir().unwrap()
}

fn demo(temporary: &TempDir) -> Codeteam {
    Codeteam::new(["demo", "--json"]).env("TMPDIR", temporary.path())
}

/// Waits until nothing of a demonstration is left: no file, no process.
async fn nothing_is_left(temporary: &TempDir) {
    let place = temporary.path().to_str().unwrap();
    wait::until("the demonstration has left nothing", async || {
        let files = std::fs::read_dir(temporary.path()).unwrap().count();
        (files == 0 && wait::processes(place).is_empty()).then_some(())
    })
    .await;
}

/// Where the private server of a demonstration that runs as `pid` lies.
fn postgres_of(pid: u32) -> Option<String> {
    let child_of = |id: u32| std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| parent(&stat) == Some(pid));
    let servers = wait::processes("/codeteam-pg-").into_iter().filter(|(id, _)| child_of(*id));
    servers.filter_map(|(_, line)| line.split(' ').find(|word| word.starts_with("/tmp/codeteam-pg-")).map(str::to_owned)).next()
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
}

fn fixed(report: &Value) {
    assert_eq!(report["result"]["outcome"], "succeeded", "{report}");
    assert_eq!((&report["tests_before"]["passed"], &report["tests_after"]["passed"]), (&Value::Bool(false), &Value::Bool(true)));
    assert!(report["diff"].as_str().unwrap().contains("-    return {person: round(amount * weight / total)"), "{}", report["diff"]);
    assert!(report["result"]["links"]["branch"].as_str().unwrap().starts_with("codeteam/"), "{report}");
    assert_eq!(report["pull_request"]["head"], report["result"]["links"]["branch"]);
    assert_eq!((&report["pull_request"]["base"], &report["pull_request"]["draft"]), (&Value::from("main"), &Value::Bool(true)));
}

#[tokio::test]
async fn the_demonstration_fixes_the_bug_twice_in_a_row_and_leaves_nothing() {
    let temporary = temporary();
    for _ in 0..2 {
        let ran = demo(&temporary).run().await;
        fixed(&ran.json(0));
        assert!(ran.stderr.contains("scripted: the replies come from"), "it says that no model is called:\n{}", ran.stderr);
        assert!(ran.stderr.contains("/20 "), "it shows the steps:\n{}", ran.stderr);
        measured(&format!("codeteam demo took {:.1} s (goal: less than 10 s)", ran.took.as_secs_f64()));
        assert!(ran.took < Duration::from_secs(60));
        nothing_is_left(&temporary).await;
    }
}

#[tokio::test]
async fn a_second_clone_of_what_was_kept_passes_its_tests() {
    let temporary = temporary();
    let ran = Codeteam::new(["demo", "--json", "--keep"]).env("TMPDIR", temporary.path()).run().await;
    let report = ran.json(0);
    fixed(&report);
    let kept = |name: &str| {
        let line =
            ran.stderr.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{}", ran.stderr));
        line.trim_start()[name.len()..].trim().to_owned()
    };
    let (bare, forge, database) = (kept("repository "), kept("forge "), kept("database "));
    let branch = report["result"]["links"]["branch"].as_str().unwrap();
    let clone = temporary.path().join("second");
    tools::run("git", &["clone", "--quiet", "--branch", branch, &bare, clone.to_str().unwrap()], temporary.path()).await;
    tools::run("python3", &["-B", "-m", "unittest"], &clone).await;
    assert!(Path::new(&forge).join("acme/tally/pulls/1.json").exists(), "the forge keeps what would go to GitHub");

    let url = database.strip_prefix("export DATABASE_URL='").unwrap().strip_suffix('\'').unwrap();
    let shown = Codeteam::new(["show", report["job_id"].as_str().unwrap(), "--json"]).on(url).run().await.json(0);
    assert_eq!(shown["job"]["job_id"], report["job_id"]);
    Codeteam::new(["ledger", "verify"]).on(url).run().await.expect(0, &["every chain holds"]);

    let stop = kept("stop it ");
    tools::run("sh", &["-c", &stop], Path::new("/")).await;
    let socket = url.split("host=").nth(1).unwrap().split('&').next().unwrap().replace("%2F", "/");
    std::fs::remove_dir_all(socket).unwrap();
}

#[tokio::test]
async fn it_needs_no_network() {
    let temporary = temporary();
    let alone = "ip link set lo up && exec \"$@\"";
    let possible = tools::attempt(tools::command("unshare").args(["--net", "sh", "-c", alone, "sh", "true"])).await;
    if !possible.exit.success() {
        return skipped("the demonstration without a network", &format!("unshare --net is not permitted here: {}", possible.stderr_text()));
    }
    let binary = e2e::product::binary();
    let state = temporary.path().join("state");
    let command = tools::command("unshare").args(["--net", "sh", "-c", alone, "sh"]).arg(binary).args(["demo", "--json"]);
    let output = tools::attempt(command.env("TMPDIR", temporary.path()).env("CODETEAM_STATE_DIR", state)).await;
    assert_eq!(output.exit, Exit::Code(0), "{}", output.stderr_text());
    fixed(&serde_json::from_slice(&output.stdout).unwrap());
    nothing_is_left(&temporary).await;
}
