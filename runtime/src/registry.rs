//! The handlers of this binary. A new handler is one line here.

use alarm_react::AlarmReact;
use claim::Claim;
use command::CommandHandler;
use config::{Configured, Services};
use converse::Converse;
use dispatch::Registry;
use enqueue::Enqueue;
use finalize::Finalize;
use scale::Scale;
use step::Step;
use triage::Triage;

/// Every handler, built from the same services.
///
/// # Errors
/// What a handler needs and does not find.
pub async fn all(services: &Services) -> anyhow::Result<Registry> {
    Ok(Registry::new()
        .with(Enqueue::configure(services).await?)
        .with(Triage::configure(services).await?)
        .with(CommandHandler::configure(services).await?)
        .with(Claim::configure(services).await?)
        .with(Step::configure(services).await?)
        .with(Finalize::configure(services).await?)
        .with(Converse::configure(services).await?)
        .with(AlarmReact::configure(services).await?)
        .with(Scale::configure(services).await?))
}
