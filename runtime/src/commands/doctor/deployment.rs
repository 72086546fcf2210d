//! What stands around a deployment: each thing that the settings name is asked whether it is there.

use config::Services;
use domain::Mode;

use super::{Check, State};

/// A line for each; none on a laptop.
pub(super) async fn checks(services: &Services) -> Vec<Check> {
    let mut checks = Vec::new();
    for (what, mode) in [("wake mechanic", Mode::Mechanic), ("wake genius", Mode::Genius)] {
        checks.extend(wake(what, services, mode).await);
    }
    checks.extend(alarms(services).await);
    checks.extend(notices(services).await);
    for (what, mode) in [("mechanics", Mode::Mechanic), ("geniuses", Mode::Genius)] {
        checks.extend(workers(what, services, mode).await);
    }
    checks.extend(instance(services).await);
    checks
}

/// A line of what was found; `None` = it is not set.
fn line(what: &'static str, found: anyhow::Result<Option<String>>) -> Option<Check> {
    match found {
        Ok(found) => found.map(|found| Check { what, state: State::Ok, found }),
        Err(error) => Some(Check { what, state: State::Bad, found: format!("{error:#}") }),
    }
}

async fn wake(what: &'static str, services: &Services, mode: Mode) -> Option<Check> {
    let look = async {
        let Some(queue) = services.wake_queue(mode)? else { return Ok(None) };
        Ok(Some(format!("queue {} is there", queue.check().await?)))
    };
    line(what, look.await)
}

async fn alarms(services: &Services) -> Option<Check> {
    let look = async {
        let Some(inbox) = services.alarm_inbox()? else { return Ok(None) };
        Ok(Some(format!("queue {} is there", inbox.check().await?)))
    };
    line("alarms", look.await)
}

async fn notices(services: &Services) -> Option<Check> {
    let look = async {
        let Some(topic) = services.alarm_topic()? else { return Ok(None) };
        topic.check().await.map(Some).map_err(anyhow::Error::from)
    };
    let check = |state, found| Some(Check { what: "notices", state, found });
    match look.await {
        Ok(None) => None,
        Ok(Some((0, 0))) => check(State::Missing, "nobody hears the topic: subscribe an address to it".to_owned()),
        Ok(Some((0, pending))) => check(
            State::Missing,
            format!("nobody hears the topic yet: {pending} have still to confirm, by the link that SNS mailed to them"),
        ),
        Ok(Some((confirmed, pending))) => check(State::Ok, format!("{confirmed} hear the topic, {pending} have still to confirm")),
        Err(error) => check(State::Bad, format!("{error:#}")),
    }
}

async fn workers(what: &'static str, services: &Services, mode: Mode) -> Option<Check> {
    let look = async {
        let Some(capacity) = services.capacity().await? else { return Ok(None) };
        let counts = capacity.counts(mode).await?;
        Ok(Some(format!("{} of {} wanted run", counts.running, counts.desired)))
    };
    line(what, look.await)
}

async fn instance(services: &Services) -> Option<Check> {
    let look = async {
        let Some(instance) = services.database_instance()? else { return Ok(None) };
        let state = instance.describe().await?;
        Ok(Some(format!("{} is {}: {}, PostgreSQL {}", state.id, state.status, state.class, state.version)))
    };
    line("RDS", look.await)
}
