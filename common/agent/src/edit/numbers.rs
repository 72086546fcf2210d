//! The line numbers in the header of a hunk. They are remembered, and lines come and go above them: a number tells places apart
//! that a hunk fits equally well, and never makes a place.

use super::hunks::{Hunk, Place};
use super::ladder::nearest_to;
use super::lines::Lines;
use super::{EditError, FAR, FAR_AND_LOOSE, Match};

/// The hunk with its number, where one is given like an anchor: `@@ line 12`. A line of the file that has these words is meant first.
pub(super) fn told(lines: &Lines<'_>, hunk: &Hunk) -> Hunk {
    let mut told = hunk.clone();
    told.anchors.retain(|anchor| {
        let number = anchor.strip_prefix("line ").or_else(|| anchor.strip_prefix("lines ")).and_then(first);
        if number.is_none() || lines.all().iter().any(|line| line.text.contains(anchor.as_str())) {
            return true;
        }
        told.near_line = number;
        false
    });
    told
}

/// `12` of `12`, `12-20` and `12:`.
fn first(text: &str) -> Option<usize> {
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ',' | ':' | ' '));
    let digits = text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    if is_number(text) { digits.parse().ok().filter(|line| *line > 0) } else { None }
}

/// The index of the first line of the place that the hunk's number means, when that is clear.
pub(super) fn named(hunk: &Hunk, places: &[Place]) -> Option<usize> {
    let line = hunk.near_line.filter(|_| places.len() > 1)?;
    let place = nearest_to(line, places.iter().collect(), |place| place.first + 1).ok()?;
    let is_near = (place.first + 1).abs_diff(line) <= reach(place.how);
    is_near.then_some(place.first)
}

fn reach(how: Match) -> usize {
    if how == Match::Exact { FAR } else { FAR_AND_LOOSE }
}

/// Leaves each hunk that fits several places the one that its number names.
///
/// # Errors
/// [`EditError`] where the number names one place and the order of the hunks another, and where what is only like the hunk
/// stands far from the line that it names.
pub(super) fn narrow(hunks: &[Hunk], named: &[Option<usize>], places: &mut [Vec<Place>]) -> Result<(), EditError> {
    for (index, places) in places.iter_mut().enumerate() {
        if let Some(first) = named[index] {
            if !places.iter().any(|place| place.first == first) {
                let (named, ordered) = (first + 1, places[0].first + 1);
                let reason = format!(
                    "its line number means the place at line {named}, and its order among the hunks the one at line {ordered}; \
                     give more lines of context"
                );
                return Err(EditError { no: index + 1, reason });
            }
            places.retain(|place| place.first == first);
        }
        if let ([Place { first, how, .. }], Some(line)) = (places.as_slice(), hunks[index].near_line)
            && *how != Match::Exact
            && (first + 1).abs_diff(line) > reach(*how)
        {
            let at = first + 1;
            let reason = format!(
                "what is like it, but not the same, begins at line {at}, far from line {line}; quote it as it stands, or leave the number out"
            );
            return Err(EditError { no: index + 1, reason });
        }
    }
    Ok(())
}
