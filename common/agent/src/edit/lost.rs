//! Quotations that have lost all their indentation, which then says nothing about how deep their lines belong.

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::indent::indentation;
use super::lines::Line;

/// Whether no line of a quotation is indented.
pub(super) fn is_flat(lines: &[&str]) -> bool {
    lines.iter().all(|line| line.trim().is_empty() || indentation(line).is_empty())
}

/// Whether `new` is indented as a file is whose lines all are: then it is meant as it stands.
pub(super) fn is_as_in_file(new: &[&str]) -> bool {
    let mut lines = new.iter().filter(|line| !line.trim().is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| !indentation(line).is_empty())
}

/// What `old` becomes once it is `new`. New lines that are indented as the file is are taken as they are; where they have lost
/// their indentation too, they are indented like the lines in whose place they come, or as the brackets above them ask for.
/// `None` where only the model can know: in blocks that indentation alone makes.
pub(super) fn merged(all: &[Line<'_>], first: usize, old: &[&str], new: &[&str]) -> Option<Vec<String>> {
    let matched = &all[first..first + old.len()];
    let trimmed = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| line.trim_start().to_owned()).collect() };
    let is_flat = is_flat(new);
    let covers_all = matched.iter().any(|line| !line.text.trim().is_empty() && indentation(line.text).is_empty());
    if !is_flat && !is_as_in_file(new) && !covers_all {
        return None;
    }
    let above = all[..first].iter().rev().map(|line| line.text).find(|line| !line.trim().is_empty());
    let mut merged: Vec<String> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &trimmed(old), &trimmed(new)) {
        let (was, is) = (&matched[op.old_range()], &new[op.new_range()]);
        if op.tag() == DiffTag::Equal {
            let own = |(was, is): (&Line<'_>, &&str)| {
                if is_flat || was.text.trim_end() == is.trim_end() { was.text.to_owned() } else { (*is).to_owned() }
            };
            merged.extend(was.iter().zip(is).map(own));
            continue;
        }
        for (index, line) in is.iter().enumerate() {
            merged.push(if !is_flat || line.trim().is_empty() {
                (*line).to_owned()
            } else if was.len() == is.len() {
                format!("{}{line}", indentation(was[index].text))
            } else {
                let before = merged.iter().rev().map(String::as_str).find(|line| !line.trim().is_empty());
                format!("{}{line}", below(before.or(above).unwrap_or_default(), line, all)?)
            });
        }
    }
    Some(merged)
}

/// The indentation of `line` right below the line `above`.
fn below(above: &str, line: &str, all: &[Line<'_>]) -> Option<String> {
    if above.trim_end().ends_with(':') || line.trim_end().ends_with(':') {
        return None;
    }
    let base = indentation(above);
    let opens = above.trim_end().ends_with(['{', '(', '[']);
    let closes = line.starts_with(['}', ')', ']']);
    Some(match (opens, closes) {
        (true, false) => format!("{base}{}", unit(all)),
        (false, true) => base.strip_suffix(unit(all).as_str()).unwrap_or(base).to_owned(),
        _ => base.to_owned(),
    })
}

/// What one level of indentation is in this file: the least that a line has.
fn unit(all: &[Line<'_>]) -> String {
    let indented = all.iter().filter(|line| !line.text.trim().is_empty()).map(|line| indentation(line.text));
    let least = indented.filter(|own| own.len() > 1 || own.starts_with('\t')).min_by_key(|own| own.len());
    least.unwrap_or("    ").to_owned()
}
