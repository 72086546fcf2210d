//! `codeteam cost`.

use config::Services;
use domain::MicroUsd;
use store::cost::cost;

use crate::cli::Cost;
use crate::exit::Outcome;
use crate::screen::{self, table, thousands};

/// Adds up what was paid.
pub(crate) async fn run(args: Cost, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let costs = cost(&db, args.by, args.days.from, args.days.to).await?;
    if json {
        for line in &costs {
            screen::data(true, line, String::new)?;
        }
        return Ok(());
    }
    let count = |number: i64| thousands(number.unsigned_abs());
    let mut rows: Vec<Vec<String>> = costs
        .iter()
        .map(|line| {
            vec![
                line.key.clone().unwrap_or_else(|| "-".to_owned()),
                count(line.calls),
                count(line.uncached_input),
                count(line.cache_read),
                count(line.cache_write),
                count(line.output),
                line.held_microusd.to_string(),
                line.paid_microusd.to_string(),
            ]
        })
        .collect();
    let held: MicroUsd = costs.iter().map(|line| line.held_microusd).sum();
    let paid: MicroUsd = costs.iter().map(|line| line.paid_microusd).sum();
    let calls = costs.iter().map(|line| line.calls).sum();
    let mut total = vec!["total".to_owned(), count(calls)];
    total.extend(std::iter::repeat_n(String::new(), 4));
    total.extend([held.to_string(), paid.to_string()]);
    rows.push(total);
    let by = args.by.to_string().to_uppercase();
    screen::data(false, &(), || table(&[&by, "CALLS", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "HELD BACK", "PAID"], &rows))?;
    Ok(())
}
