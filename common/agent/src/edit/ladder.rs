//! The ways in which a quotation may fit, from the strictest to the loosest.

use std::borrow::Cow;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::Match;
use super::indent::Indents;
use super::text::Hit;

/// Where a quotation stands.
pub(super) struct Found {
    pub how: Match,
    /// At least one, in order.
    pub hits: Vec<Hit>,
}

/// The places where `old` stands in `text`, found the strictest way that finds any.
pub(super) fn find(text: &str, old: &str, new: &str) -> Option<Found> {
    let exact = exact(text, old, new);
    if !exact.is_empty() {
        return Some(Found { how: Match::Exact, hits: exact });
    }
    [Match::TrailingSpace, Match::Indentation, Match::LookAlikes].into_iter().find_map(|how| {
        let hits = by_lines(text, old, new, how);
        if hits.is_empty() { None } else { Some(Found { how, hits }) }
    })
}

/// The hit whose first line is nearest to `line`.
pub(super) fn nearest_to(line: usize, hits: Vec<Hit>) -> Result<Hit, String> {
    let distance = |hit: &Hit| hit.line.abs_diff(line);
    let least = hits.iter().map(distance).min().unwrap_or_default();
    let mut nearest = hits.into_iter().filter(|hit| distance(hit) == least);
    match (nearest.next(), nearest.next()) {
        (Some(hit), None) => Ok(hit),
        (Some(a), Some(b)) => Err(format!("lines {} and {} are equally near to line {line}; quote more lines around it", a.line, b.line)),
        (None, _) => Err("old stands nowhere".to_owned()),
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

fn exact(text: &str, old: &str, new: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut from = 0;
    let (mut line, mut counted) = (1, 0);
    while let Some(offset) = text[from..].find(old) {
        let start = from + offset;
        line += text[counted..start].matches('\n').count();
        counted = start;
        hits.push(Hit { range: start..start + old.len(), replacement: new.to_owned(), line });
        from = start + old.chars().next().map_or(1, char::len_utf8);
    }
    hits
}

/// A line of the text: its range, without the line feed.
struct Line<'a> {
    start: usize,
    text: &'a str,
}

fn by_lines(text: &str, old: &str, new: &str, how: Match) -> Vec<Hit> {
    let lines = lines(text);
    let (old, new) = (split(old), split(new));
    if old.iter().all(|line| line.trim().is_empty()) {
        return Vec::new();
    }
    let folded_old: Vec<Cow<'_, str>> = old.iter().map(|line| folded(line, how)).collect();
    let folded_text: Vec<Cow<'_, str>> = lines.iter().map(|line| folded(line.text, how)).collect();
    let windows = folded_text.windows(old.len()).enumerate().filter(|(_, window)| *window == folded_old.as_slice());
    windows
        .filter_map(|(index, _)| {
            let matched = &lines[index..index + old.len()];
            let indents = match how {
                Match::Exact | Match::TrailingSpace => Indents::default(),
                Match::Indentation | Match::LookAlikes => Indents::between(&old, matched.iter().map(|line| line.text))?,
            };
            let replacement = merged(&old, &new, matched, &indents);
            Some(hit(text, index + 1, matched, replacement))
        })
        .collect()
}

/// The new lines; those that the edit does not change keep the file's own spelling.
fn merged(old: &[&str], new: &[&str], matched: &[Line<'_>], indents: &Indents<'_>) -> Vec<String> {
    let mut merged = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        match op.tag() {
            DiffTag::Equal => merged.extend(matched[op.old_range()].iter().map(|line| line.text.to_owned())),
            DiffTag::Delete => {}
            DiffTag::Insert | DiffTag::Replace => merged.extend(new[op.new_range()].iter().map(|line| indents.adapt(line))),
        }
    }
    merged
}

fn hit(text: &str, line: usize, matched: &[Line<'_>], replacement: Vec<String>) -> Hit {
    let start = matched.first().map_or(0, |line| line.start);
    let end = matched.last().map_or(0, |line| line.start + line.text.len());
    if !replacement.is_empty() {
        return Hit { range: start..end, replacement: replacement.join("\n"), line };
    }
    // Nothing is left of these lines, so one line feed goes too: the one behind, at the end the one before.
    let range = if end < text.len() { start..end + 1 } else { start.saturating_sub(1)..end };
    Hit { range, replacement: String::new(), line }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    split(text)
        .into_iter()
        .map(|text| {
            let line = Line { start, text };
            start += text.len() + 1;
            line
        })
        .collect()
}

/// The lines of a text; a final line feed ends the last one and does not start another.
fn split(text: &str) -> Vec<&str> {
    match text.strip_suffix('\n').unwrap_or(text) {
        "" if text.is_empty() => Vec::new(),
        text => text.split('\n').collect(),
    }
}

/// A line without what `how` overlooks.
fn folded(line: &str, how: Match) -> Cow<'_, str> {
    match how {
        Match::Exact => Cow::Borrowed(line),
        Match::TrailingSpace => Cow::Borrowed(line.trim_end()),
        Match::Indentation => Cow::Borrowed(line.trim()),
        Match::LookAlikes => Cow::Owned(plain(line).trim().to_owned()),
    }
}

/// Typographic characters as the ones on a keyboard.
pub(super) fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\u{2018}'..='\u{201b}' | '\u{2032}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' | '\u{2033}' => plain.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => plain.push(' '),
            '\u{2026}' => plain.push_str("..."),
            '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {}
            c => plain.push(c),
        }
    }
    plain
}
