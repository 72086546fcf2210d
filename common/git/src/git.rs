//! The one way in which this crate runs git.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process::{Command, Exit, Handed, Limits, Output, run};
use tokio_util::sync::CancellationToken;

use crate::error::last_words;
use crate::{GitError, Remote, RepositoryLimits};

/// What git may not do, on every command line. Configuration on the command line outranks every file.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.askPass=",
    // Names that other file systems take for `.git`: a repository that has one is refused everywhere.
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "index.version=2",
    "index.sparse=false",
    "protocol.ext.allow=never",
    "credential.helper=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "push.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
];

/// The most that git may print where its output is read by us: a pack, a diff, a list of refs.
pub(crate) const OUTPUT_CAP: usize = 256 << 20;

/// Where git is and where its mirrors are kept.
#[derive(Clone, Debug)]
pub struct GitOptions {
    /// The program: a name to look up in `path`, or a path.
    pub program: PathBuf,
    /// `PATH` for git and its helpers.
    pub path: OsString,
    /// Variables for commands that talk to a remote: `HTTPS_PROXY` and `SSL_CERT_FILE`, and for ssh
    /// `HOME` and `SSH_AUTH_SOCK`. Nothing else is inherited.
    pub network_environment: Vec<(OsString, OsString)>,
    /// The folder of the mirrors; created when needed, shared by any number of processes.
    pub mirrors: PathBuf,
    /// How long one git may take.
    pub timeout: Duration,
    /// How large a repository may be.
    pub limits: RepositoryLimits,
}

impl GitOptions {
    /// `git` from `path`, five minutes each, no further environment.
    pub fn new(path: impl Into<OsString>, mirrors: impl Into<PathBuf>) -> Self {
        Self {
            program: "git".into(),
            path: path.into(),
            network_environment: Vec::new(),
            mirrors: mirrors.into(),
            timeout: Duration::from_secs(300),
            limits: RepositoryLimits::default(),
        }
    }
}

/// Runs git. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Git {
    options: Arc<GitOptions>,
}

impl Git {
    /// A git with these options. Nothing is checked or started yet.
    pub fn new(options: GitOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// The version, such as `2.47.3`; one process.
    ///
    /// # Errors
    /// [`GitError::Missing`] says what to install.
    pub async fn version(&self) -> Result<String, GitError> {
        let output = self.run(self.command(["version"])).await?;
        Ok(output.trim().trim_start_matches("git version ").to_owned())
    }

    pub(crate) fn mirrors(&self) -> &Path {
        &self.options.mirrors
    }

    pub(crate) fn limits(&self) -> &RepositoryLimits {
        &self.options.limits
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.options.timeout
    }

    /// git with nothing but what this crate gives it, and without any network protocol.
    pub(crate) fn command(&self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Command {
        let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
        Command::new(&self.options.program)
            .args(settings)
            .args(args)
            .cwd("/")
            .path(&self.options.path)
            .envs([
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_SYSTEM", "/dev/null"),
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_ATTR_NOSYSTEM", "1"),
                ("GIT_TERMINAL_PROMPT", "0"),
                ("GIT_ALLOW_PROTOCOL", ""),
                ("GIT_NO_REPLACE_OBJECTS", "1"),
                ("GIT_NO_LAZY_FETCH", "1"),
                ("GIT_OPTIONAL_LOCKS", "0"),
                ("GIT_LITERAL_PATHSPECS", "1"),
                ("GIT_ADVICE", "0"),
                ("LC_ALL", "C"),
            ])
            .timeout(self.options.timeout)
            .output_cap(OUTPUT_CAP)
    }

    /// git in the repository `git_dir`, which must be trusted.
    pub(crate) fn in_repository(&self, git_dir: &Path, args: impl IntoIterator<Item = impl Into<OsString>>) -> Command {
        self.command(args).env("GIT_DIR", git_dir)
    }

    /// Runs `command` to its end; its standard output as text.
    pub(crate) async fn run(&self, command: Command) -> Result<String, GitError> {
        Ok(self.output(command, &CancellationToken::new()).await?.stdout_text())
    }

    /// Runs `command` to a successful end.
    pub(crate) async fn output(&self, command: Command, cancel: &CancellationToken) -> Result<Output, GitError> {
        let output = self.attempt(command, cancel).await?;
        match output.exit {
            Exit::Code(0) => Ok(output),
            _ => Err(failed(&output)),
        }
    }

    /// Runs `command` to any end but a cancelled one.
    pub(crate) async fn attempt(&self, command: Command, cancel: &CancellationToken) -> Result<Output, GitError> {
        let output = run(command, cancel).await?;
        match output.exit {
            Exit::Cancelled => Err(GitError::Cancelled),
            _ => Ok(output),
        }
    }

    /// Runs `subcommand` and then the remote, `rest` after it, with `input`: the one way to talk to one.
    ///
    /// Without a `git_dir` it runs outside of any repository.
    ///
    /// In a repository on this machine the other half of git is started by ours; it is told to run no
    /// hooks, since a clone may carry its own in its working tree, and to serve a repository of any owner.
    pub(crate) async fn talk(
        &self,
        git_dir: Option<&Path>,
        remote: &Remote,
        subcommand: &[&str],
        rest: &[&str],
        input: Vec<u8>,
        cancel: &CancellationToken,
    ) -> Result<Output, GitError> {
        let credentials = remote.credentials().map(|secret| Handed::new(format!("{}\n", secret.expose()).as_bytes()));
        let credentials = credentials.transpose().map_err(GitError::io("hand a password to", &self.options.program))?;
        let helper = credentials.iter().flat_map(|handed| ["-c".to_owned(), helper(handed)]);
        let other_half = "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c receive.autogc=false -c safe.directory=*";
        let (flag, half) = if subcommand.contains(&"push") { ("--receive-pack", "receive-pack") } else { ("--upload-pack", "upload-pack") };
        let other_half = remote.is_local().then(|| format!("{flag}={other_half} {half}"));
        let args = helper
            .chain(subcommand.iter().map(|&arg| arg.to_owned()))
            .chain(other_half)
            .chain(["--".to_owned(), remote.location().to_owned()]);
        let command = self.in_repository(git_dir.unwrap_or(Path::new("/nonexistent")), args.chain(rest.iter().map(|&arg| arg.to_owned())));
        let command =
            command.env("GIT_ALLOW_PROTOCOL", remote.protocol()).env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=15");
        let command = command.envs(self.options.network_environment.iter().cloned()).stdin(input);
        let command = credentials.into_iter().fold(command, Command::hand);
        // What is fetched goes into few files, and no limit of git's own ends that.
        let most = subcommand.contains(&"fetch").then_some(self.options.limits.mirror_bytes);
        self.attempt(command.limits(Limits { file_size_bytes: most, ..Limits::default() }), cancel).await
    }
}

/// A helper that reads passwords out of `handed` and never writes: a password must not be seen in a folder, in the list of
/// processes or in an environment. git's own reader gives it only to the host that it is for.
fn helper(handed: &Handed) -> String {
    format!("credential.helper=!f() {{ test \"$1\" != get || exec git credential-store --file={} get; }}; f", handed.path())
}

/// A failure with git's last words.
pub(crate) fn failed(output: &Output) -> GitError {
    GitError::Failed { exit: output.exit, said: last_words(&output.stderr_text()) }
}
