//! `codeteam lanes`, `codeteam pause` and `codeteam resume`.

use config::Services;
use serde_json::json;
use store::gates::{self, Gate};
use store::lanes::{self, Lane};

use crate::cli::{Lanes, LanesCommand, Pause, Resume};
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table};

/// Lists lanes or sets a limit.
pub(crate) async fn run(args: Lanes, json: bool, services: &Services) -> Outcome {
    match args.command.unwrap_or(LanesCommand::List) {
        LanesCommand::List => list(json, services).await,
        LanesCommand::Set { repository, max_running, no_limit: _ } => set(&repository, max_running, json, services).await,
    }
}

async fn list(json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let (lanes, gates) = (lanes::list(&db).await?, gates::list(&db).await?);
    if lanes.is_empty() && gates.is_empty() && !json {
        screen::progress("no lanes yet: each repository has one from its first job on");
        return Ok(());
    }
    screen::data(json, &json!({ "lanes": lanes, "gates": gates }), || {
        let rows: Vec<Vec<String>> = lanes.iter().map(row).collect();
        let mut lines = vec![table(&["READY", "RUNNING", "LIMIT", "WAITING", "DEAD", "REPOSITORY"], &rows)];
        lines.extend(gates.iter().map(closed));
        lines.join("\n")
    })?;
    Ok(())
}

fn row(lane: &Lane) -> Vec<String> {
    vec![
        lane.ready.to_string(),
        lane.running.to_string(),
        lane.max_running.map_or_else(|| "-".to_owned(), |most| most.to_string()),
        lane.waiting.to_string(),
        lane.dead.to_string(),
        lane.repository.clone(),
    ]
}

/// `all is closed (paused) until somebody resumes it: a release`.
pub(crate) fn closed(gate: &Gate) -> String {
    let until = match gate.until {
        Some(until) => format!("until {until}"),
        None => "until somebody resumes it".to_owned(),
    };
    let why = gate.detail["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} is closed ({}) {until}{why}", gate.scope, gate.reason)
}

async fn set(repository: &str, max_running: Option<u16>, json: bool, services: &Services) -> Outcome {
    if repository.split('/').filter(|part| !part.is_empty()).count() != 2 {
        return Err(Failure::Usage(format!("no repository {repository:?}: expected owner/name")));
    }
    let db = services.db().await?;
    lanes::limit(&db, repository, max_running).await?;
    screen::data(json, &json!({ "repository": repository, "max_running": max_running }), || match max_running {
        Some(most) => format!("at most {most} jobs of {repository} run at the same time"),
        None => format!("{repository} runs as many jobs as there are workers"),
    })?;
    Ok(())
}

/// Closes a scope.
pub(crate) async fn pause(args: Pause, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    gates::pause(&db, &args.scope, args.reason.as_deref()).await?;
    screen::data(json, &json!({ "scope": args.scope, "paused": true }), || {
        format!("no job of {} is started until `codeteam resume {}`; those under way go on", args.scope, args.scope)
    })?;
    Ok(())
}

/// Opens a scope.
pub(crate) async fn resume(args: Resume, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let was_paused = gates::resume(&db, &args.scope).await?;
    screen::data(json, &json!({ "scope": args.scope, "paused": false, "was_paused": was_paused }), || match was_paused {
        true => format!("jobs of {} run again", args.scope),
        false => format!("{} was not paused", args.scope),
    })?;
    Ok(())
}
