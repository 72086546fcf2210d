//! Stops a server and removes its directory when the process that started it is gone, however it went.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::PostgresError;
use crate::spawn::{Streams, spawn};
use crate::{Command, ProcessError};

/// Reads process ids, one a line, and `done`. At the end of file it stops the last process that it read,
/// if that is still the server of the data directory `$1`, and removes the other arguments.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
data=$1
shift
server=
while read -r line; do
    test "$line" = done && exit
    server=$line
done
serves() {
    { read -r running < "$data/postmaster.pid"; } 2>/dev/null && test "$running" = "$server" && kill -0 "$server" 2>/dev/null
}
patience=100
serves && kill -INT "$server"
while serves; do
    test "$patience" -gt 0 || kill -KILL "$server"
    patience=$((patience - 1))
    sleep 0.1
    test "$patience" -gt -20 || break
done
rm -rf -- "$@"
"#;

/// A shell that waits for our end. It holds no file of ours but the pipe.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: tokio::process::Child,
    /// Closed by the kernel when we end. A plain file, so that it does not depend on the async runtime
    /// that it was made in.
    pipe: File,
}

impl Watchdog {
    /// Starts watching for our end; from then on `remove` will be removed.
    pub(crate) fn start(data: &Path, remove: [Option<&Path>; 2]) -> Result<Self, PostgresError> {
        let command = Command::new("/bin/sh").args(["-c", SCRIPT, "watchdog"]).arg(data).args(remove.into_iter().flatten());
        let command = command.cwd("/").path("/usr/bin:/bin");
        let (mut child, mut group) = spawn(&command, Streams { stdin: Stdio::piped(), stdout: Stdio::null(), stderr: Stdio::null() })?;
        group.forget();
        let pipe = child.stdin.take().expect("stdin is piped").into_owned_fd().map_err(lost)?;
        Ok(Self { child, pipe: File::from(pipe) })
    }

    /// Names the server's process.
    pub(crate) fn watch(&mut self, server: u32) -> Result<(), PostgresError> {
        Ok(writeln!(self.pipe, "{server}").map_err(lost)?)
    }

    /// Ends it: there is nothing left to do.
    pub(crate) async fn dismiss(mut self) -> Result<(), PostgresError> {
        writeln!(self.pipe, "done").map_err(lost)?;
        drop(self.pipe);
        self.child.wait().await.map_err(lost)?;
        Ok(())
    }
}

fn lost(source: std::io::Error) -> ProcessError {
    ProcessError::Lost { program: "watchdog of PostgreSQL".to_owned(), source }
}
