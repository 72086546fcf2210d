//! The lines after `@@` in a patch, which say inside of what a hunk belongs.

use std::ops::Range;

use super::lines::Lines;

/// What the innermost of `anchors` begins, as indexes of lines from the anchor on: at most one for each place where all of
/// them stand inside each other.
pub(super) fn blocks(lines: &Lines<'_>, anchors: &[String]) -> Vec<Range<usize>> {
    let whole = 0..lines.all().len();
    let mut blocks = vec![whole];
    for (index, anchor) in anchors.iter().enumerate() {
        // An inner anchor is not the outer one's own line.
        let inner = |block: &Range<usize>| if index == 0 { block.clone() } else { block.start + 1..block.end };
        blocks = blocks.iter().flat_map(|block| within(lines, anchor.trim(), inner(block))).collect();
    }
    if anchors.is_empty() { Vec::new() } else { blocks }
}

/// The blocks in `range` that begin with a line like `anchor`: equal to it, else one that begins with it, else one that has
/// it somewhere.
fn within(lines: &Lines<'_>, anchor: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let fits: [fn(&str, &str) -> bool; 3] =
        [|line, anchor| line == anchor, |line, anchor| line.starts_with(anchor), |line, anchor| line.contains(anchor)];
    let found =
        fits.iter().map(|fits| -> Vec<usize> { range.clone().filter(|index| fits(lines.all()[*index].text.trim(), anchor)).collect() });
    let found = found.into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    found.into_iter().map(|first| first..end(lines, first, range.end)).collect()
}

/// Words that go on with what a line of the same depth began.
const GO_ON: &[&str] = &["where", "else", "elif", "except", "catch", "finally", "rescue", "ensure"];

/// The index behind the block that the line at `first` begins: its next line that begins with a word and is indented no deeper.
/// The line directly below belongs to it in any case: `@@` may name any line above a hunk.
fn end(lines: &Lines<'_>, first: usize, limit: usize) -> usize {
    let own = indentation(lines.all()[first].text);
    let ends = |text: &str| {
        let words = text.trim_start();
        let begins_with_word = words.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$'));
        let first = words.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        begins_with_word && indentation(text) <= own && !GO_ON.contains(&first)
    };
    (first + 2..limit).find(|index| ends(lines.all()[*index].text)).unwrap_or(limit)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
