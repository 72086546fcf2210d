//! The ways in which a quotation may fit, from the strictest to the loosest.

use super::Match;
use super::lines::{Lines, split};
use super::text::Hit;

/// Where a quotation stands.
pub(super) struct Found {
    pub how: Match,
    /// At least one, in order.
    pub hits: Vec<Hit>,
}

/// The places where `old` stands in `text`, found the strictest way that finds any.
pub(super) fn find(text: &str, old: &str, new: &str) -> Option<Found> {
    let lines = Lines::of(text);
    let exact = exact(&lines, text, old, new);
    if exact.as_ref().is_some_and(|hits| !hits.is_empty()) {
        return exact.map(|hits| Found { how: Match::Exact, hits });
    }
    let (old, new) = (split(old), split(new));
    [Match::TrailingSpace, Match::Indentation, Match::LookAlikes].into_iter().find_map(|how| {
        let windows = lines.windows(&old, how);
        let hits = windows.iter().filter_map(|window| Some(lines.hit(window.first, old.len(), &lines.merged(window, &old, &new)?)));
        let hits: Vec<Hit> = hits.collect();
        if hits.is_empty() { None } else { Some(Found { how, hits }) }
    })
}

/// The hit whose first line is nearest to `line`, when no other is about as near: a line told from memory is not exact.
pub(super) fn nearest_to<T>(line: usize, hits: Vec<T>, first: impl Fn(&T) -> usize) -> Result<T, String> {
    let mut hits: Vec<(usize, T)> = hits.into_iter().map(|hit| (first(&hit).abs_diff(line), hit)).collect();
    hits.sort_by_key(|(distance, _)| *distance);
    let mut hits = hits.into_iter();
    match (hits.next(), hits.next()) {
        (Some((near, hit)), other) if other.as_ref().is_none_or(|(far, _)| *far > 0 && near * 2 <= *far) => Ok(hit),
        (Some((_, a)), Some((_, b))) => {
            let (a, b) = (first(&a).min(first(&b)), first(&a).max(first(&b)));
            Err(format!("lines {a} and {b} are about equally near to line {line}; quote more lines around it"))
        }
        _ => Err("it stands nowhere".to_owned()),
    }
}

/// Of hits that overlap, the first.
pub(super) fn without_overlaps(hits: Vec<Hit>) -> Vec<Hit> {
    let mut end = 0;
    hits.into_iter()
        .filter(|hit| {
            let free = hit.range.start >= end;
            end = if free { hit.range.end } else { end };
            free
        })
        .collect()
}

/// Where `old` stands byte for byte. `None` when it does, but as a whole line that lacks its indentation: then it is to
/// be indented, not replaced.
fn exact(lines: &Lines<'_>, text: &str, old: &str, new: &str) -> Option<Vec<Hit>> {
    let mut hits = Vec::new();
    let mut from = 0;
    while let Some(offset) = text[from..].find(old) {
        let start = from + offset;
        let index = lines.index_at(start);
        let line = lines.all()[index];
        let before = &line.text[..(start - line.start).min(line.text.len())];
        match part_of_line(before, line.text, old, new) {
            Part::Quoted => {
                // `new` has the indentation that `old` lacks: it takes the place of the whole line.
                let whole = before.trim().is_empty() && new.strip_prefix(before).is_some_and(|rest| rest != old);
                let start = if whole { line.start } else { start };
                hits.push(Hit { range: start..from + offset + old.len(), replacement: new.to_owned(), line: index + 1 });
            }
            Part::Unindented => return None,
            Part::Other => {}
        }
        from = start + old.chars().next().map_or(1, char::len_utf8);
    }
    Some(hits)
}

/// What a quotation that begins within a line is.
enum Part {
    /// What the model means.
    Quoted,
    /// A whole line, quoted without its indentation.
    Unindented,
    /// The end of another line, which ends alike by chance.
    Other,
}

fn part_of_line(before: &str, line: &str, old: &str, new: &str) -> Part {
    let single = old.strip_suffix('\n').unwrap_or(old);
    if before.is_empty() || single.contains('\n') {
        return Part::Quoted;
    }
    if !before.trim().is_empty() {
        return if old.ends_with('\n') { Part::Other } else { Part::Quoted };
    }
    let mut further = new.lines().filter(|line| !line.trim().is_empty());
    let first = further.next().unwrap_or_default();
    let further: Vec<&str> = further.collect();
    let is_whole = before.len() + single.len() == line.len();
    if !is_whole || further.is_empty() {
        return Part::Quoted;
    }
    // `new` goes on: either with the file's indentation, or, like `old`, without it.
    let opens = first.trim_end().ends_with([':', '{', '(', '[']);
    let is_body = |line: &str| line.len() - line.trim_start().len() > before.len();
    let indented = further.iter().all(|line| line.starts_with(before)) && (!opens || is_body(further[0]));
    if indented { Part::Quoted } else { Part::Unindented }
}
