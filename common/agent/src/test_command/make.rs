//! Make: a target `test` or `check`.

use super::{Folder, Found};

pub(super) fn make(folder: &Folder<'_>) -> Option<Found> {
    // The order in which GNU make looks.
    let name = ["GNUmakefile", "makefile", "Makefile"].into_iter().find(|name| folder.has(name))?;
    let text = folder.text(name)?;
    let target = ["test", "check"].into_iter().find(|target| has_target(text, target))?;
    Some(folder.found(format!("make {target}"), &[name]))
}

/// Whether a rule makes `target`: `test: build`, `test check::`, but not `test := 1` or a line of a recipe.
fn has_target(text: &str, target: &str) -> bool {
    text.lines().any(|line| {
        let Some((targets, rest)) = line.split_once(':') else { return false };
        let is_rule = !line.starts_with(['\t', '#', '.']) && !targets.contains('=') && !rest.trim_start_matches(':').starts_with('=');
        is_rule && targets.split_whitespace().any(|name| name == target)
    })
}
