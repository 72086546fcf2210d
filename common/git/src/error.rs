//! Why git could not do it, by what the caller should do.

use std::io;
use std::path::{Path, PathBuf};

use process::{Exit, ProcessError};

use crate::{CommitId, Limit};

/// Why git could not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no such repository or branch: the request is wrong.
    #[error("no {what} in {remote}")]
    NotFound {
        /// `repository` or `branch "main"`.
        what: String,
        /// Where.
        remote: String,
    },
    /// The repository has no commit to start from.
    #[error("{remote} has no commits; push a first one")]
    Empty {
        /// Which.
        remote: String,
    },
    /// The remote does not let us; asking again does not help.
    #[error("{remote} refuses access: {said}")]
    Denied {
        /// Which.
        remote: String,
        /// git's last lines.
        said: String,
    },
    /// The remote cannot be reached now; try again later.
    #[error("cannot reach {remote}: {said}")]
    Unreachable {
        /// Which.
        remote: String,
        /// git's last lines.
        said: String,
    },
    /// The branch exists at another commit, which is somebody else's work.
    #[error("branch \"{branch}\" in {remote} is already at {at}")]
    Conflict {
        /// Which branch.
        branch: String,
        /// In which repository.
        remote: String,
        /// Where it is.
        at: CommitId,
    },
    /// The remote's own rules refuse the push: a protected branch, a size limit.
    #[error("{remote} refuses the push to \"{branch}\": {said}")]
    Rejected {
        /// Which branch.
        branch: String,
        /// In which repository.
        remote: String,
        /// What it said.
        said: String,
    },
    /// A value that git would refuse or misread.
    #[error("\"{value}\" is no {what}: {rule}")]
    Invalid {
        /// What it should be.
        what: &'static str,
        /// What it is.
        value: String,
        /// What is asked of it.
        rule: &'static str,
    },
    /// Larger than this worker allows; its operator can.
    #[error("{what} has more than {limit}")]
    OverLimit {
        /// The repository, a path, or `the checkpoint`.
        what: String,
        /// Which limit.
        limit: Limit,
    },
    /// More than the caller is ready to take.
    #[error("{what} has more than {limit_bytes} bytes")]
    TooLarge {
        /// A path, or `checkpoint`.
        what: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The caller cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// git is not installed.
    #[error(transparent)]
    Missing(ProcessError),
    /// git could not be run.
    #[error(transparent)]
    Process(ProcessError),
    /// A file or folder of ours could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// git failed in a way that has no name here.
    #[error("git failed ({exit}): {said}")]
    Failed {
        /// How it ended.
        exit: Exit,
        /// Its last lines.
        said: String,
    },
}

impl From<ProcessError> for GitError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::NotFound { .. } => Self::Missing(error),
            error => Self::Process(error),
        }
    }
}

impl GitError {
    /// For `map_err`: what was to be done with which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What a failure that talks to a remote means. git tells such failures apart only by their text, which
    /// is stable under `LC_ALL=C`.
    pub(crate) fn about_remote(self, remote: &str) -> Self {
        let Self::Failed { exit, said, .. } = &self else { return self };
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
        let (remote, said) = (remote.to_owned(), said.clone());
        if says(DENIED) {
            Self::Denied { remote, said }
        } else if says(NOT_FOUND) {
            Self::NotFound { what: "repository".to_owned(), remote }
        } else if *exit == Exit::TimedOut || says(UNREACHABLE) {
            Self::Unreachable { remote, said }
        } else {
            self
        }
    }
}

const DENIED: &[&str] = &[
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Permission denied",
    "Permission to ",
    "returned error: 401",
    "returned error: 403",
    "Host key verification failed",
];

const NOT_FOUND: &[&str] =
    &["does not appear to be a git repository", "ot found", "does not exist", "returned error: 404", "not a git repository"];

const UNREACHABLE: &[&str] = &[
    "Could not resolve host",
    "Failed to connect",
    "Couldn't connect",
    "Could not connect",
    "Connection ",
    "timed out",
    "Operation too slow",
    "unable to access",
    "early EOF",
    "RPC failed",
    "unexpected disconnect",
    "hung up unexpectedly",
    "Temporary failure",
    "Network is unreachable",
];

/// What a failing git said, on one line: its last five errors, else simply its last five lines. Its advice
/// would hide the cause.
pub(crate) fn last_words(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_error = |line: &&str| ["fatal:", "error:", "remote:", "!"].iter().any(|start| line.starts_with(start));
    let errors: Vec<&str> = lines.iter().copied().filter(is_error).collect();
    let lines = if errors.is_empty() { lines } else { errors };
    lines[lines.len().saturating_sub(5)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(said: &str) -> GitError {
        GitError::Failed { exit: Exit::Code(128), said: said.into() }.about_remote("acme/shop")
    }

    #[test]
    fn what_git_says_about_a_remote_becomes_what_to_do() {
        assert!(matches!(meaning("fatal: repository 'http://host/x.git/' not found"), GitError::NotFound { .. }));
        assert!(matches!(meaning("fatal: '/x' does not appear to be a git repository"), GitError::NotFound { .. }));
        assert!(matches!(meaning("fatal: unable to access 'u': Could not resolve host: host"), GitError::Unreachable { .. }));
        assert!(matches!(meaning("fatal: unable to access 'u': The requested URL returned error: 403"), GitError::Denied { .. }));
        assert!(matches!(meaning("fatal: unable to access 'u': The requested URL returned error: 503"), GitError::Unreachable { .. }));
        assert!(matches!(meaning("fatal: could not read Username for 'u': terminal prompts disabled"), GitError::Denied { .. }));
        assert!(matches!(meaning("fatal: bad object"), GitError::Failed { .. }));
    }

    #[test]
    fn the_cause_is_kept_and_the_advice_is_not() {
        let said = "From /x\nerror: cannot lock ref 'a'\n\nAnother git process seems to be running\nremove the file\n";
        assert_eq!(last_words(said), "error: cannot lock ref 'a'");
        assert_eq!(last_words("ssh: no route\n\nplease check\n"), "ssh: no route / please check");
    }
}
