//! `codeteam github redeliver`: webhooks that never arrived.

use config::Settings;
use domain::{Clock, SystemClock};
use serde_json::json;

use crate::cli::Redeliver;
use crate::exit::{Failure, Outcome};
use crate::{redelivery, screen};

pub(super) async fn run(args: Redeliver, json: bool, settings: Settings) -> Outcome {
    let app = super::app(settings)?;
    let failed = |error: github::ForgeError| Failure::Environment(error.into());
    let since = SystemClock.now() - args.since;
    let lost = redelivery::lost(&app, since).await.map_err(failed)?;
    for delivery in &lost {
        if !args.dry_run {
            app.redeliver(delivery.id).await.map_err(failed)?;
        }
        let what = [Some(delivery.event.clone()), delivery.action.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let at = delivery.delivered_at;
        let row = json!({
            "delivery": delivery.guid,
            "event": delivery.event,
            "action": delivery.action,
            "answered": delivery.status_code,
            "redelivered": !args.dry_run,
        });
        screen::data(json, &row, || format!("{}  {what}, answered {} at {at}", delivery.guid, delivery.status_code))?;
    }
    let verb = if args.dry_run { "would be sent again" } else { "are sent again" };
    screen::progress(&match lost.len() {
        0 => "nothing is missing: every webhook of that time was taken".to_owned(),
        1 => format!("1 webhook {}", verb.replace("are", "is")),
        count => format!("{count} webhooks {verb}"),
    });
    Ok(())
}
