//! `codeteam up`.

use std::sync::Arc;
use std::time::Duration;

use config::{Services, Settings};
use domain::{Mode, SystemClock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::local::{Database, check_model};
use crate::api::{self, Api};
use crate::children::{self, Children};
use crate::cli::Up;
use crate::exit::Outcome;
use crate::invoke_api::{InvokeApi, Options};
use crate::server::Server;
use crate::state::{UpFile, UpState};
use crate::{background, registry, sandbox, screen, shutdown};

/// Database and server in this process, workers as its children when there is work, until told to stop. The data stays in the
/// state directory.
pub(crate) async fn run(args: Up, mut settings: Settings) -> Outcome {
    let shutdown = shutdown::on_signal()?;
    sandbox::check(&settings, args.sandbox_min)?;
    std::fs::create_dir_all(&settings.state_dir)?;
    let database = Database::open(&settings, Some(settings.state_dir.join("postgres")), false).await?;
    settings.database_url = Some(database.url.clone());
    settings.local_remotes = true;
    let state_dir = settings.state_dir.clone();
    let children = Children {
        slots: args.slots,
        sandbox_min: args.sandbox_min,
        start_delay: Duration::from_secs_f64(args.start_delay.unwrap_or_default()),
    };
    settings.deployment.worker_slots = children.slots_of_each();
    let (workers, agent, told) = children.prepare(&settings).await?;
    let services = Services::new(settings).with_capacity(workers.clone());
    let registry = registry::all(&services).await?;
    let db = services.db().await?;
    let invoke = InvokeApi::new(Arc::new(registry.clone()), Arc::new(SystemClock), Options::default(), shutdown.clone());
    let api = Api::new(&services, db.clone(), registry.clone(), api::Options::default(), shutdown.clone())?;
    let server = Server::bind(args.listen, registry, db, Some(invoke)).await?.with_api(&api);
    let address = server.address()?;
    let mut tasks = JoinSet::new();
    background::spawn_service(&mut tasks, &services, &shutdown).await?;
    // Workers that go are still answered.
    let end = CancellationToken::new();
    let answering = tokio::spawn(agent.run(workers.as_ref().clone(), end.clone()));
    tasks.spawn({
        let shutdown = shutdown.clone();
        async move { workers.run(shutdown).await }
    });
    tokio::spawn(children::tell(told, shutdown.clone()));
    let file = match database.is_private() {
        true => {
            let state =
                UpState { database_url: database.url.expose().to_owned(), server: format!("http://{address}"), pid: std::process::id() };
            Some(UpFile::write(&state_dir, &state)?)
        }
        false => None,
    };
    for mode in [Mode::Mechanic, Mode::Genius] {
        if let Err(error) = check_model(&services, mode, services.settings.model.as_deref()) {
            screen::progress(&format!("jobs of a {mode} will wait: {error}"));
        }
    }
    screen::progress(&format!("AI Code Team is up, on {}.", database.source));
    screen::progress(&format!("  webhooks    http://{address}/webhooks/github"));
    screen::progress(&format!("  REST API    http://{address}/api/v1 (`codeteam token create --name me --scope admin` makes a token)"));
    screen::progress(&format!("  Invoke API  http://{address} (open to everybody on this machine)"));
    let most = if args.slots == 1 { "one job".to_owned() } else { format!("{} jobs", args.slots) };
    screen::progress(&format!("  workers     none until there is work; {most} at the same time"));
    screen::progress("  in another terminal: codeteam jobs, codeteam watch JOB; Ctrl-C stops everything");
    server.run(shutdown).await;
    tasks.join_all().await;
    end.cancel();
    if let Err(error) = answering.await {
        tracing::error!("what answers workers panicked: {error}");
    }
    drop(file);
    drop(services);
    database.close().await
}
