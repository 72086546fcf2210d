//! `codeteam work`.

use std::sync::Arc;

use anyhow::Context;
use config::{Services, Settings};
use domain::Mode;
use tokio::task::JoinSet;

use crate::cli::Work;
use crate::exit::Outcome;
use crate::protection::Protection;
use crate::telemetry::Telemetry;
use crate::worker::{PATIENCE, Worker};
use crate::{background, sandbox, shutdown, signals};

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
    let slots = args.slots.unwrap_or(services.settings.deployment.worker_slots);
    let worker = Worker::new(&services, modes.clone(), slots, PATIENCE).await?.telling(telemetry.figures());
    let (protection, task) = own_task(&services).await?;
    let worker = worker.protected(protection, task);
    let mut tasks = JoinSet::new();
    let end = shutdown.child_token();
    background::spawn_sweeper(&mut tasks, services.db().await?, end.clone());
    telemetry.spawn(&mut tasks, services.db().await?, services.owner(), &end);
    background::spawn_listener(&mut tasks, &services, end.clone()).await?;
    signals::spawn_sending(&mut tasks, &services, &end).await?;
    signals::spawn_hearing(&mut tasks, &services, &modes, &worker.has_room(), &end).await?;
    tracing::info!(owner = %services.owner().0, slots, "working on jobs of {modes:?}");
    worker.run(shutdown, args.until_idle).await;
    end.cancel();
    tasks.join_all().await;
    telemetry.finish().await;
    Ok(())
}

/// Who protects this process from being taken away, and the name that it goes by there: of a task of ECS, or of a child of
/// `codeteam up`.
async fn own_task(services: &Services) -> anyhow::Result<(Protection, Option<String>)> {
    let protection = services.protection()?.map_or_else(Protection::not_needed, |agent| Protection::by(Arc::new(agent)));
    let task = match services.own_task().await {
        Ok(task) => task,
        // People see it less well then, and whoever would stop it does not find it.
        Err(error) => {
            tracing::warn!("this worker does not know which task it is: {error:#}");
            None
        }
    };
    Ok((protection, task))
}
