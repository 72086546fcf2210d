//! Makes a data directory, starts a server on it and waits until it answers.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::locate::Installation;
use super::owner::Owner;
use super::{NAME, PORT, PostgresError};
use crate::{Command, Exit, Output, Service, run};

/// The longest path of a unix socket, without its final zero byte (`sun_path` in unix(7) and unix(4)).
const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// How long a server may take to answer. After a crash it first replays its log.
const START: Duration = Duration::from_secs(120);

/// A new directory for the socket and the log, which only the server's owner and root may enter.
pub(crate) fn private_directory(parent: &Path, owner: &Owner) -> Result<TempDir, PostgresError> {
    let directory = new_directory(parent, "codeteam-pg-", owner)?;
    let socket = directory.path().join(format!(".s.PGSQL.{PORT}"));
    match socket.as_os_str().len() {
        0..=SOCKET_PATH_LIMIT => Ok(directory),
        _ => Err(PostgresError::PathTooLong { path: socket, limit: SOCKET_PATH_LIMIT }),
    }
}

fn new_directory(parent: &Path, prefix: &str, owner: &Owner) -> Result<TempDir, PostgresError> {
    owner.must_reach(parent)?;
    let directory = tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent);
    let directory = directory.map_err(PostgresError::io("create a folder in", parent))?;
    owner.give(directory.path())?;
    Ok(directory)
}

/// An empty folder in which to make the data directory, or `None` when `data` is one already.
///
/// It lies beside `data` and is moved there when it is whole, so an `initdb` that is killed leaves
/// nothing that looks like a database.
pub(crate) fn fresh_cluster(data: &Path, installation: &Installation, owner: &Owner) -> Result<Option<TempDir>, PostgresError> {
    let version = data.join("PG_VERSION");
    if !version.exists() {
        let parent = data.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(PostgresError::io("create", parent))?;
        return new_directory(parent, ".initdb-", owner).map(Some);
    }
    owner.must_reach(data)?;
    let found = fs::read_to_string(&version).map_err(PostgresError::io("read", &version))?;
    match found.trim() {
        found if found == installation.major() => Ok(None),
        found => {
            let (directory, version) = (data.to_owned(), installation.version.clone());
            Err(PostgresError::OtherMajor { directory, found: found.to_owned(), version })
        }
    }
}

/// Runs `initdb` in `fresh` and moves the result to `data`. What is to outlive the machine's next power
/// cut (`durable`) is written to the disk first.
pub(crate) async fn initialise(
    fresh: TempDir,
    data: &Path,
    installation: &Installation,
    owner: &Owner,
    durable: bool,
) -> Result<(), PostgresError> {
    let initdb = |locale: &str| {
        let command = installation.command("initdb").args(["-U", NAME, "-E", "UTF8", "--auth-local=trust", "--auth-host=reject"]);
        let command = if durable { command } else { command.arg("--no-sync") };
        owner.runs(command.arg(format!("--locale={locale}")).arg("-D").arg(fresh.path()))
    };
    let mut output = run(initdb("C.UTF-8"), &CancellationToken::new()).await?;
    if !output.exit.success() && output.stderr_text().contains("invalid locale name") {
        // Some systems lack C.UTF-8; C sorts the same way and differs in upper and lower case of non-ASCII letters.
        output = run(initdb("C"), &CancellationToken::new()).await?;
    }
    succeeded("initdb", output)?;
    let made = fresh.keep();
    fs::rename(&made, data).map_err(PostgresError::io("create", data))
}

/// Starts the server; it does not answer yet.
pub(crate) fn start(data: &Path, directory: &Path, installation: &Installation, owner: &Owner) -> Result<Service, PostgresError> {
    let path = directory.join("server.log");
    let log = File::options().create(true).append(true).open(&path).map_err(PostgresError::io("create", &path))?;
    // The list of directories is split at commas outside double quotes.
    let socket = format!("unix_socket_directories=\"{}\"", directory.display());
    let settings = ["listen_addresses=", &socket, &format!("port={PORT}"), "max_connections=200", "timezone=UTC", "log_timezone=UTC"]
        .map(str::to_owned);
    let command = installation.command("postgres").arg("-D").arg(data);
    let command = settings.into_iter().fold(command, |command, setting| command.arg("-c").arg(setting));
    Ok(Service::start(&owner.runs(command), log)?)
}

/// Waits until the server answers, and creates the database `codeteam` if it has none.
pub(crate) async fn ready(server: &mut Service, data: &Path, directory: &Path, installation: &Installation) -> Result<(), PostgresError> {
    let deadline = Instant::now() + START;
    let databases = loop {
        let question = format!("select count(*) from pg_database where datname = '{NAME}'");
        let output = run(psql(installation, directory, &question), &CancellationToken::new()).await?;
        if output.exit.success() {
            break output.stdout_text();
        }
        let exit = match server.ended()? {
            Some(exit) => exit,
            None if Instant::now() > deadline => Exit::TimedOut,
            None => {
                sleep(Duration::from_millis(25)).await;
                continue;
            }
        };
        return Err(last_words(exit, data, directory));
    };
    if databases.trim() == "0" {
        let output = run(psql(installation, directory, &format!("create database {NAME}")), &CancellationToken::new()).await?;
        succeeded("psql", output)?;
    }
    Ok(())
}

fn psql(installation: &Installation, directory: &Path, statement: &str) -> Command {
    let command =
        installation.command("psql").args(["-X", "-A", "-t", "-U", NAME, "-d", "postgres", "-p", &PORT.to_string(), "-c", statement]);
    command.arg("-h").arg(directory)
}

fn succeeded(program: &'static str, output: Output) -> Result<(), PostgresError> {
    match output.exit.success() {
        true => Ok(()),
        false => Err(PostgresError::failed(program, output.exit, &output.stderr_text())),
    }
}

fn last_words(exit: Exit, data: &Path, directory: &Path) -> PostgresError {
    let log = directory.join("server.log");
    match fs::read(&log).map(|log| String::from_utf8_lossy(&log).into_owned()) {
        Ok(log) if log.contains("lock file \"postmaster.pid\" already exists") => PostgresError::InUse { directory: data.to_owned() },
        Ok(log) => PostgresError::failed("postgres", exit, &log),
        Err(source) => PostgresError::Io { action: "read", path: log, source },
    }
}
