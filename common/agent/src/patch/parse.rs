//! From the text of a patch to its sections.

use super::Section;
use super::envelope::{is_header, open};
use crate::edit::Hunk;

/// Why a text is no patch.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} of the patch: {reason}")]
pub(crate) struct PatchError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong and how to put it right.
    pub reason: String,
}

/// Some lines of the patch, with their numbers.
type Lines<'a> = [(usize, &'a str)];

/// The sections of a patch, at least one.
///
/// # Errors
/// [`PatchError`] for the first line that has no meaning.
pub(crate) fn parse(text: &str) -> Result<Vec<Section>, PatchError> {
    let lines = open(text)?;
    let mut sections = Vec::new();
    let mut rest = lines.as_slice();
    while let Some(((number, line), after)) = rest.split_first() {
        if line.trim().is_empty() {
            rest = after;
            continue;
        }
        let end = after.iter().position(|(_, line)| is_header(line)).unwrap_or(after.len());
        sections.push(section(*number, line, &after[..end])?);
        rest = &after[end..];
    }
    if sections.is_empty() {
        return Err(wrong(1, "there is nothing between its marks"));
    }
    Ok(sections)
}

fn section(number: usize, header: &str, body: &Lines<'_>) -> Result<Section, PatchError> {
    let path = |start: &str| header.strip_prefix(start).map(|path| path.trim().to_owned());
    if let Some(path) = path("*** Add File:") {
        Ok(Section::Add { path, content: content(body)? })
    } else if let Some(path) = path("*** Delete File:") {
        match body.iter().find(|(_, line)| !line.trim().is_empty()) {
            Some((number, line)) if line.starts_with("***") => Err(no_header(*number, line)),
            Some((number, _)) => Err(wrong(*number, "nothing follows `*** Delete File:` but the next file")),
            None => Ok(Section::Delete { path }),
        }
    } else if let Some(path) = path("*** Update File:") {
        let (move_to, body) = match body.split_first() {
            Some(((_, line), rest)) if line.starts_with("*** Move to:") => (Some(line["*** Move to:".len()..].trim().to_owned()), rest),
            _ => (None, body),
        };
        let hunks = hunks(body)?;
        if hunks.is_empty() && move_to.is_none() {
            return Err(wrong(number, "nothing is changed in this file: give its hunks, each after a line `@@`"));
        }
        Ok(Section::Update { path, move_to, hunks })
    } else {
        Err(no_header(number, header))
    }
}

fn no_header(number: usize, line: &str) -> PatchError {
    let line = line.trim_end();
    wrong(number, &format!("`{line}` begins no file: use `*** Add File: `, `*** Delete File: ` or `*** Update File: `"))
}

/// A new file. Empty lines may lack their `+`, but not at the end, where they only set sections apart.
fn content(body: &Lines<'_>) -> Result<String, PatchError> {
    let (mut content, mut blank) = (String::new(), 0);
    for (number, line) in body {
        if let Some(line) = line.strip_prefix('+') {
            content.push_str(&"\n".repeat(std::mem::take(&mut blank)));
            content.push_str(line);
            content.push('\n');
        } else if line.trim().is_empty() {
            blank += 1;
        } else if line.starts_with("\\ No newline") {
            content.pop();
        } else if line.trim_end() != END_OF_FILE {
            return Err(wrong(*number, &format!("every line of a new file begins with +, and this is `{line}`")));
        }
    }
    Ok(content)
}

const END_OF_FILE: &str = "*** End of File";

fn hunks(body: &Lines<'_>) -> Result<Vec<Hunk>, PatchError> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut open: Option<Hunk> = None;
    for (index, (number, line)) in body.iter().enumerate() {
        if is_header_of_diff(line, body.get(index + 1)) && open.is_none() {
            continue;
        }
        if let Some(anchor) = line.strip_prefix("@@") {
            if open.as_ref().is_some_and(|hunk| !hunk.old.is_empty() || !hunk.new.is_empty()) {
                hunks.extend(open.take().and_then(finished));
            }
            anchored(open.get_or_insert_default(), anchor);
            continue;
        }
        if line.trim_end() == END_OF_FILE {
            if let Some(hunk) = open.take() {
                hunks.extend(finished(Hunk { at_end: true, ..hunk }));
            }
            continue;
        }
        if line.starts_with("*** ") {
            return Err(wrong(*number, &format!("`{}` has no meaning here", line.trim_end())));
        }
        // The first hunk may lack its @@, and blank lines before it are none of it.
        if open.is_none() && line.trim().is_empty() {
            continue;
        }
        add_line(open.get_or_insert_default(), line);
    }
    hunks.extend(open.and_then(finished));
    Ok(hunks)
}

/// `--- a/path` and `+++ b/path`, which belong to another format.
fn is_header_of_diff(line: &str, next: Option<&(usize, &str)>) -> bool {
    line.starts_with("+++ ") || (line.starts_with("--- ") && next.is_some_and(|(_, next)| next.starts_with("+++ ")))
}

/// One line of a hunk. Models forget the space before lines of context: before empty ones often, before others now and then.
fn add_line(hunk: &mut Hunk, line: &str) {
    let (old, new) = (&mut hunk.old, &mut hunk.new);
    match line.chars().next() {
        Some('+') => new.push(line[1..].to_owned()),
        Some('-') => old.push(line[1..].to_owned()),
        Some('\\') if line.starts_with("\\ No newline") => return,
        first => {
            let text = if first == Some(' ') { &line[1..] } else { line };
            old.push(text.to_owned());
            new.push(text.to_owned());
        }
    }
    hunk.loose_end = if line.is_empty() { hunk.loose_end + 1 } else { 0 };
}

/// What stands after `@@`: lines above the hunk, outer ones first, and the line numbers of a unified diff, closed by `@@` or not.
fn anchored(hunk: &mut Hunk, text: &str) {
    let text = text.trim();
    for part in text.strip_suffix("@@").unwrap_or(text).split(" @@ ").map(str::trim) {
        if let Some(line) = first_of_ranges(part) {
            hunk.near_line = Some(line).filter(|line| *line > 0);
        } else if !part.trim_matches(['.', '…', ' ']).is_empty() {
            hunk.anchors.push(part.to_owned());
        }
    }
}

/// The line that a hunk begins at by `-12,7 +12,8`; its counts may lack, and so may all that says where it comes to stand.
fn first_of_ranges(text: &str) -> Option<usize> {
    let range = |text: &str| -> Option<usize> {
        let (first, count) = text.split_once(',').unwrap_or((text, "1"));
        count.parse::<usize>().ok().and(first.parse().ok())
    };
    let ranges = text.strip_prefix('-')?;
    let (old, new) = ranges.split_once(" +").unwrap_or((ranges, "0"));
    range(new.trim())?;
    range(old.trim())
}

/// A hunk with all its lines; `None` when it has none. Blank lines alone are no context.
fn finished(mut hunk: Hunk) -> Option<Hunk> {
    if hunk.old.len() == hunk.loose_end && hunk.loose_end > 0 {
        hunk.old.clear();
        hunk.new.truncate(hunk.new.len().saturating_sub(hunk.loose_end));
        hunk.loose_end = 0;
    }
    if hunk.old.is_empty() && hunk.new.is_empty() { None } else { Some(hunk) }
}

fn wrong(line: usize, reason: &str) -> PatchError {
    PatchError { line, reason: reason.to_owned() }
}
