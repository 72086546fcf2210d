//! Asks for workers: right after a job became ready, and now and then whatever was heard.

use std::time::Duration;

use config::{Configured, Services};
use dispatch::{Ctx, call};
use domain::Mode;
use scale::{Scale, ScaleRequest, Scaled};
use store::wake::{self, Ear, Signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::background::pause;

/// How often each mode is looked at though nobody called.
const TICK: Duration = Duration::from_secs(15);
/// Calls that come within this time after a look share the next.
const GATHER: Duration = Duration::from_millis(500);
/// Whoever has the workers may be slow.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often the same trouble is said again.
const SAID_AGAIN: Duration = Duration::from_secs(300);

/// Starts asking for workers in `tasks`, where somebody can be asked. Any number of services may: each sets the same targets.
///
/// # Errors
/// What the handler needs and does not find.
pub async fn spawn(tasks: &mut JoinSet<()>, services: &Services, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let scale = Scale::configure(services).await?;
    if scale.capacity.is_none() {
        return Ok(());
    }
    let listener = services.listener().await?;
    for mode in [Mode::Mechanic, Mode::Genius] {
        // What this process says is heard without a session of the database, what others say only with one.
        let ears = (listener.subscribe([Signal::from(mode)]), wake::rung(&scale.db, [Signal::from(mode)]));
        tasks.spawn(attend(scale.clone(), mode, ears, shutdown.clone()));
    }
    Ok(())
}

async fn attend(scale: Scale, mode: Mode, (mut others, mut ours): (Ear, Ear), shutdown: CancellationToken) {
    let mut said: Option<(String, Instant)> = None;
    while !shutdown.is_cancelled() {
        match call(&scale, Ctx::with_timeout(DEADLINE), ScaleRequest { mode: Some(mode) }).await {
            Ok(scaled) => {
                said = None;
                scaled.iter().for_each(say);
            }
            Err(error) => {
                let error = format!("{error:#}");
                if said.as_ref().is_none_or(|(known, at)| *known != error || at.elapsed() >= SAID_AGAIN) {
                    tracing::error!(%mode, "no workers can be asked for, jobs of a {mode} wait for those that are there: {error}");
                    said = Some((error, Instant::now()));
                }
            }
        }
        pause(GATHER, &shutdown).await;
        tokio::select! {
            () = others.woken() => {}
            () = ours.woken() => {}
            () = pause(TICK, &shutdown) => {}
        }
    }
}

fn say(scaled: &Scaled) {
    let Scaled { mode, load, running, before, desired, why } = scaled;
    if desired != before {
        tracing::info!(
            %mode, desired, before, running, ready = load.ready, leased = load.leased, held_back = load.held_back,
            "workers of mode {mode}: {desired} asked for instead of {before}, since {why}"
        );
    }
}
