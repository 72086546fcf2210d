//! Finds the patch in what a model sends: within a here-document, a fenced block, or alone.

use super::PatchError;

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";

/// The lines between the marks, with their numbers in `text` from 1. Several envelopes in a row count as one.
///
/// The last end mark may be missing: the call itself is whole, or it would not be valid JSON.
pub(super) fn open(text: &str) -> Result<Vec<(usize, &str)>, PatchError> {
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
    let begins = |line: &str| line.trim() == BEGIN;
    let first = lines.iter().position(|(_, line)| begins(line));
    let Some(first) = first.map(|index| index + 1).or_else(|| lines.iter().position(|(_, line)| is_header(line))) else {
        let seen = lines.iter().map(|(_, line)| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
        return Err(PatchError { line: 1, reason: format!("a patch begins with `{BEGIN}`, and this one with `{seen}`") });
    };
    let mut inside = Vec::new();
    let mut open = true;
    for (number, line) in lines[first..].iter().copied() {
        match line.trim_end() {
            END => open = false,
            BEGIN => open = true,
            _ if open => inside.push((number, line)),
            _ => {}
        }
    }
    if open {
        drop_wrapping(&mut inside, lines[..first].iter().map(|(_, line)| *line));
    }
    Ok(inside)
}

/// A line that begins a section.
pub(super) fn is_header(line: &str) -> bool {
    ["*** Add File:", "*** Delete File:", "*** Update File:"].iter().any(|start| line.starts_with(start))
}

/// Without an end mark, what closes the wrapping would be taken for a part of the patch.
fn drop_wrapping<'a>(inside: &mut Vec<(usize, &str)>, before: impl Iterator<Item = &'a str>) {
    let closing: Vec<String> = before
        .filter_map(|line| match line.split_once("<<") {
            Some((_, word)) => Some(word.trim_start_matches('-').trim().trim_matches(['\'', '"']).to_owned()),
            None => line.trim().starts_with("```").then(|| "```".to_owned()),
        })
        .collect();
    while let Some((_, line)) = inside.last() {
        if !closing.iter().any(|word| word == line.trim()) {
            return;
        }
        inside.pop();
    }
}
