//! What the model is told about edits that were made.

use similar::TextDiff;

use super::Applied;

const MOST_DIFF_LINES: usize = 60;

/// `headline`, then where the edits went, each called `noun`. Where one matched only loosely, the model sees what became
/// of it.
pub(crate) fn report(headline: &str, noun: &str, applied: &[Applied]) -> String {
    let mut lines = vec![headline.to_owned()];
    for (no, Applied { line, count, how, became }) in (1..).zip(applied) {
        lines.push(match count {
            1 => format!("{noun} {no}: line {line}{}", how.remark()),
            count => format!("{noun} {no}: {count} places, the first at line {line}{}", how.remark()),
        });
        let Some((was, is)) = became else { continue };
        let diff = TextDiff::from_lines(was, is);
        let shown: Vec<String> =
            diff.iter_all_changes().map(|change| format!("{}{}", change.tag(), change.value().trim_end_matches('\n'))).collect();
        lines.extend(shown.iter().take(MOST_DIFF_LINES).cloned());
        if shown.len() > MOST_DIFF_LINES {
            lines.push(format!("({} lines more)", shown.len() - MOST_DIFF_LINES));
        }
    }
    lines.join("\n")
}
