//! The webhooks that GitHub sent or tried to send: it never sends one again by itself, so an outage is looked up here.

use std::collections::HashSet;

use serde::Deserialize;
use time::OffsetDateTime;

use super::{App, Call};
use crate::ForgeError;

/// GitHub keeps deliveries for three days; nobody has this many pages of a hundred.
const MOST_PAGES: usize = 1_000;
/// What concerns the App itself has its own turns; no owner is called that.
const CHANNEL: &str = "@app";

/// One attempt to deliver a webhook.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Delivery {
    /// The attempt's number.
    pub id: u64,
    /// The delivery's: the same for all its attempts, and the one in its header.
    pub guid: String,
    /// When it was attempted.
    #[serde(with = "time::serde::rfc3339")]
    pub delivered_at: OffsetDateTime,
    /// What was answered; 0 = nothing.
    #[serde(default)]
    pub status_code: u16,
    /// Such as `issues`.
    #[serde(default)]
    pub event: String,
    /// Such as `labeled`.
    #[serde(default)]
    pub action: Option<String>,
}

impl Delivery {
    /// Whether it was taken.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// The attempts to repeat: of each delivery that was never taken the last one, oldest first. `deliveries` come as
/// GitHub lists them, newest first.
pub fn to_redeliver(deliveries: &[Delivery]) -> Vec<&Delivery> {
    let mut done: HashSet<&str> =
        deliveries.iter().filter(|delivery| delivery.succeeded()).map(|delivery| delivery.guid.as_str()).collect();
    let mut failed: Vec<&Delivery> = deliveries.iter().filter(|delivery| done.insert(&delivery.guid)).collect();
    failed.reverse();
    failed
}

impl App {
    /// What was delivered to the App's webhook, or not, since `since`; newest first.
    ///
    /// # Errors
    /// Those of every question to GitHub.
    pub async fn deliveries(&self, since: OffsetDateTime) -> Result<Vec<Delivery>, ForgeError> {
        let mut deliveries = Vec::new();
        let mut next = Some("/app/hook/deliveries?per_page=100".to_owned());
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { break };
            let reply = self.as_app(&Call::get(path)).await?;
            let page: Vec<Delivery> = reply.json()?;
            let (listed, before) = (page.len(), deliveries.len());
            deliveries.extend(page.into_iter().take_while(|delivery| delivery.delivered_at >= since));
            next = reply.next(self.inner.http.api()).filter(|_| listed > 0 && deliveries.len() - before == listed);
        }
        Ok(deliveries)
    }

    /// Has attempt `id` made once more.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] where GitHub does not keep it any more.
    pub async fn redeliver(&self, id: u64) -> Result<(), ForgeError> {
        let _turn = self.inner.pacer.turn(CHANNEL).await?;
        let reply = self.as_app(&Call::post(format!("/app/hook/deliveries/{id}/attempts"), None)).await;
        if let Err(ForgeError::RetryAfter { after }) = &reply {
            self.inner.pacer.hold(CHANNEL, *after).await;
        }
        reply.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_taken_is_delivered_again_once_oldest_first() {
        let delivery = |id, guid: &str, status_code| Delivery {
            id,
            guid: guid.to_owned(),
            delivered_at: OffsetDateTime::UNIX_EPOCH,
            status_code,
            event: "issues".to_owned(),
            action: None,
        };
        let listed = [
            delivery(6, "a", 202),
            delivery(5, "c", 0),
            delivery(4, "b", 500),
            delivery(3, "c", 502),
            delivery(2, "b", 503),
            delivery(1, "a", 500),
        ];
        let ids: Vec<u64> = to_redeliver(&listed).into_iter().map(|delivery| delivery.id).collect();
        assert_eq!(ids, [4, 5]);
    }
}
