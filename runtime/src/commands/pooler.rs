//! `codeteam pooler`: what PgBouncer needs to stand before the database that `DATABASE_URL` names, in transaction mode.
//!
//! PgBouncer reads files and knows no Secrets Manager. So a deployment runs this first, in a container of the same task, and hands the
//! files over on a volume of that task. Clients show the same name and password to PgBouncer as it shows to the server.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::Path;

use anyhow::{Context, bail};
use config::Settings;
use domain::Secret;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::cli::PoolerFiles;
use crate::exit::{Failure, Outcome};
use crate::screen;

/// What is true of every deployment. A client that finds no session for as long is told so, and asks again.
const ALWAYS: &str = "listen_addr = *
unix_socket_dir =
auth_type = scram-sha-256
pool_mode = transaction
max_client_conn = 1000
query_wait_timeout = 15
server_idle_timeout = 300
server_lifetime = 3600
log_connections = 0
log_disconnections = 0
";

/// Writes the files.
pub(crate) fn run(args: &PoolerFiles, settings: &Settings) -> Outcome {
    let Some(url) = &settings.database_url else {
        return Err(Failure::Environment(anyhow::anyhow!("DATABASE_URL is not set: it names the database, and whom the pooler is there")));
    };
    let server = Server::of(url, settings.environment.text("PGSSLROOTCERT"))?;
    let users = args.folder.join("userlist.txt");
    let text = server.settings(args, &users)?;
    write(&args.folder, &[("userlist.txt", &server.users()?), ("pgbouncer.ini", &text)], args.user)?;
    screen::progress(&format!("PgBouncer's files are in {}", args.folder.display()));
    Ok(())
}

/// Where the database is, and whom the pooler is there.
struct Server {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: Secret,
    /// As PostgreSQL and PgBouncer both call it.
    tls: String,
    authorities: Option<String>,
}

impl Server {
    fn of(url: &Secret, authorities: Option<&str>) -> anyhow::Result<Self> {
        // The parser's own error says what is wrong with the URL, which can hold a password.
        let Ok(url) = Url::parse(url.expose()) else { bail!("DATABASE_URL is no URL: expected postgres://user:password@host/database") };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).context("DATABASE_URL is no UTF-8");
        let parameter = |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        let host = url.host_str().filter(|host| !host.is_empty()).context("DATABASE_URL names no host: PgBouncer goes to one")?;
        let tls = parameter("sslmode").unwrap_or_else(|| "prefer".to_owned());
        if !["disable", "allow", "prefer", "require", "verify-ca", "verify-full"].contains(&tls.as_str()) {
            bail!("sslmode in DATABASE_URL is {tls:?}: expected disable, prefer, require, verify-ca or verify-full");
        }
        let authorities = parameter("sslrootcert").or_else(|| authorities.map(str::to_owned));
        if tls.starts_with("verify") && authorities.is_none() {
            bail!("sslmode in DATABASE_URL is {tls}, and nothing says by whose authority: add sslrootcert to it, or set PGSSLROOTCERT");
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(5432),
            database: decoded(url.path().trim_start_matches('/'))?,
            user: decoded(url.username())?,
            password: Secret::new(decoded(url.password().unwrap_or_default())?),
            tls,
            authorities,
        })
    }

    /// `pgbouncer.ini`, with `users` as the list of users.
    fn settings(&self, args: &PoolerFiles, users: &Path) -> anyhow::Result<String> {
        // Only this one, and not `*`: each further name would have a pool of its own. It stands there as it is.
        let (host, name) = (quoted(&self.host, '\'')?, &self.database);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            bail!("DATABASE_URL names the database {name:?}: PgBouncer takes letters, digits and _ alone");
        }
        let (port, size, listen) = (self.port, args.pool_size, args.port);
        let mut text = format!("[databases]\n{name} = host={host} port={port}\n\n[pgbouncer]\n{ALWAYS}");
        text +=
            &format!("listen_port = {listen}\nauth_file = {}\ndefault_pool_size = {size}\nmax_db_connections = {size}\n", users.display());
        text += &format!("server_tls_sslmode = {}\n", self.tls);
        if let Some(authorities) = &self.authorities {
            text += &format!("server_tls_ca_file = {authorities}\n");
        }
        Ok(text)
    }

    /// `userlist.txt`: PgBouncer has to know the password itself, to show it to the server.
    fn users(&self) -> anyhow::Result<String> {
        Ok(format!("{} {}\n", quoted(&self.user, '"')?, quoted(self.password.expose(), '"')?))
    }
}

