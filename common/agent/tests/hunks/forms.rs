//! How models quote the lines of a hunk, from faithfully to badly.

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::sources::{Hunk, Pair};

/// The hunk as it would be quoted; `None` where there is nothing to lose.
pub fn dedented(hunk: &Hunk) -> Option<Hunk> {
    let lines = || hunk.old.iter().chain(&hunk.new).filter(|line| !line.trim().is_empty());
    let common = lines().map(|line| indentation(line)).reduce(|a, b| {
        if a.starts_with(b) {
            b
        } else if b.starts_with(a) {
            a
        } else {
            ""
        }
    })?;
    if common.is_empty() {
        return None;
    }
    Some(map(hunk, |line| line.strip_prefix(common).unwrap_or(line.trim_start_matches([' ', '\t'])).to_owned()))
}

/// Every line from its first word on.
pub fn flat(hunk: &Hunk) -> Option<Hunk> {
    let flat = map(hunk, |line| line.trim_start_matches([' ', '\t']).to_owned());
    (flat.old != hunk.old).then_some(flat)
}

/// The same for what stands there, while what comes is as it should be.
pub fn flat_old(hunk: &Hunk) -> Option<Hunk> {
    flat(hunk).map(|flat| Hunk { new: hunk.new.clone(), ..flat })
}

/// Tabs where the file has four spaces.
pub fn tabs(hunk: &Hunk) -> Option<Hunk> {
    let lines = || hunk.old.iter().chain(&hunk.new).filter(|line| !line.trim().is_empty());
    if lines().any(|line| !indentation(line).chars().all(|c| c == ' ') || !indentation(line).len().is_multiple_of(4)) {
        return None;
    }
    let tabs = map(hunk, |line| "\t".repeat(indentation(line).len() / 4) + line.trim_start_matches(' '));
    (tabs.old != hunk.old).then_some(tabs)
}

/// Space at the ends of some lines that stand there, none where there is some.
pub fn trailing(hunk: &Hunk) -> Option<Hunk> {
    let mut count = 0;
    let quoted = quoted(hunk, |line| {
        count += 1;
        format!("{}{}\n", line.trim_end(), if count % 3 == 0 { "  " } else { "" })
    });
    (quoted.old != hunk.old).then_some(quoted)
}

/// Typographic quotation marks and dashes in the lines that stand there.
pub fn typographic(hunk: &Hunk) -> Option<Hunk> {
    let quoted = quoted(hunk, |line| line.replace('"', "\u{201d}").replace('\'', "\u{2019}").replace(" - ", " \u{2013} "));
    (quoted.old != hunk.old).then_some(quoted)
}

/// Changes the quotation of what stands there; what comes is meant as it is.
fn quoted(hunk: &Hunk, change: impl FnMut(&String) -> String) -> Hunk {
    let old: Vec<String> = hunk.old.iter().map(change).collect();
    let mut new = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &hunk.old, &hunk.new) {
        match op.tag() {
            DiffTag::Equal => new.extend_from_slice(&old[op.old_range()]),
            _ => new.extend_from_slice(&hunk.new[op.new_range()]),
        }
    }
    Hunk { first: hunk.first, old, new }
}

/// The lines around the hunk that begin the blocks it lies in, outermost first: what a careful model writes after `@@`.
pub fn enclosing(pair: &Pair, hunk: &Hunk) -> Vec<String> {
    let before: Vec<&str> = pair.before.lines().collect();
    let own = hunk.old.iter().filter(|line| !line.trim().is_empty()).map(|line| indentation(line).len()).min().unwrap_or_default();
    let mut depth = own.max(1);
    let mut found = Vec::new();
    for line in before[..hunk.first].iter().rev() {
        let begins = line.trim_start().starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '#' | '@'));
        if begins && indentation(line).len() < depth {
            depth = indentation(line).len();
            found.push(line.trim().to_owned());
        }
        if depth == 0 {
            break;
        }
    }
    found.reverse();
    found
}

/// Line numbers as the header of a unified diff has them, `off` lines beside where the hunk stands.
pub fn numbers(hunk: &Hunk, off: usize) -> String {
    let line = hunk.first + 1 + off;
    format!("-{line},{} +{line},{} @@", hunk.old.len(), hunk.new.len())
}

/// How far a line number that is told from memory is off.
pub const MISREMEMBERED: usize = 2;

/// About where the hunk stands, as a line of its own below those that name the blocks.
pub fn line(hunk: &Hunk) -> String {
    format!("line {}", hunk.first + 1 + MISREMEMBERED)
}

/// The patch of one file, each hunk with its lines after `@@`.
pub fn patch<'a>(path: &str, hunks: impl IntoIterator<Item = (&'a Hunk, Vec<String>)>) -> String {
    let mut patch = format!("*** Begin Patch\n*** Update File: {path}\n");
    for (hunk, anchors) in hunks {
        let marks: Vec<String> =
            if anchors.is_empty() { vec!["@@\n".to_owned()] } else { anchors.iter().map(|line| format!("@@ {line}\n")).collect() };
        patch.extend(marks);
        let mut lines = |sign: char, line: &String| patch.push_str(&format!("{sign}{}\n", line.trim_end_matches(['\n', '\r'])));
        let diff = capture_diff_slices(Algorithm::Myers, &hunk.old, &hunk.new);
        for op in diff {
            let is_equal = op.tag() == DiffTag::Equal;
            hunk.old[op.old_range()].iter().for_each(|line| lines(if is_equal { ' ' } else { '-' }, line));
            if !is_equal {
                hunk.new[op.new_range()].iter().for_each(|line| lines('+', line));
            }
        }
    }
    patch + "*** End Patch\n"
}

/// The hunk with one line of its old text changed as if somebody else had been there; the line's index.
pub fn stale(hunk: &Hunk) -> Option<(usize, String)> {
    let worth = |line: &String| line.chars().filter(|c| c.is_alphanumeric()).count();
    let (index, line) = hunk.old.iter().enumerate().max_by_key(|(_, line)| worth(line))?;
    (worth(line) > 3).then(|| (index, format!("{} elsewhere\n", line.trim_end())))
}

fn map(hunk: &Hunk, change: impl Fn(&str) -> String) -> Hunk {
    let all = |lines: &[String]| lines.iter().map(|line| if line.trim().is_empty() { line.clone() } else { change(line) }).collect();
    Hunk { first: hunk.first, old: all(&hunk.old), new: all(&hunk.new) }
}

fn indentation(line: &str) -> &str {
    let rest = line.trim_start_matches([' ', '\t']);
    &line[..line.len() - rest.len()]
}
