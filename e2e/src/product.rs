//! The built binary.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::{Command, Exit, Service, Signal};
use serde_json::Value;
use tempfile::TempDir;

use crate::{tools, wait};

/// The binary: beside the folder of the running test.
///
/// # Panics
/// When it was not built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let binary = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps").join("codeteam");
    assert!(binary.exists(), "{} is missing: type `cargo build --package codeteam`, or `make test`, which does", binary.display());
    binary
}

/// One call of the binary, in an environment without any setting of the product but those given, and with a
/// state directory of its own.
#[must_use = "a command does nothing until it is run"]
pub struct Codeteam {
    command: Command,
    state: Option<TempDir>,
}

impl Codeteam {
    /// `codeteam` with `arguments`.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let state = tempfile::Builder::new().prefix("e2e-state-").tempdir().expect("a temporary folder can be made");
        let command = tools::command(binary().to_str().expect("the path is text")).args(arguments);
        // The tests' folders and repositories are those of whoever runs them.
        let command = command.env("CODETEAM_USER", "root").env("CODETEAM_STATE_DIR", state.path());
        Self { command: command.timeout(Duration::from_secs(120)), state: Some(state) }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command = self.command.env(name, value.as_ref());
        self
    }

    /// Uses this state directory.
    pub fn state(mut self, folder: &Path) -> Self {
        self.command = self.command.env("CODETEAM_STATE_DIR", folder);
        self.state = None;
        self
    }

    /// Uses the database at `url`.
    pub fn on(self, url: &str) -> Self {
        self.env("DATABASE_URL", url)
    }

    /// Gives it this on standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.command = self.command.stdin(bytes);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it takes longer than two minutes.
    pub async fn run(self) -> Ran {
        let output = tools::attempt(self.command).await;
        let Exit::Code(code) = output.exit else { panic!("codeteam: {}\n{}\n{}", output.exit, output.stdout_text(), output.stderr_text()) };
        Ran { code, stdout: output.stdout_text(), stderr: output.stderr_text(), took: output.duration }
    }

    /// Starts it; what it prints goes to a file.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(self) -> Running {
        let folder = tempfile::Builder::new().prefix("e2e-run-").tempdir().expect("a temporary folder can be made");
        let log = folder.path().join("log");
        let file = std::fs::File::create(&log).expect("a file can be made");
        let service = Service::start(&self.command, file).expect("codeteam starts");
        Running { service, log, _folders: (folder, self.state) }
    }
}

/// What a call left.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Its data.
    pub stdout: String,
    /// Its progress.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

impl Ran {
    /// Everything it said.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Its data as JSON.
    ///
    /// # Panics
    /// When it is none, or it did not exit with `code`.
    pub fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{}", self.said());
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    /// Its data as JSON lines.
    ///
    /// # Panics
    /// When a line is none, or it did not exit with 0.
    pub fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{}", self.said());
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Fails unless it exited with `code` and said all of `words`.
    ///
    /// # Panics
    /// Then.
    #[track_caller]
    pub fn expect(&self, code: i32, words: &[&str]) {
        let said = self.said();
        assert_eq!(self.code, code, "{said}");
        for words in words {
            assert!(said.contains(words), "{words:?} is not in:\n{said}");
        }
    }
}

/// A call that is under way. Dropped, it is killed with its group.
pub struct Running {
    service: Service,
    /// Where everything it prints goes.
    pub log: PathBuf,
    _folders: (TempDir, Option<TempDir>),
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.service.id()
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Panics
    /// When the system lost it.
    pub fn ended(&mut self) -> Option<Exit> {
        self.service.ended().expect("it is our child")
    }

    /// Waits until it has printed a line with `words`.
    pub async fn says(&self, words: &str) -> String {
        wait::until_line(&self.log, words).await
    }

    /// What it has printed.
    ///
    /// # Panics
    /// When its log is gone.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Sends it `signal`.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) {
        self.service.signal(signal).expect("the signal can be sent");
    }

    /// Sends it `signal` and waits for its end: its exit, and everything it printed.
    ///
    /// # Panics
    /// When it does not end within 30 s.
    pub async fn end(mut self, signal: Signal) -> (Exit, String) {
        self.signal(signal);
        let ended = tokio::time::timeout(Duration::from_secs(30), self.service.wait()).await;
        let exit = ended.unwrap_or_else(|_| panic!("still runs after {signal:?}:\n{}", self.said())).expect("it is our child");
        (exit, self.said())
    }
}

/// A server, `codeteam up` or `codeteam serve`, that listens on a free port of loopback.
pub struct Up {
    /// The process.
    pub running: Running,
    /// Where it listens: `127.0.0.1:port`.
    pub address: String,
}

impl Up {
    /// Starts `command`, which prints where it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(command: Codeteam) -> Self {
        let running = command.start();
        let line = running.says("http://127.0.0.1:").await;
        let address = line.split("http://").nth(1).expect("the line holds a URL");
        let end = address.find(|char: char| !char.is_ascii_digit() && !".:".contains(char)).unwrap_or(address.len());
        let address = address[..end].to_owned();
        Self { running, address }
    }
}
