//! `codeteam serve`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use config::{Services, Settings};
use domain::{Secret, SystemClock};
use rand::distr::{Alphanumeric, SampleString};
use redact::Redactor;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::api::{self, Api};
use crate::cli::Serve;
use crate::exit::Outcome;
use crate::invoke_api::{InvokeApi, Options};
use crate::server::Server;
use crate::sigv4::KeyPair;
use crate::telemetry::Telemetry;
use crate::{background, registry, sandbox, shutdown};

/// Serves until told to stop.
pub(crate) async fn run(args: Serve, settings: Settings) -> Outcome {
    let shutdown = shutdown::on_signal()?;
    let keys = if args.invoke_api { Some(invoke_keys(&settings)?) } else { None };
    let mut telemetry = Telemetry::start(&settings, args.metrics_listen).await?;
    sandbox::check(&settings, args.sandbox_min)?;
    let services = Services::new(settings);
    let registry = registry::all(&services).await?;
    let open = |keys| {
        let options = Options { keys: Some(keys), ..Options::default() };
        InvokeApi::new(Arc::new(registry.clone()), Arc::new(SystemClock), options, shutdown.clone())
    };
    let invoke = keys.map(open);
    let db = services.db().await?;
    let options = api::Options { forwarded_for: services.settings.forwarded_for, ..api::Options::default() };
    let api = Api::new(&services, db.clone(), registry.clone(), options, shutdown.clone())?;
    let server = Server::bind(args.listen, registry.clone(), db.clone(), invoke).await?.with_api(&api);
    let mut tasks = JoinSet::new();
    background::spawn_service(&mut tasks, &services, &shutdown).await?;
    telemetry.spawn(&mut tasks, db, services.owner(), &shutdown);
    let address = server.address()?;
    let door = if args.invoke_api { "open to signed callers" } else { "closed" };
    tracing::info!(%address, "listening on http://{address}; webhooks at /webhooks/github, REST API at /api/v1, the Invoke API is {door}");
    server.run(shutdown).await;
    tasks.join_all().await;
    telemetry.finish().await;
    Ok(())
}

/// The key pair that opens the Invoke API, as it lies on disk.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    access_key: String,
    secret_key: String,
}

/// The key pair that the environment names, else the one in the state directory, made at the first start.
fn invoke_keys(settings: &Settings) -> anyhow::Result<KeyPair> {
    if let Some((access_key, secret)) = &settings.invoke_key {
        return Ok(KeyPair { access_key: access_key.clone(), secret: secret.clone() });
    }
    std::fs::create_dir_all(&settings.state_dir).with_context(|| format!("cannot create {}", settings.state_dir.display()))?;
    let path = settings.state_dir.join("invoke-key.json");
    let file = match std::fs::read(&path) {
        Ok(file) => serde_json::from_slice(&file).with_context(|| format!("{} is damaged: remove it", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => generate(&path)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    tracing::info!("the Invoke API's key pair is in {}", path.display());
    let KeyFile { access_key, secret_key } = file;
    let secret = Secret::new(secret_key);
    Redactor::of_process().register("CODETEAM_INVOKE_SECRET_KEY", &secret);
    Ok(KeyPair { access_key, secret })
}

fn generate(path: &Path) -> anyhow::Result<KeyFile> {
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    let keys = KeyFile { access_key: format!("CODETEAM{}", random(12).to_uppercase()), secret_key: random(40) };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(&serde_json::to_vec(&keys)?)?;
    Ok(keys)
}
