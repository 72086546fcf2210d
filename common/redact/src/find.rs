//! Joining what was found to places that do not overlap.

use crate::Finding;

/// `findings` in the order of the text, each with what overlaps it; of two kinds that overlap the live secret's name
/// wins, else the kind of the earlier one.
pub(crate) fn joined(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.range.start, !finding.is_live, std::cmp::Reverse(finding.range.end)));
    let mut joined: Vec<Finding> = Vec::new();
    for finding in findings {
        match joined.last_mut() {
            // Pieces of one secret that touch are one place.
            Some(last) if finding.range.start < last.range.end || finding.range.start == last.range.end && finding.kind == last.kind => {
                last.range.end = last.range.end.max(finding.range.end);
                if finding.is_live && !last.is_live {
                    (last.kind, last.is_live) = (finding.kind, true);
                }
            }
            _ => joined.push(finding),
        }
    }
    joined
}
