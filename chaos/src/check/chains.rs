//! The ledger's chains hold, says the product itself, and it looked at every row.

use anyhow::Result;
use serde_json::Value;

use super::Verdict;
use super::facts::Facts;
use crate::world::World;

const NAME: &str = "ledger chains hold";

pub(super) async fn check(world: &World, facts: &Facts, verdict: &mut Verdict) -> Result<()> {
    let rows: usize = facts.ledger.values().map(Vec::len).sum();
    verdict.see(NAME, rows);
    let output = world.launcher.run(&["ledger", "verify", "--json"]).await?;
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let whole = output.exit.success() && verified["faults"].as_array().is_some_and(Vec::is_empty);
    verdict.require(whole, NAME, || {
        format!("codeteam ledger verify: {}: {} {}", output.exit, output.stdout_text().trim(), output.stderr_text().trim())
    });
    verdict.require(verified["rows"].as_u64() == Some(rows as u64), NAME, || {
        format!("codeteam ledger verify looked at {} of {rows} rows", verified["rows"])
    });
    Ok(())
}
