//! The map as text, within its budget.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::rank::Shown;

/// The most definitions of one file.
const MOST_DEFINITIONS: usize = 8;
/// What the last line may need.
const LAST_LINE: usize = 160;

/// As many files as fit, the most important first, each with its path and below it the lines that matter; a last line
/// says what is not shown.
pub(super) fn render(files: &[Shown<'_>], passed_over: usize, budget_bytes: usize) -> Option<String> {
    let mut map = String::new();
    let mut shown = 0;
    for file in files {
        let left = budget_bytes.saturating_sub(map.len() + LAST_LINE);
        // A large file may still fit with its most important definitions.
        let Some(block) = (1..=MOST_DEFINITIONS).rev().map(|most| block(file, most)).find(|block| block.len() <= left) else { break };
        map.push_str(&block);
        shown += 1;
    }
    if map.is_empty() {
        return None;
    }
    let mut rest = Vec::new();
    if shown < files.len() {
        rest.push(format!("{} source files more", files.len() - shown));
    }
    if passed_over > 0 {
        rest.push(format!("{passed_over} that were not read, since the repository or they are large"));
    }
    if !rest.is_empty() {
        map.push_str(&format!("(not shown: {})", rest.join(", ")));
    }
    Some(map.trim_end().to_owned())
}

/// A file with its `most` most important definitions, and those around them, in their order.
fn block(file: &Shown<'_>, most: usize) -> String {
    let mut by_weight: Vec<usize> = (0..file.definitions.len()).filter(|index| !file.definitions[*index].0.name.is_empty()).collect();
    by_weight.sort_by(|one, other| file.definitions[*other].1.total_cmp(&file.definitions[*one].1).then(one.cmp(other)));
    let mut lines: BTreeSet<usize> = BTreeSet::new();
    for index in by_weight.into_iter().take(most) {
        lines.extend(std::iter::successors(Some(index), |index| file.definitions[*index].0.within));
    }
    let mut block = format!("{}\n", file.path);
    for index in lines {
        let definition = file.definitions[index].0;
        let depth = std::iter::successors(definition.within, |index| file.definitions[*index].0.within).count();
        let _ = writeln!(block, "{:>5}  {}{}", definition.line, "  ".repeat(depth), definition.signature);
    }
    block
}
