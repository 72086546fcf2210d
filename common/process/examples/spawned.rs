//! A process that gives root up and has its sandboxed commands started by a spawner; for the tests of that.
//!
//! `spawned UID FOLDER SCRIPT` as root: runs SCRIPT in FOLDER/workspace as the user of a slot, and tells what the process itself
//! can and cannot do meanwhile.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process::sandbox::{Machine, Profile, Slots, clear};
use process::spawner::{self, User};
use process::{Command, Sandbox, run};
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    spawner::serve_if_asked(work);
    process::sandbox::protect_this_process();
    let [_, uid, folder, script] = &std::env::args().collect::<Vec<_>>()[..] else { return Err("spawned UID FOLDER SCRIPT".into()) };
    let uid = uid.parse()?;
    if !spawner::begin(Some(User { uid, gid: uid }))? {
        return Err("this is for root".into());
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tell(Path::new(folder), script))
}

/// Reads a file as the user that it is asked to.
fn work(work: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    match work {
        "read" => fs::read(String::from_utf8_lossy(input).as_ref()).map_err(|error| error.to_string()),
        "panic" => panic!("as asked"),
        other => Err(format!("no work {other:?}")),
    }
}

async fn tell(folder: &Path, script: &str) -> Result<(), Box<dyn std::error::Error>> {
    let workspace = folder.join("workspace");
    fs::create_dir_all(workspace.join("ours"))?;
    fs::write(workspace.join("ours/file"), "given\n")?;
    let slot = Slots::default().take()?;
    slot.give(&workspace)?;
    let profile = Profile::new(Vec::new(), vec![workspace.clone()]);
    let sandbox = Sandbox::new(Arc::new(profile), Machine::this().level(), Some(slot.clone()));
    say("level", &sandbox.level())?;
    let command = Command::new("/bin/sh")
        .args(["-c", script])
        .path("/usr/bin:/bin")
        .cwd(&workspace)
        .timeout(Duration::from_secs(60))
        .sandbox(sandbox);
    let output = run(command, &CancellationToken::new()).await?;
    say("exit", &output.exit)?;
    say("said", &output.stdout_text().trim().replace('\n', " "))?;
    let closed = workspace.join("closed/file");
    let asked = |work: &'static str, path: PathBuf| {
        let slot = slot.clone();
        async move { slot.ask(work, path.display().to_string().as_bytes()).await }
    };
    say("read by us", &fs::read_to_string(&closed).is_ok())?;
    say("read by the user", &shown(asked("read", closed.clone()).await))?;
    say("secret by the user", &asked("read", "/etc/shadow".into()).await.is_ok())?;
    say("a work that panics", &asked("panic", PathBuf::new()).await.is_err())?;
    slot.open_up(&[&workspace])?;
    say("read by us when opened", &fs::read_to_string(&closed).is_ok())?;
    say("secret by us", &fs::read("/etc/shadow").is_ok())?;
    say("given to another", &slot.give(Path::new("/usr")).is_err())?;
    clear(&workspace)?;
    fs::remove_dir(&workspace)?;
    say("removed", &!workspace.exists())?;
    Ok(())
}

fn shown(bytes: io::Result<Vec<u8>>) -> String {
    bytes.map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn say(what: &str, value: &dyn std::fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{what}: {value}")
}
