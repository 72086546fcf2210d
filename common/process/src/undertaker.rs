//! Kills what we run when we are killed ourselves: nothing of ours runs then, and the kernel ends no
//! process group because the one who started it is gone.

use std::fs::File;
use std::io::{self, Write};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

use crate::spawn::{Streams, spawn};
use crate::{Command, ProcessError};

/// Reads `+` or `-` and a process group, one a line; at the end of file it kills the groups that are left.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r change group; do
    case $change in
        +) groups="$groups$group " ;;
        -) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group"
done 2>/dev/null
"#;

/// The pipe to a shell that waits for our end; `None` before the first group. The kernel closes it when we
/// end. One a process, started when it is first needed.
static PIPE: Mutex<Option<File>> = Mutex::new(None);

/// From now on `group` does not outlive us.
pub(crate) fn watch(group: Pid) {
    let mut pipe = pipe();
    let told = match &mut *pipe {
        Some(pipe) => tell(pipe, '+', group),
        None => start().map_err(io::Error::other).and_then(|file| tell(pipe.insert(file), '+', group)),
    };
    if let Err(error) = told {
        // The next group gets a new undertaker.
        *pipe = None;
        tracing::warn!("what is running now would outlive this process if it were killed: {error}");
    }
}

/// `group` is gone, or may live on.
pub(crate) fn forget(group: Pid) {
    let mut pipe = pipe();
    if let Some(file) = &mut *pipe
        && tell(file, '-', group).is_err()
    {
        *pipe = None;
    }
}

fn pipe() -> MutexGuard<'static, Option<File>> {
    PIPE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(pipe: &mut File, change: char, group: Pid) -> io::Result<()> {
    pipe.write_all(format!("{change} {}\n", group.as_raw_nonzero()).as_bytes())
}

fn start() -> Result<File, ProcessError> {
    let command = Command::new("/bin/sh").args(["-c", SCRIPT, "undertaker"]).cwd("/").path("/usr/bin:/bin");
    let (mut child, mut group) = spawn(&command, Streams { stdin: Stdio::piped(), stdout: Stdio::null(), stderr: Stdio::null() })?;
    group.forget();
    let pipe = child.stdin.take().expect("stdin is piped").into_owned_fd();
    Ok(File::from(pipe.map_err(|source| ProcessError::Lost { program: "undertaker".to_owned(), source })?))
}
