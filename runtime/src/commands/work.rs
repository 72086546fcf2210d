//! `codeteam work`.

use anyhow::Context;
use config::{Services, Settings};
use domain::Mode;
use tokio::task::JoinSet;

use crate::cli::Work;
use crate::exit::Outcome;
use crate::telemetry::Telemetry;
use crate::worker::{PATIENCE, Worker};
use crate::{background, sandbox, shutdown};

/// Works on jobs until told to stop.
pub(crate) async fn run(args: Work, settings: Settings) -> Outcome {
    let shutdown = shutdown::on_signal()?;
    let modes = match args.mode.or(settings.mode) {
        Some(mode) => vec![mode],
        None => vec![Mode::Mechanic, Mode::Genius],
    };
    let mut telemetry = Telemetry::start(&settings, args.metrics_listen).await?;
    sandbox::check(&settings, args.sandbox_min)?;
    let services = Services::new(settings);
    services.git().version().await.context("a worker needs git")?;
    let worker = Worker::new(&services, modes.clone(), args.slots, PATIENCE).await?.telling(telemetry.figures());
    let mut tasks = JoinSet::new();
    let end = shutdown.child_token();
    background::spawn_sweeper(&mut tasks, services.db().await?, end.clone());
    telemetry.spawn(&mut tasks, services.db().await?, services.owner(), &end);
    background::spawn_listener(&mut tasks, &services, end.clone()).await?;
    tracing::info!(owner = %services.owner().0, slots = args.slots, "working on jobs of {modes:?}");
    worker.run(shutdown, args.until_idle).await;
    end.cancel();
    tasks.join_all().await;
    telemetry.finish().await;
    Ok(())
}
