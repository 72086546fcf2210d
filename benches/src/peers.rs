//! Those who carry a call to the echo handler: we, in process and over HTTP, and the two local Lambdas.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use config::Settings;
use dispatch::{Ctx, Registry};
use process::{Command, Service};
use serde_json::Value;
use testkit::TestDb;
use tokio::time::{Instant, sleep};

use crate::echo::{self, Echo};
use crate::http::Connection;

/// How long a server may take until it answers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(20);
const CALL_TIMEOUT: Duration = Duration::from_secs(900);

/// Carries calls to the echo handler.
pub(crate) struct Peer {
    /// For people.
    pub(crate) name: &'static str,
    way: Way,
    /// Its processes; they end with it.
    _services: Vec<Service>,
}

enum Way {
    InProcess(Registry),
    Http { connection: Connection, path: String },
}

impl Peer {
    /// Makes one call; how long it took. The answer is checked.
    pub(crate) async fn call(&mut self, event: &Value, bytes: &[u8]) -> Result<Duration> {
        let started = Instant::now();
        match &mut self.way {
            Way::InProcess(registry) => {
                let answer = registry.invoke("echo", Ctx::with_timeout(CALL_TIMEOUT), event.clone()).await?;
                let took = started.elapsed();
                ensure!(answer == *event, "the echo in process answered {answer}");
                Ok(took)
            }
            Way::Http { connection, path } => {
                let answer = connection.send("POST", path, bytes).await?;
                let took = started.elapsed();
                let (status, text) = (answer.status, String::from_utf8_lossy(&answer.body));
                ensure!(status == 200 && serde_json::from_slice::<Value>(&answer.body).ok().as_ref() == Some(event), "{status}: {text}");
                Ok(took)
            }
        }
    }

    /// `Registry::invoke`.
    pub(crate) fn in_process() -> Self {
        Self { name: "ours, in process", way: Way::InProcess(Registry::new().with(Echo)), _services: Vec::new() }
    }

    /// Our Invoke API in a process of its own.
    pub(crate) async fn over_http(settings: &Settings, folder: &Path, db: &TestDb) -> Result<Self> {
        let log = folder.join("ours.log");
        let command = itself(settings)?.arg(echo::SERVER).env("DATABASE_URL", db.url.expose());
        let mut service = start(&command, &log)?;
        let address = said(&mut service, &log, echo::LISTENS).await?;
        let address = address.parse().with_context(|| format!("our server's address {address:?}"))?;
        Self::reached("ours, over HTTP", address, "echo", vec![service]).await
    }

    /// A function of ours under `cargo lambda watch`; `None` when that is not installed.
    ///
    /// It is told to start no function, so that none is compiled while we measure; ours is started as it
    /// would start it. It serves names of binaries in the workspace only, so the function is called like this one.
    pub(crate) async fn cargo_lambda(settings: &Settings, folder: &Path) -> Result<Option<Self>> {
        let Some(program) = find(settings, "cargo-lambda") else { return Ok(None) };
        let (address, name) = (free_address()?, env!("CARGO_BIN_NAME"));
        let port = address.port().to_string();
        let watch = ["lambda", "watch", "--only-lambda-apis", "--ignore-changes", "--invoke-address", "127.0.0.1", "--invoke-port", &port];
        let rust = settings.environment.only(&["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"]);
        let command = Command::new(program).args(watch).path(&settings.path).envs(rust).cwd(env!("CARGO_MANIFEST_DIR"));
        let mut server = start(&command, &folder.join("cargo-lambda.log"))?;
        listening(&mut server, address, &folder.join("cargo-lambda.log")).await?;
        let function = itself(settings)?.arg(echo::FUNCTION).envs([
            ("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt/{name}").as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096"),
            ("CODETEAM_USER", "root"),
        ]);
        let function = start(&function, &folder.join("cargo-lambda-function.log"))?;
        Self::reached("cargo lambda watch", address, name, vec![function, server]).await.map(Some)
    }

    /// The same function under the AWS Lambda runtime interface emulator; `None` when that is not installed.
    pub(crate) async fn emulator(settings: &Settings, folder: &Path) -> Result<Option<Self>> {
        let Some(program) = find(settings, "aws-lambda-rie") else { return Ok(None) };
        let (address, runtime_api) = (free_address()?, free_address()?);
        let command = Command::new(program)
            .args(["--runtime-interface-emulator-address", &address.to_string(), "--runtime-api-address", &runtime_api.to_string()])
            .args([std::env::current_exe()?.as_os_str(), echo::FUNCTION.as_ref()])
            .env("CODETEAM_USER", "root")
            .path(&settings.path);
        let log = folder.join("emulator.log");
        let mut server = start(&command, &log)?;
        listening(&mut server, address, &log).await?;
        Self::reached("AWS emulator (RIE)", address, "function", vec![server]).await.map(Some)
    }

    async fn reached(name: &'static str, address: SocketAddr, function: &str, services: Vec<Service>) -> Result<Self> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        Ok(Self { name, way: Way::Http { connection: Connection::open(address).await?, path }, _services: services })
    }
}

/// The first program of this name on the path.
fn find(settings: &Settings, program: &str) -> Option<PathBuf> {
    std::env::split_paths(&settings.path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn itself(settings: &Settings) -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?).path(&settings.path))
}

/// Starts a server whose words go to `log`.
pub(crate) fn start(command: &Command, log: &Path) -> Result<Service> {
    let file = std::fs::File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    Ok(Service::start(command, file)?)
}

/// Waits until a line of `log` holds `mark`, and returns what stands behind it.
pub(crate) async fn said(service: &mut Service, log: &Path, mark: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(log)?;
        // A line that is still being written has no end.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        if let Some((_, rest)) = whole.lines().find_map(|line| line.split_once(mark)) {
            return Ok(rest.to_owned());
        }
        alive(service, deadline, &text)?;
        sleep(GLANCE).await;
    }
}

/// Waits until somebody accepts connections on `address`.
async fn listening(service: &mut Service, address: SocketAddr, log: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Connection::open(address).await.is_err() {
        alive(service, deadline, &std::fs::read_to_string(log)?)?;
        sleep(GLANCE).await;
    }
    Ok(())
}

fn alive(service: &mut Service, deadline: Instant, log: &str) -> Result<()> {
    if let Some(exit) = service.ended()? {
        bail!("a server ended before it was ready ({exit}): {log}");
    }
    ensure!(Instant::now() < deadline, "a server was not ready within {} s: {log}", PATIENCE.as_secs());
    Ok(())
}

/// An address that is free now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
