//! `codeteam budget`.

use config::Services;
use domain::Scope;
use serde_json::json;
use store::budgets;

use crate::cli::Budget;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table};

/// Lists, sets or removes.
pub(crate) async fn run(command: Budget, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    match command {
        Budget::List => list(&db, json).await,
        Budget::Set { scope, limit } => {
            budgets::set(&db, &scope, limit).await?;
            screen::data(json, &json!({ "scope": scope, "limit_microusd": limit }), || format!("{scope} may spend {limit} a day"))?;
            Ok(())
        }
        Budget::Remove { scope } => remove(&db, &scope, json).await,
    }
}

async fn remove(db: &store::Db, scope: &Scope, json: bool) -> Outcome {
    if !budgets::remove(db, scope).await? {
        return Err(Failure::Usage(format!("there is no budget of {scope}: `codeteam budget list` shows those that there are")));
    }
    screen::data(json, &json!({ "scope": scope, "limit_microusd": null }), || format!("{scope} may spend without a limit"))?;
    Ok(())
}

async fn list(db: &store::Db, json: bool) -> Outcome {
    let all = budgets::list(db).await?;
    if json {
        for budget in &all {
            screen::data(true, budget, String::new)?;
        }
        return Ok(());
    }
    if all.is_empty() {
        screen::progress("no budgets: `codeteam budget set all 20` lets everything together spend $20 a UTC day");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|budget| {
            vec![
                budget.scope.to_string(),
                budget.limit_microusd.to_string(),
                budget.settled_microusd.to_string(),
                budget.reserved_microusd.to_string(),
                format!("{:.1} %", budget.used_percent()),
                if budget.closed_until.is_some() { "closed until midnight UTC" } else { "open" }.to_owned(),
            ]
        })
        .collect();
    screen::data(false, &(), || table(&["SCOPE", "A DAY", "PAID", "HELD BACK", "USED", "NEW JOBS"], &rows))?;
    Ok(())
}
