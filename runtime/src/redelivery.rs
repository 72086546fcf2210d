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
/// The longest pause between two tries: one that was refused so often is refused for a reason, and is still not lost.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3_600);
const ROLE: &str = "redelivery";

/// The deliveries since `since` that nobody took, oldest first, each at its last attempt.
///
/// # Errors
/// Those of GitHub.
pub async fn lost(app: &App, since: OffsetDateTime) -> Result<Vec<Delivery>, ForgeError> {
    let all = app.deliveries(since).await?;
    Ok(to_redeliver(&all).into_iter().cloned().collect())
}

/// Those of them that are to be tried now, of `all` as GitHub lists them: at once the first time, then after pauses that double. So
/// none is given up for as long as GitHub keeps it, however long nobody could be reached.
fn due(all: &[Delivery], now: OffsetDateTime) -> Vec<&Delivery> {
    let pause = |guid: &str| match all.iter().filter(|delivery| delivery.guid == guid).count() {
        0 | 1 => Duration::ZERO,
        tries => EVERY.saturating_mul(1 << (tries - 2).min(16)).min(LONGEST_PAUSE),
    };
    to_redeliver(all).into_iter().filter(|delivery| delivery.delivered_at + pause(&delivery.guid) <= now).collect()
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
    let now = SystemClock.now();
    for delivery in due(&app.deliveries(now - LOOKS_BACK).await?, now) {
        app.redeliver(delivery.id).await?;
        tracing::info!(delivery = delivery.guid, event = delivery.event, "GitHub sends the webhook {} again", delivery.guid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(minutes: &[i64]) -> Vec<Delivery> {
        let at = |minute: &i64| OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(*minute);
        let attempt = |(id, minute): (usize, &i64)| Delivery {
            id: id as u64,
            guid: "a".to_owned(),
            delivered_at: at(minute),
            status_code: 502,
            event: "issues".to_owned(),
            action: None,
        };
        minutes.iter().enumerate().map(attempt).rev().collect()
    }

    #[test]
    fn a_webhook_is_tried_ever_less_often_and_never_given_up_while_github_keeps_it() {
        let mut tried = vec![0];
        for minute in (0..3 * 24 * 60).step_by(10) {
            let now = OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(minute);
            if let [last] = due(&attempts(&tried), now)[..] {
                assert_eq!(last.id as usize, tried.len() - 1, "the last attempt is repeated");
                tried.push(minute);
            }
        }
        assert_eq!(tried[..9], [0, 0, 10, 30, 70, 150, 310, 630, 990]);
        assert!(*tried.last().unwrap() > 3 * 24 * 60 - 400, "{tried:?}");
    }
}
