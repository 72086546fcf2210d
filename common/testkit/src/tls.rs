//! A PostgreSQL behind TLS, with a certificate of an authority of its own, as RDS is.
//!
//! TLS ends at a door before a private server, as at a pooler, since not every PostgreSQL is built with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Secret;
use process::PrivatePostgres;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::database;

/// What a client asks first: for TLS
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>, `SSLRequest`).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A server whose role `app` has a password, behind a certificate for `localhost` and no other name.
pub struct TlsPostgres {
    server: PrivatePostgres,
    folder: TempDir,
    port: u16,
    door: JoinHandle<()>,
}

impl TlsPostgres {
    /// Starts one; the role's password is `password`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(password: &str) -> Self {
        let server =
            PrivatePostgres::start(database::private_server(), &mut |line| eprintln!("{line}")).await.expect("tests need a PostgreSQL");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let acceptor = certified(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let socket = server.directory().join(".s.PGSQL.5432");
        let door = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, acceptor.clone(), socket.clone()));
            }
        });
        let started = Self { server, folder, port, door };
        started.execute(&format!("create role app login superuser password '{password}'")).await;
        // Its owner alone is trusted: the socket lies in a folder that only this user can open.
        started.execute("do $$ begin execute format('copy (values (%L), (%L)) to %L', 'local all ' || current_user || ' trust', 'local all all scram-sha-256', current_setting('hba_file')); end $$").await;
        started.execute("select pg_reload_conf()").await;
        started
    }

    /// The URL for `user` at `host`, whose certificate is asked for and checked against the file `authority`.
    pub fn url(&self, host: &str, password: &str, authority: &Path) -> Secret {
        let port = self.port;
        Secret::new(format!("postgres://app:{password}@{host}:{port}/codeteam?sslmode=verify-full&sslrootcert={}", authority.display()))
    }

    /// The URL of `database` for another role, who shows this password.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> Secret {
        let (port, authority) = (self.port, self.authority());
        Secret::new(format!(
            "postgres://{role}:{password}@localhost:{port}/{database}?sslmode=verify-full&sslrootcert={}",
            authority.display()
        ))
    }

    /// The URL of `database` for a superuser, who is not asked for a password.
    pub fn owner_url(&self, database: &str) -> Secret {
        Secret::new(self.server.url_of(database))
    }

    /// All that the server has written down.
    ///
    /// # Panics
    /// When its log cannot be read.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.server.directory().join("server.log")).expect("a server has a log")
    }

    /// The certificate of the authority that has signed this server's.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The certificate of another one.
    pub fn other_authority(&self) -> PathBuf {
        self.folder.path().join("other.pem")
    }

    /// Gives the role another password, and ends its sessions.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn change_password(&self, password: &str) {
        self.execute(&format!("alter role app password '{password}'")).await;
        self.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'app'").await;
    }

    /// The one value that a query in `codeteam` returns to a superuser, as text; empty for null.
    ///
    /// # Panics
    /// When it returns no row.
    pub async fn value(&self, query: &str) -> String {
        let mut connection = PgConnection::connect(&self.server.url()).await.expect("the server answers");
        let value: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!("select ({query})::text")))
            .fetch_one(&mut connection)
            .await
            .expect("the query is a test's own");
        connection.close().await.expect("the session ends");
        value.unwrap_or_default()
    }

    /// Runs a statement as a superuser.
    ///
    /// # Panics
    /// When the database refuses it.
    pub async fn execute(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.server.url()).await.expect("the server answers");
        connection.execute(AssertSqlSafe(statement.to_owned())).await.expect("the statement is a test's own");
    }
}

impl Drop for TlsPostgres {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// Makes two authorities, writes their certificates down, and a server's certificate for `localhost` by the first.
fn certified(folder: &Path) -> TlsAcceptor {
    let authority = |name: &str| {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no name is no wrong name");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {name}"));
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().expect("a key can be made")).expect("it signs itself");
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(issuer.der()));
        std::fs::write(folder.join(format!("{name}.pem")), pem).expect("a file can be written");
        issuer
    };
    let (issuer, _) = (authority("authority"), authority("other"));
    let key = KeyPair::generate().expect("a key can be made");
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("localhost is a name");
    let certificate = parameters.signed_by(&key, &issuer).expect("the authority signs");
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("the key is the certificate's");
    TlsAcceptor::from(Arc::new(config))
}

/// One client: asks for TLS, gets it, and speaks with the server from then on. Whoever goes away has had its reasons.
async fn pass(mut client: TcpStream, acceptor: TlsAcceptor, socket: PathBuf) {
    let mut first = [0; SSL_REQUEST.len()];
    if client.read_exact(&mut first).await.is_err() || first != SSL_REQUEST || client.write_all(b"S").await.is_err() {
        return;
    }
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    copy_bidirectional(&mut client, &mut server).await.ok();
}