/// `text` as PgBouncer's files want it, where a mark within is doubled.
fn quoted(text: &str, mark: char) -> anyhow::Result<String> {
    if text.is_empty() || text.contains(['\n', '\r', '\0']) {
        bail!("host, user or password in DATABASE_URL is empty, or has a line break, which PgBouncer's files cannot hold");
    }
    Ok(format!("{mark}{}{mark}", text.replace(mark, &format!("{mark}{mark}"))))
}

/// Writes `files` into `folder`, so that `user` alone can read them.
fn write(folder: &Path, files: &[(&str, &str)], user: Option<u32>) -> anyhow::Result<()> {
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).create(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for (name, text) in files {
        let path = folder.join(name);
        let written = || {
            if path.exists() {
                fs::remove_file(&path)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path)?;
            file.write_all(text.as_bytes())?;
            chown(&path, user, user)
        };
        written().with_context(|| format!("cannot write {}", path.display()))?;
    }
    chown(folder, user, user).with_context(|| format!("cannot give {} to user {}", folder.display(), user.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn args() -> PoolerFiles {
        PoolerFiles { folder: "/pooler".into(), pool_size: 25, port: 5432, user: None }
    }

    fn server(url: &str) -> anyhow::Result<Server> {
        Server::of(&Secret::new(url.to_owned()), Some("/etc/codeteam/rds.pem"))
    }

    #[test]
    fn the_files_lead_to_the_server_with_checked_tls_and_no_more_sessions_than_asked_for() {
        let server = server(&format!("postgres://app:{}@db.example:5433/team?sslmode=verify-full", "p%22%40ss")).unwrap();
        let text = server.settings(&args(), Path::new("/pooler/userlist.txt")).unwrap();
        for line in [
            "team = host='db.example' port=5433",
            "listen_port = 5432",
            "auth_file = /pooler/userlist.txt",
            "pool_mode = transaction",
            "default_pool_size = 25",
            "max_db_connections = 25",
            "server_tls_sslmode = verify-full",
            "server_tls_ca_file = /etc/codeteam/rds.pem",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("p\"@ss"), "a password belongs into the list of users");
        assert_eq!(server.users().unwrap(), "\"app\" \"p\"\"@ss\"\n");
    }

    #[test]
    fn what_cannot_work_is_said_without_the_password() {
        let refused = |url: &str| server(url).map(drop).unwrap_err().to_string();
        assert!(refused("not a url hunter2").starts_with("DATABASE_URL is no URL"));
        assert!(refused("postgres:///team?host=/run/db").starts_with("DATABASE_URL names no host"));
        assert_eq!(
            refused("postgres://app:hunter2@db/team?sslmode=maybe"),
            r#"sslmode in DATABASE_URL is "maybe": expected disable, prefer, require, verify-ca or verify-full"#
        );
        let unverified = Server::of(&Secret::new("postgres://app:hunter2@db/team?sslmode=verify-full".to_owned()), None);
        let error = unverified.map(drop).unwrap_err().to_string();
        assert!(error.contains("PGSSLROOTCERT") && !error.contains("hunter2"), "{error}");
        let named = server("postgres://app:hunter2@db/a-team").unwrap().settings(&args(), Path::new("/users")).unwrap_err().to_string();
        assert_eq!(named, r#"DATABASE_URL names the database "a-team": PgBouncer takes letters, digits and _ alone"#);
        let broken = server(&format!("postgres://app:{}@db/team", "hunter2%0Aevil")).unwrap().users().unwrap_err().to_string();
        assert!(broken.contains("line break") && !broken.contains("hunter2"), "{broken}");
    }

    #[test]
    fn the_files_are_their_readers_alone_and_are_written_anew() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("settings");
        write(&folder, &[("userlist.txt", "old")], None).unwrap();
        write(&folder, &[("userlist.txt", "new")], None).unwrap();
        assert_eq!(fs::read_to_string(folder.join("userlist.txt")).unwrap(), "new");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("userlist.txt"))), (0o700, 0o400));
    }
}
