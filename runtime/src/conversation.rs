//! Says on the forge what is due, in the always-on service.

use std::time::Duration;

use config::{Configured, Services};
use converse::{Converse, Conversed};
use store::wake::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::background::attend;

/// How many owners' parts one process sends at the same time.
const SENDERS: usize = 4;
/// Shorter than a channel is held (`store::outbox::HELD`), so that nobody else sends the same meanwhile.
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts the senders in `tasks`.
///
/// # Errors
/// What the handler needs and does not find.
pub async fn spawn(tasks: &mut JoinSet<()>, services: &Services, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let converse = Converse::configure(services).await?;
    for _ in 0..SENDERS {
        let ear = services.listener().await?.subscribe([Signal::Outbox]);
        tasks.spawn(attend(converse.clone(), DEADLINE, ear, shutdown.clone(), said));
    }
    Ok(())
}

/// Says what could not be sent; `false` = nothing is due.
fn said(said: Conversed) -> bool {
    match said {
        Conversed::Nothing => return false,
        Conversed::Sent { .. } => {}
        Conversed::Failed { part, job_id, problem, given_up } => {
            let job = job_id.map(|job_id| format!(" of job {job_id}")).unwrap_or_default();
            let then = if given_up { "and is given up" } else { "and is tried again" };
            tracing::warn!("a {part}{job} could not be sent {then}: {problem}");
        }
    }
    true
}
