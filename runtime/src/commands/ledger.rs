//! `codeteam ledger verify` and `codeteam ledger show`.

use std::collections::HashSet;

use config::Services;
use domain::MicroUsd;
use domain::ledger::{Entry, EntryKind};
use store::ledger::AnchorFault;
use store::{anchors, jobs, ledger};

use super::ledger_export;
use crate::cli::Ledger;
use crate::exit::{Failure, Outcome};
use crate::screen::{self, table, thousands};

/// Verifies, shows or exports.
pub(crate) async fn run(command: Ledger, json: bool, services: &Services) -> Outcome {
    match command {
        Ledger::Verify { job, incremental, anchor } => verify(job, incremental, &anchor, json, services).await,
        Ledger::Show { job } => show(&job, json, services).await,
        Ledger::Export { csv, days } => ledger_export::run(days, json && !csv, services).await,
    }
}

async fn verify(job: Option<String>, incremental: bool, logged: &[(i64, String)], json: bool, services: &Services) -> Outcome {
    let db = services.db().await?;
    let job_id = match job {
        Some(job) => Some(jobs::get(&db, jobs::find(&db, &job).await?).await?.job.job_id),
        None => None,
    };
    let mut verified = match incremental {
        true => ledger::verify_new(&db).await?,
        false => ledger::verify(&db, job_id).await?,
    };
    for (anchor_no, hash) in logged {
        if !anchors::matches(&db, *anchor_no, hash).await? {
            verified.anchor_faults.push(AnchorFault { anchor_no: *anchor_no, what: "it is not the one that the log names".to_owned() });
        }
    }
    screen::data(json, &verified, || {
        let faults = verified.faults.iter().map(|fault| format!("job {} row {}: {}", fault.job_id, fault.seq, fault.what));
        let anchors = verified.anchor_faults.iter().map(|fault| format!("anchor {}: {}", fault.anchor_no, fault.what));
        let retired = verified.retired.iter().map(|text| format!("dropped by retention: {}", text.split(' ').next().unwrap_or(text)));
        let verdict = if verified.holds() { "every chain holds" } else { "BROKEN" };
        let counts = [verified.rows, verified.jobs, verified.anchors].map(thousands);
        let summary = format!("{} rows of {} jobs, {} anchors: {verdict}", counts[0], counts[1], counts[2]);
        faults.chain(anchors).chain(retired).chain([summary]).collect::<Vec<_>>().join("\n")
    })?;
    match (verified.faults.len(), verified.anchor_faults.is_empty()) {
        (0, true) => Ok(()),
        (0, false) => Err(Failure::Job("the ledger's anchors do not hold".to_owned())),
        (faults, _) => Err(Failure::Job(format!("the ledger of {faults} jobs does not hold"))),
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
    screen::data(false, &(), || format!("{}\n{}", table(&head, &rows), sum(&entries)))?;
    Ok(())
}

/// What the job's comment, pull request and API say that it cost, to the micro-dollar. A call that was broken off may be billed, so
/// what was held back for it counts until somebody settles it.
fn sum(entries: &[Entry]) -> String {
    let closed: HashSet<i64> = entries.iter().filter_map(|entry| entry.reservation_seq).collect();
    let of = |counts: &dyn Fn(&&Entry) -> bool| -> MicroUsd { entries.iter().filter(counts).map(|entry| entry.cost_microusd).sum() };
    let paid = of(&|entry| entry.kind != EntryKind::Reserved);
    let held = of(&|entry| entry.kind == EntryKind::Reserved && !closed.contains(&entry.seq));
    match held {
        MicroUsd::ZERO => format!("paid: {}", paid.exact()),
        held => format!(
            "paid: {}; held back for calls that were broken off: {}; together {}",
            paid.exact(),
            held.exact(),
            (paid + held).exact()
        ),
    }
}

#[cfg(test)]
mod tests {
    use domain::{JobId, Usage};

    use super::*;

    fn entry(seq: i64, kind: EntryKind, closes: Option<i64>, cost: i64) -> Entry {
        Entry {
            job_id: JobId::new(),
            seq,
            at_us: 0,
            kind,
            step_no: 1,
            reservation_seq: closes,
            model: "scripted".to_owned(),
            usage: Usage::default(),
            cost_microusd: MicroUsd(cost),
        }
    }

    #[test]
    fn what_was_held_back_for_a_call_that_was_broken_off_is_a_part_of_the_sum() {
        let settled = [entry(1, EntryKind::Reserved, None, 33_669), entry(2, EntryKind::Settled, Some(1), 720)];
        assert_eq!(sum(&settled), "paid: $0.000720");
        let open = [&settled[..], &[entry(3, EntryKind::Reserved, None, 33_481)]].concat();
        assert_eq!(sum(&open), "paid: $0.000720; held back for calls that were broken off: $0.033481; together $0.034201");
        let released = [&open[..], &[entry(4, EntryKind::Released, Some(3), 0)]].concat();
        assert_eq!(sum(&released), "paid: $0.000720");
    }
}
