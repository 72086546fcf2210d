//! AWS on loopback: ministack and moto, as `make tools` installs them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::{Command, Service, Signal};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{root, skipped, tools};

/// What any key is good for: the emulators ask nobody who they are.
pub const KEY: [(&str, &str); 3] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")];

/// The longest that an emulator may take to be ready; the first start on a machine translates its Python.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which emulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Whole deployments.
    Ministack,
    /// Single APIs that the other lacks.
    Moto,
}

/// A running emulator, which nobody but this machine can reach. Dropped, it is killed; what it kept is gone.
pub struct Emulator {
    /// Where it listens: `127.0.0.1:port`.
    pub address: String,
    /// What it says.
    log: PathBuf,
    service: Service,
    _folder: TempDir,
}

/// A program of the folder that `make tools` installs the emulators into; `None` where it could not, which is said: `what` is left out.
pub fn program(name: &str, what: &str) -> Option<PathBuf> {
    let folder = root().join(".tools/aws-emulators");
    if folder.join("installed-from").exists() {
        return Some(folder.join("bin").join(name));
    }
    skipped(what, "ministack, moto and SAM are not installed: `make tools` brings them, where pip can install packages");
    None
}

/// `program` in an environment in which every AWS library and tool speaks to the emulator at `address` and to nobody else.
pub fn command(program: &Path, address: &str, home: &Path) -> Command {
    let command = tools::command(program.to_str().expect("the path is text"));
    let command = command.env("AWS_ENDPOINT_URL", format!("http://{address}")).env("AWS_DEFAULT_REGION", "us-east-1").env("HOME", home);
    command.envs(KEY).env("AWS_EC2_METADATA_DISABLED", "true").env("SAM_CLI_TELEMETRY", "0")
}

impl Emulator {
    /// Starts one; `None` where it is not installed, which is said: `what` is left out.
    ///
    /// # Panics
    /// When it does not answer within a minute.
    pub async fn start(kind: Kind, what: &str) -> Option<Self> {
        let name = match kind {
            Kind::Ministack => "ministack",
            Kind::Moto => "moto_server",
        };
        Some(Self::run(kind, name, &program(name, what)?, None).await)
    }

    /// A ministack that keeps what it knows in `state` when it is stopped, and begins with what is there; `None` where it is not
    /// installed.
    ///
    /// # Panics
    /// When it does not answer within a minute.
    pub async fn keeping(state: &Path) -> Option<Self> {
        let program = program("ministack", "what an emulator keeps")?;
        Some(Self::run(Kind::Ministack, "ministack", &program, Some(state)).await)
    }

    /// Ends it; what it kept is written down by then.
    ///
    /// # Panics
    /// When the system lost it.
    pub async fn stop(self) {
        let patience = [(Signal::TERM, Duration::from_secs(20))];
        self.service.stop(&patience).await.expect("it is our child");
    }

    async fn run(kind: Kind, name: &str, program: &Path, state: Option<&Path>) -> Self {
        // Somebody else may take the port between our look and the emulator's start: then it ends at once.
        for _ in 0..5 {
            if let Some(started) = Self::attempt(kind, program, state).await {
                return started;
            }
        }
        panic!("{name} cannot be started on any of five free ports");
    }

    async fn attempt(kind: Kind, program: &Path, state: Option<&Path>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("loopback has free ports").port();
        let folder = tempfile::Builder::new().prefix("e2e-aws-").tempdir().expect("a temporary folder can be made");
        let command = tools::command(program.to_str().expect("the path is text")).env("TMPDIR", folder.path()).env("HOME", folder.path());
        let (command, path) = match kind {
            Kind::Ministack => {
                let command = command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
                // Its other listeners would be open to everybody, and containers are none of a test's business.
                let command = command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0").env("DOCKER_HOST", "unix:///nonexistent");
                let command = state.iter().fold(command, |command, state| command.env("PERSIST_STATE", "1").env("STATE_DIR", state));
                (command, "/_ministack/health")
            }
            Kind::Moto => (command.args(["-H", "127.0.0.1", "-p", &port.to_string()]), "/moto-api/data.json"),
        };
        let log = folder.path().join("log");
        let mut service = Service::start(&command, std::fs::File::create(&log).expect("a file can be made")).expect("an emulator starts");
        let address = format!("127.0.0.1:{port}");
        let until = Instant::now() + PATIENCE;
        while !answers(&address, path).await {
            if service.ended().expect("it is our child").is_some() {
                return None;
            }
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < until, "{kind:?} does not answer at {address}:\n{}", said());
            sleep(Duration::from_millis(50)).await;
        }
        Some(Self { address, log, service, _folder: folder })
    }

    /// What it has said, for a test that fails.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn answers(address: &str, path: &str) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return false };
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let exchange = async { (stream.write_all(request.as_bytes()).await, stream.read_to_end(&mut answer).await) };
    let done = tokio::time::timeout(Duration::from_secs(10), exchange).await;
    matches!(done, Ok((Ok(()), Ok(_)))) && answer.starts_with(b"HTTP/1.1 200")
}
