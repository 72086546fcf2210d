//! What tools meet around them.

use std::os::unix::fs::MetadataExt;

use process::sandbox::{Level, Machine};
use serde_json::{Value, json};
use step::{StepResponse, Walls};
use testkit::new_job;

use crate::{World, calls, finish, shell};

fn write(path: &str, content: &str) -> Value {
    calls("write_file", json!({ "path": path, "content": content }))
}

/// What the tools of a step said.
async fn said(world: &World, step_no: u32) -> String {
    world.test.value(&format!("select results::text from steps where step_no = {step_no} and half = 'results'")).await
}

/// What a job does with files: by a tool, by a command on the tool's file, by a tool on the command's.
fn replies() -> Value {
    json!([
        write("folder/by-tool", "one\n"),
        shell("id -u > who && echo two >> folder/by-tool && umask 077 && echo three > hidden && mkdir closed && echo four > closed/file"),
        { "tool_calls": [
            { "name": "read_file", "input": { "path": "hidden" } },
            { "name": "search", "input": { "pattern": "f[o]ur" } },
            { "name": "edit_file", "input": { "path": "hidden", "edits": [{ "old": "three", "new": "five" }] } },
        ] },
        shell("cat hidden closed/file folder/by-tool"),
        finish(),
    ])
}

async fn files_are_shared_by_tools_and_commands_and_kept_behind(level: Level) {
    let world = World::new().await;
    let mut worker = world.worker("a", replies());
    worker.step = worker.step.behind(Walls::new(level, Vec::new()));
    let (job_id, epoch) = world.job(new_job()).await;
    for step_no in 1..=4 {
        assert_eq!(worker.step(job_id, epoch).await.unwrap(), StepResponse::Continue { step_no }, "{level}");
    }
    let read = said(&world, 3).await;
    assert!(read.contains("three") && read.contains("closed/file:1: four"), "{level}: {read}");
    let last = said(&world, 4).await;
    assert!(last.contains(r"exit code 0\nfive\nfour\none\ntwo"), "{level}: {last}");
    let workspace = worker.workspace(job_id, epoch);
    let owner = workspace.metadata().unwrap().uid();
    for file in ["price.py", "folder/by-tool", "hidden", "closed", ".git/HEAD"] {
        assert_eq!(workspace.join(file).metadata().unwrap().uid(), owner, "{level}: {file}");
    }
    let ourselves = world.repository.path("a").metadata().unwrap().uid();
    assert_eq!(owner != ourselves, level.has_own_user(), "{level}");
    assert_eq!(std::fs::read_to_string(workspace.join("who")).unwrap(), format!("{owner}\n"), "{level}");

    // Another worker finds all of it in the checkpoint, those that only their owner may read too.
    let epoch = world.take_over(job_id).await;
    let other = world.worker("b", replies());
    assert!(matches!(other.step(job_id, epoch).await.unwrap(), StepResponse::Done { .. }), "{level}");
    assert_eq!(std::fs::read_to_string(other.workspace(job_id, epoch).join("closed/file")).unwrap(), "four\n", "{level}");
}

#[tokio::test]
async fn files_are_shared_by_tools_and_commands_and_kept_at_every_level() {
    for level in Level::ALL.into_iter().filter(|level| Machine::this().level_up_to(*level) == *level) {
        files_are_shared_by_tools_and_commands_and_kept_behind(level).await;
    }
}

#[tokio::test]
async fn a_command_cannot_read_what_lies_beside_its_workspace_nor_open_a_socket() {
    let world = World::new().await;
    let script =
        "cat ../trusted.git/config; ls ../..; python3 -c 'import socket; socket.socket()'; echo x > ../x; git log --oneline | wc -l";
    let worker = world.worker("a", json!([shell(script), finish()]));
    let (job_id, epoch) = world.job(new_job()).await;
    worker.step(job_id, epoch).await.unwrap();
    let said = said(&world, 1).await;
    if Machine::this().level() >= Level::Landlock && Machine::this().landlock_abi > 0 {
        assert!(!said.contains("repositoryFormatVersion") && said.matches("Permission denied").count() >= 3, "{said}");
    }
    assert!(said.contains("PermissionError") && said.contains(r"\n1"), "{said}");
}

#[tokio::test]
async fn a_checkout_goes_on_with_the_user_that_it_belongs_to_or_is_made_again() {
    if !Machine::this().users {
        return; // Only root gives workspaces away.
    }
    let world = World::new().await;
    let replies = json!([write("a", "one\n"), shell("cat a"), shell("cat a"), finish()]);
    let (job_id, epoch) = world.job(new_job()).await;
    let first = world.worker("a", replies.clone());
    first.step(job_id, epoch).await.unwrap();
    let workspace = first.workspace(job_id, epoch);
    let owner = || workspace.metadata().unwrap().uid();
    let before = owner();
    // The same folder in another process while the first one lives: the user is not free.
    let second = world.worker("a", replies.clone());
    second.step(job_id, epoch).await.unwrap();
    assert_ne!(owner(), before);
    let now = owner();
    drop(first);
    drop(second);
    let third = world.worker("a", replies);
    third.step(job_id, epoch).await.unwrap();
    assert_eq!(owner(), now);
    assert!(said(&world, 3).await.contains("one"));
}
