//! What to say when a quotation stands nowhere: where it nearly does, and what differs.

use std::borrow::Cow;
use std::collections::HashMap;

use super::lines::plain;

const MOST_LINES: usize = 12;
const MOST_LINE_CHARS: usize = 160;
/// How alike the best line must be to be worth showing.
const LEAST_LIKENESS: f64 = 0.4;
/// Lines of a longer quotation that are looked for: more would not say better where it belongs.
const MOST_COMPARED: usize = 200;

/// What the model calls what it looks for and what it puts there.
#[derive(Clone, Copy)]
pub(super) struct Words {
    old: &'static str,
    new: &'static str,
}

impl Words {
    /// Of an edit.
    pub(super) const QUOTATION: Self = Self { old: "old", new: "new" };
    /// Of a patch.
    pub(super) const HUNK: Self = Self { old: "the hunk", new: "what it makes" };
}

/// Why `old` was not found in `text`.
pub(super) fn explain(text: &str, old: &str, new: &str, words: Words) -> String {
    let Words { old: name, new: result } = words;
    if !new.trim().is_empty() && !old.contains(new) && text.contains(new) {
        return format!("{name} stands nowhere, but {result} does: it seems to be done already");
    }
    let lines: Vec<&str> = text.lines().collect();
    let quoted: Vec<&str> = old.lines().collect();
    let Some(start) = best_window(&lines, &quoted).or_else(|| best_line(&lines, &quoted)) else {
        return format!("{name} stands nowhere, and nothing in the file is like it; read the file again");
    };
    let end = (start + quoted.len()).min(lines.len());
    let (reason, at) = first_difference(&lines[start..end], &quoted, start, name);
    // Of a long passage, the part with the difference.
    let first = start + at.saturating_sub(MOST_LINES / 2).min((end - start).saturating_sub(MOST_LINES));
    let shown = (first..end).take(MOST_LINES).map(|index| format!("{:>6}\t{}", index + 1, shortened(lines[index])));
    let shown: Vec<String> = shown.collect();
    format!("{name} stands nowhere; {reason}. The nearest lines of the file are\n{}", shown.join("\n"))
}

/// Where most lines of the quotation stand at their place; a line counts the more the rarer it is.
fn best_window(lines: &[&str], quoted: &[&str]) -> Option<usize> {
    let mut places: HashMap<Cow<'_, str>, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for (offset, line) in quoted.iter().enumerate().take(MOST_COMPARED) {
        let line = key(line);
        if line.chars().any(char::is_alphanumeric) {
            places.entry(line).or_default().0.push(offset);
        }
    }
    for (index, line) in lines.iter().enumerate() {
        if let Some((_, found)) = places.get_mut(&key(line)) {
            found.push(index);
        }
    }
    let mut weights: HashMap<usize, f64> = HashMap::new();
    for (offsets, found) in places.values() {
        for start in found.iter().flat_map(|index| offsets.iter().filter_map(|offset| index.checked_sub(*offset))) {
            *weights.entry(start).or_default() += 1.0 / found.len() as f64;
        }
    }
    let best = weights.into_iter().max_by(|(a, x), (b, y)| x.total_cmp(y).then(b.cmp(a)));
    best.map(|(start, _)| start)
}

/// Where the line stands that shares the most words with the first line of the quotation.
fn best_line(lines: &[&str], quoted: &[&str]) -> Option<usize> {
    let (offset, first) = quoted.iter().enumerate().find(|(_, line)| line.chars().any(char::is_alphanumeric))?;
    let wanted: Vec<&str> = words(first).collect();
    let scored = lines.iter().enumerate().map(|(index, line)| (likeness(line, &wanted), index));
    let (score, index) = scored.max_by(|(a, i), (b, j)| a.total_cmp(b).then(j.cmp(i)))?;
    if score < LEAST_LIKENESS { None } else { Some(index.saturating_sub(offset)) }
}

/// Shared words, as a part of all words of both (Dice).
fn likeness(line: &str, wanted: &[&str]) -> f64 {
    let mut left = wanted.to_vec();
    let (mut count, mut shared) = (wanted.len(), 0);
    for word in words(line) {
        count += 1;
        if let Some(index) = left.iter().position(|other| *other == word) {
            left.swap_remove(index);
            shared += 1;
        }
    }
    if count == 0 { 0.0 } else { 2.0 * f64::from(shared) / count as f64 }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What differs first, and how many lines behind the beginning.
fn first_difference(lines: &[&str], quoted: &[&str], start: usize, name: &str) -> (String, usize) {
    let differs = lines.iter().zip(quoted).position(|(line, quoted)| key(line) != key(quoted));
    match differs {
        Some(index) => {
            let (line, quoted) = (shortened(lines[index].trim()), shortened(quoted[index].trim()));
            (format!("line {} of the file is `{line}` where {name} has `{quoted}`", start + index + 1), index)
        }
        None if lines.len() < quoted.len() => {
            (format!("the file ends before {name} does: {name} has {} lines from here", quoted.len()), lines.len())
        }
        None => ("the words are the same and the indentation is not, in a way that does not tell which line is meant".to_owned(), 0),
    }
}

fn key(line: &str) -> Cow<'_, str> {
    match plain(line) {
        Cow::Borrowed(line) => Cow::Borrowed(line.trim()),
        Cow::Owned(line) => Cow::Owned(line.trim().to_owned()),
    }
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= MOST_LINE_CHARS { line.to_owned() } else { line.chars().take(MOST_LINE_CHARS).chain(['…']).collect() }
}
