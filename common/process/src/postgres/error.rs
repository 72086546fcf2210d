//! Why there is no private PostgreSQL.

use std::io;
use std::path::{Path, PathBuf};

use crate::ProcessError;

/// Why a private PostgreSQL could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// There is none on this machine and none could be fetched.
    #[error("no PostgreSQL 15 or newer to be had ({}); install one with: {command}, or set DATABASE_URL to the one you have", reasons.join("; "))]
    Unavailable {
        /// What was tried, and why it did not help.
        reasons: Vec<String>,
        /// What to type.
        command: String,
    },
    /// PostgreSQL refuses to run as root, and there is nobody else to run it as.
    #[error(
        "started as root, but PostgreSQL needs another user and /etc/passwd has neither \"postgres\" nor \"nobody\"; run: useradd --system postgres"
    )]
    NoUser,
    /// The user that the server runs as may not enter a folder.
    #[error("user \"{user}\" cannot enter {}, which PostgreSQL needs; run: chmod o+x {}", folder.display(), folder.display())]
    Unreachable {
        /// The user.
        user: String,
        /// The first folder that it cannot enter.
        folder: PathBuf,
    },
    /// The path of the unix socket is longer than the kernel allows.
    #[error("the socket path {} has {} bytes and may have {limit}; choose a shorter directory", path.display(), path.as_os_str().len())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// The most bytes that a socket path may have.
        limit: usize,
    },
    /// The data directory was made by another major version.
    #[error("{} was made by PostgreSQL {found}, this is PostgreSQL {version}; name the bin directory of version {found}, or move the directory away", directory.display())]
    OtherMajor {
        /// The data directory.
        directory: PathBuf,
        /// The major version that made it.
        found: String,
        /// The version at hand.
        version: String,
    },
    /// Another server runs on the data directory.
    #[error("another PostgreSQL is running on {}; stop it first", directory.display())]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed ({exit}): {last_words}")]
    Failed {
        /// Which one.
        program: &'static str,
        /// How it ended.
        exit: String,
        /// The last lines that it wrote.
        last_words: String,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be run at all.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl PostgresError {
    /// For `map_err`: what was to be done with which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn failed(program: &'static str, exit: crate::Exit, words: &str) -> Self {
        Self::Failed { program, exit: exit.to_string(), last_words: last_lines(words) }
    }
}

/// The last five lines with something on them, on one line.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" / ")
}
