//! `codeteam ledger verify` and `codeteam ledger show`.

use config::Services;
use domain::MicroUsd;
use domain::ledger::EntryKind;
use store::{jobs, ledger};

use crate::cli::Ledger;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table, thousands};

/// Verifies or shows.
pub(crate) async fn run(command: Ledger, json: bool, services: &Services) -> Outcome {
    match command {
        Ledger::Verify { job } => verify(job, json, services).await,
        Ledger::Show { job } => show(&job, json, services).await,
    }
}

async fn verify(job: Option<String>, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = match job {
        Some(job) => Some(jobs::get(&db, jobs::find(&db, &job).await?).await?.job.job_id),
        None => None,
    };
    let verified = ledger::verify(&db, job_id).await?;
    screen::data(json, &verified, || {
        let mut lines: Vec<String> =
            verified.faults.iter().map(|fault| format!("job {} row {}: {}", fault.job_id, fault.seq, fault.what)).collect();
        let verdict = if verified.faults.is_empty() { "every chain holds" } else { "BROKEN" };
        lines.push(format!("{} rows of {} jobs: {verdict}", thousands(verified.rows), thousands(verified.jobs)));
        lines.join("\n")
    })?;
    match verified.faults.len() {
        0 => Ok(()),
        faults => Err(Failure::Job(format!("the ledger of {faults} jobs does not hold"))),
    }
}

async fn show(job: &str, json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = jobs::get(&db, jobs::find(&db, job).await?).await?.job.job_id;
    let entries = ledger::entries(&db, job_id).await?;
    if json {
        for entry in &entries {
            screen::data(true, entry, String::new)?;
        }
        return Ok(());
    }
    let paid: MicroUsd = entries.iter().filter(|entry| entry.kind != EntryKind::Reserved).map(|entry| entry.cost_microusd).sum();
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let usage = &entry.usage;
            vec![
                entry.seq.to_string(),
                entry.kind.to_string(),
                entry.step_no.to_string(),
                entry.model.clone(),
                thousands(usage.uncached_input),
                thousands(usage.cache_read),
                thousands(usage.cache_write),
                thousands(usage.output),
                entry.cost_microusd.to_string(),
            ]
        })
        .collect();
    let head = ["ROW", "KIND", "STEP", "MODEL", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "COST"];
    screen::data(false, &(), || format!("{}\npaid: {paid}", table(&head, &rows)))?;
    Ok(())
}
