//! The real PgBouncer, in transaction mode, before a test's server.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Secret;
use process::{Command, Service};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use crate::TestDb;

/// Where Debian and others put it.
const PROGRAMS: &[&str] = &["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
const PORT: u16 = 6432;

/// A PgBouncer with two sessions for everybody, so that clients meet each other's. It goes with this.
pub struct Pooler {
    folder: TempDir,
    _service: Service,
}

impl Pooler {
    /// Before the server of `test`; `None` where PgBouncer is not installed, which is said.
    ///
    /// # Panics
    /// When it is and does not start.
    pub async fn start(test: &TestDb) -> Option<Self> {
        let Some(program) = PROGRAMS.iter().map(PathBuf::from).find(|program| program.exists()) else {
            eprintln!("not tested: PgBouncer is not installed (on Debian and Ubuntu: sudo apt-get install pgbouncer)");
            return None;
        };
        let server: PgConnectOptions = test.url.expose().parse().expect("a URL of PostgreSQL");
        let host = server.get_socket().map_or_else(|| server.get_host().to_owned(), |socket| socket.display().to_string());
        let folder = tempfile::Builder::new().prefix("codeteam-pooler-").tempdir().expect("a folder can be made");
        let user = user_of(Path::new(&host), folder.path());
        let (path, configuration) = (folder.path(), folder.path().join("pgbouncer.ini"));
        let text = format!(
            "[databases]\n* = host={host} port={} user={}\n[pgbouncer]\n{user}listen_port = {PORT}\nunix_socket_dir = {}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n",
            server.get_port(),
            server.get_username(),
            path.display(),
        );
        std::fs::write(&configuration, text).expect("a file can be written");
        let log = path.join("log");
        let command = Command::new(program).arg(&configuration).cwd("/").path("/usr/sbin:/usr/bin:/bin");
        let mut service = Service::start(&command, File::create(&log).expect("a file can be made")).expect("pgbouncer starts");
        let socket = path.join(format!(".s.PGSQL.{PORT}"));
        while !socket.exists() {
            let ended = service.ended().expect("it is our child");
            assert!(ended.is_none(), "pgbouncer ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(Self { folder, _service: service })
    }

    /// The way to the database at `url` through it.
    ///
    /// # Panics
    /// When that is no URL.
    pub fn url(&self, url: &Secret) -> Secret {
        let options: PgConnectOptions = url.expose().parse().expect("a URL of PostgreSQL");
        Secret::new(options.socket(self.folder.path()).port(PORT).to_url_lossy().to_string())
    }
}

/// It refuses to be root: then it becomes the server's user, who alone may reach the server's socket.
fn user_of(socket: &Path, folder: &Path) -> String {
    let (Ok(socket), Ok(own)) = (socket.metadata(), folder.metadata()) else { return String::new() };
    if own.uid() != 0 || socket.uid() == 0 {
        return String::new();
    }
    chown(folder, Some(socket.uid()), Some(socket.gid())).expect("root gives folders away");
    let users = std::fs::read_to_string("/etc/passwd").expect("users are listed");
    let uid = socket.uid().to_string();
    let name = users.lines().find(|line| line.split(':').nth(2) == Some(&uid)).and_then(|line| line.split(':').next());
    format!("user = {}\n", name.expect("the server's user has a name"))
}
