//! A text as lines, and the places where some lines stand in it.

use std::borrow::Cow;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::indent::Indents;
use super::text::Hit;
use super::{Match, lost};

/// A line of the text: where it starts, and what stands on it without the line feed.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub start: usize,
    pub text: &'a str,
}

/// All lines of a text; a final line feed ends the last one and does not start another.
pub(super) struct Lines<'a> {
    text: &'a str,
    lines: Vec<Line<'a>>,
}

/// Where quoted lines stand.
pub(super) struct Window<'a> {
    /// The index of the first of them.
    pub first: usize,
    /// How their indentation differs. `None` = the quotation has none, and the file has.
    pub indents: Option<Indents<'a>>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut start = 0;
        let lines = split(text).into_iter().map(|text| {
            let line = Line { start, text };
            start += text.len() + 1;
            line
        });
        Self { text, lines: lines.collect() }
    }

    pub(super) fn all(&self) -> &[Line<'a>] {
        &self.lines
    }

    /// The index of the line that the byte at `position` belongs to.
    pub(super) fn index_at(&self, position: usize) -> usize {
        self.lines.partition_point(|line| line.start <= position).saturating_sub(1)
    }

    /// Where the lines of `old` stand, when what `how` names is overlooked.
    pub(super) fn windows(&self, old: &[&'a str], how: Match) -> Vec<Window<'a>> {
        let is_blank = old.iter().all(|line| line.trim().is_empty());
        if old.is_empty() || old.len() > self.lines.len() || (is_blank && how != Match::Exact) {
            return Vec::new();
        }
        let quoted: Vec<Cow<'_, str>> = old.iter().map(|line| folded(line, how)).collect();
        let text: Vec<Cow<'_, str>> = self.lines.iter().map(|line| folded(line.text, how)).collect();
        let fits = text.windows(old.len()).enumerate().filter(|(_, window)| *window == quoted.as_slice());
        fits.filter_map(|(first, _)| {
            let indents = match how {
                Match::Exact | Match::TrailingSpace => Some(Indents::default()),
                Match::Indentation | Match::LookAlikes => Indents::between(old, self.matched(first, old.len()).map(|line| line.text)),
            };
            if indents.is_none() && !lost::is_flat(old) {
                return None;
            }
            Some(Window { first, indents })
        })
        .collect()
    }

    fn matched(&self, first: usize, count: usize) -> impl Iterator<Item = &Line<'a>> {
        self.lines[first..first + count].iter()
    }

    /// What stands in a window once `old` has become `new`: lines that the edit does not change keep the file's own spelling.
    /// `None` where nothing tells how deep a new line belongs.
    pub(super) fn merged(&self, window: &Window<'_>, old: &[&str], new: &[&str]) -> Option<Vec<String>> {
        let indents = match &window.indents {
            Some(indents) if indents.is_none() || !(lost::is_flat(old) && lost::is_as_in_file(new)) => indents,
            _ => return lost::merged(&self.lines, window.first, old, new),
        };
        let matched = &self.lines[window.first..window.first + old.len()];
        let mut merged = Vec::new();
        for op in capture_diff_slices(Algorithm::Myers, old, new) {
            match op.tag() {
                DiffTag::Equal => merged.extend(matched[op.old_range()].iter().map(|line| line.text.to_owned())),
                DiffTag::Delete => {}
                DiffTag::Insert | DiffTag::Replace => merged.extend(new[op.new_range()].iter().map(|line| {
                    // A line that the quotation has with look-alikes, and that comes once more, is meant as the file has it.
                    let quoted =
                        matches!(plain(line), Cow::Owned(plain) if plain != **line).then(|| old.iter().position(|old| old == line));
                    quoted.flatten().map_or_else(|| indents.adapt(line), |index| matched[index].text.to_owned())
                })),
            }
        }
        Some(merged)
    }

    /// The edit that puts `replacement` in place of `count` whole lines from `first` on. A missing final newline stays missing.
    pub(super) fn hit(&self, first: usize, count: usize, replacement: &[String]) -> Hit {
        let position = |index: usize| self.lines.get(index).map_or(self.text.len(), |line| line.start);
        let (mut start, end) = (position(first), position(first + count));
        let mut replacement: String = replacement.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        if end == self.text.len() && !self.text.is_empty() && !self.text.ends_with('\n') {
            match replacement.pop() {
                None if start < end => start = start.saturating_sub(1),
                Some(_) if start == end => replacement.insert(0, '\n'),
                _ => {}
            }
        }
        Hit { range: start..end, replacement, line: first + 1 }
    }
}

/// The lines of a text; a final line feed ends the last one and does not start another.
pub(super) fn split(text: &str) -> Vec<&str> {
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
        Match::LookAlikes => match plain(line) {
            Cow::Borrowed(line) => Cow::Borrowed(line.trim()),
            Cow::Owned(line) => Cow::Owned(line.trim().to_owned()),
        },
    }
}

/// Typographic characters as the ones on a keyboard.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
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
    Cow::Owned(plain)
}
