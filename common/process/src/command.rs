//! What to run, and within which limits.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Handed, Limits, Sandbox};

/// A program with its arguments, directory, environment, input and limits.
///
/// The environment is built: the child sees what [`env`](Self::env), [`envs`](Self::envs) and
/// [`path`](Self::path) give it and nothing else.
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) output_cap: usize,
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) handed: Vec<Handed>,
}

impl Command {
    /// The time a command has when nobody says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
    /// The bytes kept of each output stream when nobody says otherwise.
    pub const DEFAULT_OUTPUT_CAP: usize = 1 << 20;

    /// `program` is a path when it contains a slash, else a name that is looked up in [`path`](Self::path).
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: None,
            env: BTreeMap::new(),
            stdin: Vec::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            limits: Limits::default(),
            output_cap: Self::DEFAULT_OUTPUT_CAP,
            user: None,
            sandbox: None,
            handed: Vec::new(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Lets it, and what it starts, open `handed`.
    pub fn hand(mut self, handed: Handed) -> Self {
        self.handed.push(handed);
        self
    }

    /// Runs it in `directory` instead of our own.
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// Sets one environment variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets environment variables.
    pub fn envs(mut self, variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Self {
        self.env.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Sets `PATH`: where the program is looked up, and where it looks up others. Absolute folders only
    /// count, separated by colons.
    pub fn path(self, path: impl Into<OsString>) -> Self {
        self.env("PATH", path)
    }

    /// Gives it these bytes on its standard input, then end of file. A child that does not read them is
    /// not disturbed.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Kills it after this time ([`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT) unless told).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Binds it to these limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps at most this many bytes of each output stream: the first half from its head, the second from
    /// its tail ([`DEFAULT_OUTPUT_CAP`](Self::DEFAULT_OUTPUT_CAP) unless told).
    pub fn output_cap(mut self, bytes: usize) -> Self {
        self.output_cap = bytes;
        self
    }

    /// Runs it as this user and group, without supplementary groups. Only root may ask for another user.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Runs it behind these walls, and as the user of their slot where they have one. When it ends, everything
    /// that it started is killed, whatever group or session it went to. For [`run`](crate::run) alone.
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    pub(crate) fn name(&self) -> String {
        crate::error::shown(&self.program)
    }

    pub(crate) fn search_path(&self) -> &OsStr {
        self.env.get(OsStr::new("PATH")).map_or(OsStr::new(""), OsString::as_os_str)
    }
}

/// The first executable file called `program` in a search path; relative folders are passed over, since
/// what they mean depends on who asks.
pub(crate) fn find(program: &Path, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
