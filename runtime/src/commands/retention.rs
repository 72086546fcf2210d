//! `codeteam retention`.

use config::Services;
use serde_json::json;
use store::retention::{self, Keep, Month};

use crate::cli::Retention;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, thousands};
use crate::upkeep;

/// Drops old months and clears away what has expired, or says what would go.
pub(crate) async fn run(args: Retention, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let settings = services.settings.retention;
    let keep = Keep {
        events: args.events_months.or(settings.events),
        steps: args.steps_months.or(settings.steps),
        ledger: args.ledger_months.or(settings.ledger),
    };
    if !args.dry_run {
        let cleared = retention::clear(&db).await?;
        screen::progress(&format!("cleared away {} bodies of deliveries and {} expired keys", cleared.bodies, cleared.keys));
        retention::drop_leftovers(&db).await?;
    }
    let months = retention::months(&db, keep).await?;
    if months.is_empty() {
        screen::progress(match keep.is_all() {
            true => "no month is dropped unless you say how many to keep, such as --events-months 6 --steps-months 3",
            false => "no month is old enough",
        });
    }
    let mut kept = 0;
    for month in &months {
        let (state, said) = match args.dry_run {
            _ if month.unfinished > 0 => ("kept", format!("{} unfinished jobs", month.unfinished)),
            true => ("would go", String::new()),
            false => match upkeep::drop_month(&db, month).await {
                Ok(()) => ("dropped", String::new()),
                Err(error) => ("kept", error.to_string()),
            },
        };
        kept += usize::from(state == "kept");
        show(json, month, state, &said)?;
    }
    match kept {
        0 => Ok(()),
        _ if args.dry_run => Ok(()),
        kept => Err(Failure::Job(format!("{kept} months could not be dropped, see above"))),
    }
}

fn show(json: bool, month: &Month, state: &str, said: &str) -> std::io::Result<()> {
    let all = json!({ "month": month, "state": state, "reason": said });
    screen::data(json, &all, || {
        let reason = if said.is_empty() { String::new() } else { format!(": {said}") };
        let (rows, bytes) = (thousands(month.about_rows.unsigned_abs()), thousands(month.size_bytes.unsigned_abs()));
        format!("{state:<8}  {:<16} about {rows} rows, {bytes} bytes{reason}", month.partition)
    })
}
