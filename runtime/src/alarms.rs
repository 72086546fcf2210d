//! Takes alarms out of their queue, in the always-on service.

use std::time::Duration;

use aws::sqs::{Inbox, Message, event};
use config::Services;
use dispatch::{Ctx, Handler, Registry};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use alarm_react::AlarmReact;
use config::Configured;

use crate::background::pause;

/// Shorter than an alarm is held (`store::alarms::HELD`), so that nobody else acts on it at the same time.
const DEADLINE: Duration = Duration::from_secs(45);
/// How long whoever could not look waits before he looks again.
const AWAY: Duration = Duration::from_secs(5);
/// How often the same trouble is said again.
const SAID_AGAIN: Duration = Duration::from_secs(300);

/// Starts taking alarms in `tasks`, where the settings name their queue. Any number of services may.
///
/// # Errors
/// What the handler needs and does not find.
pub async fn spawn(tasks: &mut JoinSet<()>, services: &Services, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let Some(inbox) = services.alarm_inbox()? else { return Ok(()) };
    let registry = Registry::new().with(AlarmReact::configure(services).await?);
    tasks.spawn(attend(inbox, registry, shutdown.clone()));
    Ok(())
}

async fn attend(inbox: Inbox, registry: Registry, shutdown: CancellationToken) {
    let mut said: Option<(String, Instant)> = None;
    while !shutdown.is_cancelled() {
        let looked = tokio::select! {
            // What was begun comes again, and is taken up where it stood.
            () = shutdown.cancelled() => return,
            looked = inbox.work(|messages| handle(&registry, &shutdown, messages)) => looked,
        };
        match looked {
            Ok(_) => said = None,
            Err(error) => {
                let error = error.to_string();
                if said.as_ref().is_none_or(|(known, at)| *known != error || at.elapsed() >= SAID_AGAIN) {
                    tracing::error!("no alarms can be taken from their queue: {error}");
                    said = Some((error, Instant::now()));
                }
                pause(AWAY, &shutdown).await;
            }
        }
    }
}

/// Gives the messages to the handler, as Lambda would, and returns the ids of those that failed: they stay in the queue, and go to its
/// dead-letter queue after some returns.
async fn handle(registry: &Registry, shutdown: &CancellationToken, messages: Vec<Message>) -> Vec<String> {
    let ctx = Ctx::with_timeout(DEADLINE).cancelled_by(shutdown.clone());
    let answer = registry.invoke(AlarmReact::NAME, ctx, event(&messages)).await;
    match answer {
        Ok(answer) => failures(&answer),
        Err(error) => {
            tracing::warn!("{} alarms go back to their queue: {error}", messages.len());
            messages.into_iter().map(|message| message.id).collect()
        }
    }
}

fn failures(answer: &Value) -> Vec<String> {
    let items = answer["batchItemFailures"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["itemIdentifier"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_failed_is_read_from_the_answer() {
        assert_eq!(failures(&json!({ "batchItemFailures": [{ "itemIdentifier": "a" }, { "itemIdentifier": "b" }] })), ["a", "b"]);
        assert_eq!(failures(&json!({ "batchItemFailures": [] })), Vec::<String>::new());
    }
}
