//! What keeps the records in order: anchors of the ledger, and retention.

use std::time::Duration;

use store::retention::{self, Keep};
use store::{Db, StoreError, anchors, budgets};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::background::pause;

/// How often the service looks for what may go.
const RETENTION: Duration = Duration::from_secs(6 * 3600);
/// How often a month is tried whose table is busy, and how long it waits in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Anchors the ledger every minute, in `tasks`. Any number of processes may: one of them writes.
pub fn spawn_anchors(tasks: &mut JoinSet<()>, db: Db, shutdown: CancellationToken) {
    tasks.spawn(async move {
        while !shutdown.is_cancelled() {
            pause(anchors::PERIOD, &shutdown).await;
            anchor(&db).await;
        }
    });
}

/// Anchors what moved. The log line is the copy of the hash outside of the database.
async fn anchor(db: &Db) {
    // Many processes wake at different times: what one has anchored a moment ago need not be anchored again.
    match anchors::anchor(db, anchors::PERIOD / 2).await {
        Ok(Some(anchored)) => tracing::info!(
            anchor_no = anchored.anchor_no,
            heads = anchored.heads,
            hash = %anchored.hash,
            "anchor {} of the ledger over {} chains: {}",
            anchored.anchor_no,
            anchored.heads,
            anchored.hash
        ),
        Ok(None) => {}
        Err(error) => tracing::warn!("cannot anchor the ledger: {error}"),
    }
}

/// Drops the months that `keep` does not cover, and clears away what has expired, now and then, in `tasks`.
pub fn spawn_retention(tasks: &mut JoinSet<()>, db: Db, keep: Keep, shutdown: CancellationToken) {
    tasks.spawn(async move {
        while !shutdown.is_cancelled() {
            match retention::clear(&db).await {
                Ok(cleared) => tracing::debug!(
                    "cleared away {} bodies of deliveries, {} keys and {} commands",
                    cleared.bodies,
                    cleared.keys,
                    cleared.commands
                ),
                Err(error) => tracing::warn!("cannot clear away what has expired: {error}"),
            }
            if !keep.is_all()
                && let Err(error) = drop_months(&db, keep, &shutdown).await
            {
                tracing::warn!("cannot drop old months: {error}");
            }
            pause(RETENTION, &shutdown).await;
        }
    });
}

async fn drop_months(db: &Db, keep: Keep, shutdown: &CancellationToken) -> Result<(), StoreError> {
    retention::drop_leftovers(db).await?;
    for month in retention::months(db, keep).await? {
        if shutdown.is_cancelled() {
            break;
        }
        match drop_month(db, &month).await {
            Ok(()) => tracing::info!("dropped {}: {} bytes", month.partition, month.size_bytes),
            Err(error) => tracing::warn!("cannot drop {}: {error}", month.partition),
        }
    }
    Ok(())
}

/// Drops a month, through a table that is busy for a while if need be.
///
/// # Errors
/// Those of [`retention::drop_month`].
pub async fn drop_month(db: &Db, month: &retention::Month) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match retention::drop_month(db, month).await {
            Err(StoreError::Unavailable(_)) if tries < TRIES => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
}

/// Whether the budgets agree with the ledger, and the ledger is anchored: what `codeteam doctor` asks.
///
/// # Errors
/// Those of the database.
pub async fn problems(db: &Db) -> Result<Vec<String>, StoreError> {
    const LAG: Duration = Duration::from_secs(600);
    let mut problems: Vec<String> = budgets::drifts(db)
        .await?
        .iter()
        .map(|drift| {
            format!(
                "the budget of {} has {} for {} and the ledger {}: set it again, and run `codeteam ledger verify`",
                drift.scope, drift.kept_microusd, drift.day, drift.ledger_microusd
            )
        })
        .collect();
    if let Some(lag) = anchors::lag(db).await?.filter(|lag| *lag > LAG) {
        problems.push(format!(
            "the ledger was not anchored for {} min: is `codeteam serve` or `work` running, and is a transaction left open?",
            lag.as_secs() / 60
        ));
    }
    Ok(problems)
}
