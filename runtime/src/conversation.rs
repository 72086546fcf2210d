//! Says on the forge what is due, in the always-on service.

use std::time::Duration;

use config::{Configured, Services};
use converse::{Converse, ConverseRequest, Conversed};
use dispatch::{Ctx, call};
use store::wake::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::background::pause;

/// How many owners' parts one process sends at the same time.
const SENDERS: usize = 4;
const POLL: Duration = Duration::from_secs(1);
/// Shorter than a channel is held (`store::outbox::HELD`), so that nobody else sends the same meanwhile.
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts the senders in `tasks`.
///
/// # Errors
/// What the handler needs and does not find.
pub async fn spawn(tasks: &mut JoinSet<()>, services: &Services, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let converse = Converse::configure(services).await?;
    for _ in 0..SENDERS {
        let (converse, shutdown) = (converse.clone(), shutdown.clone());
        let mut ear = services.listener().await?.subscribe([Signal::Outbox]);
        tasks.spawn(async move {
            while !shutdown.is_cancelled() {
                match call(&converse, Ctx::with_timeout(DEADLINE), ConverseRequest {}).await {
                    Ok(Conversed::Sent { .. }) => {}
                    Ok(Conversed::Nothing) => tokio::select! {
                        () = ear.woken() => {}
                        () = pause(POLL, &shutdown) => {}
                    },
                    Ok(Conversed::Failed { part, job_id, problem, given_up }) => {
                        let job = job_id.map(|job_id| format!(" of job {job_id}")).unwrap_or_default();
                        let then = if given_up { "and is given up" } else { "and is tried again" };
                        tracing::warn!("a {part}{job} could not be sent {then}: {problem}");
                    }
                    Err(error) => {
                        tracing::warn!("nothing can be said on the forge: {error:#}");
                        pause(POLL, &shutdown).await;
                    }
                }
            }
        });
    }
    Ok(())
}
