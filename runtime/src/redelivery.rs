//! Makes up for webhooks that GitHub could not deliver: it never tries again by itself.

use std::time::Duration;

use config::Services;
use domain::{Clock, OwnerId, SystemClock};
use github::ForgeError;
use github::app::{App, Delivery, to_redeliver};
use store::{Db, leaders};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::background::pause;

const EVERY: Duration = Duration::from_secs(600);
/// GitHub keeps deliveries for three days.
const LOOKS_BACK: Duration = Duration::from_secs(3 * 86_400);
/// One that was refused so often is refused for a reason.
const MOST_TRIES: usize = 5;
const ROLE: &str = "redelivery";

/// The deliveries since `since` that nobody took, oldest first, each at its last attempt; not those that were tried too often.
///
/// # Errors
/// Those of GitHub.
pub async fn lost(app: &App, since: OffsetDateTime) -> Result<Vec<Delivery>, ForgeError> {
    let all = app.deliveries(since).await?;
    let tries = |guid: &str| all.iter().filter(|delivery| delivery.guid == guid).count();
    Ok(to_redeliver(&all).into_iter().filter(|delivery| tries(&delivery.guid) < MOST_TRIES).cloned().collect())
}

/// Looks for them every ten minutes in `tasks`, where an App is set up. One process of all does.
///
/// # Errors
/// Credentials that cannot be read, or no database.
pub async fn spawn(tasks: &mut JoinSet<()>, services: &Services, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Some(app) = services.github_app()? else { return Ok(()) };
    let (db, owner) = (services.db().await?, services.owner());
    tasks.spawn(async move {
        while !shutdown.is_cancelled() {
            if let Err(error) = look(&app, &db, owner).await {
                tracing::warn!("cannot look for webhooks that were not delivered: {error:#}");
            }
            pause(EVERY, &shutdown).await;
        }
    });
    Ok(())
}

async fn look(app: &App, db: &Db, owner: OwnerId) -> anyhow::Result<()> {
    if !leaders::lead(db, ROLE, owner, EVERY * 2).await? {
        return Ok(());
    }
    for delivery in lost(app, SystemClock.now() - LOOKS_BACK).await? {
        app.redeliver(delivery.id).await?;
        tracing::info!(delivery = delivery.guid, event = delivery.event, "GitHub sends the webhook {} again", delivery.guid);
    }
    Ok(())
}
