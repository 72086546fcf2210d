//! Replaces passages of a text that a model quotes from memory.
//!
//! A quotation is looked for exactly, then without trailing space, then with another indentation, then
//! with look-alike characters; the first of these that fits decides, and it must fit one place only.
//! The hunks of a patch are whole lines that are looked for in the same way.
//! What is not replaced keeps every byte: line endings, byte order mark, a missing final newline.

mod anchors;
mod hunks;
mod indent;
mod ladder;
mod lines;
mod lost;
mod nearest;
mod numbers;
mod report;
mod text;

pub(crate) use hunks::{Hunk, apply_hunks};
use nearest::Words;
pub(crate) use report::report;
use text::Text;

/// One replacement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edit {
    /// What stands there.
    pub old: String,
    /// What shall stand there.
    pub new: String,
    /// Where `old` stands more than once: the line (from 1, of the text before all edits) nearest to the
    /// place that is meant.
    pub near_line: Option<usize>,
    /// Replaces every place.
    pub replace_all: bool,
}

/// How many lines away from `near_line` no model means: what it quotes is no longer where it saw it, and stands elsewhere by
/// chance. A quotation that only fits loosely does so by chance sooner.
const FAR: usize = 100;
const FAR_AND_LOOSE: usize = 20;

/// How a quotation was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Match {
    /// Byte for byte, line endings aside.
    Exact,
    /// Whole lines that differ in space at their ends.
    TrailingSpace,
    /// Whole lines whose indentation differs consistently; the new lines are indented like the old ones.
    Indentation,
    /// As before, and typographic characters count as their plain ones.
    LookAlikes,
}

impl Match {
    /// What the model is told about it.
    pub(crate) fn remark(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::TrailingSpace => " (space at the ends of lines differed)",
            Self::Indentation => " (indented as the file is)",
            Self::LookAlikes => " (typographic characters differed)",
        }
    }
}

/// What one edit did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Applied {
    /// The first line that it touched, from 1, in the text as this edit found it.
    pub line: usize,
    /// How many places it changed.
    pub count: usize,
    /// How they were found.
    pub how: Match,
    /// Where they were not found exactly: the first place as it was, and as it is.
    pub became: Option<(String, String)>,
}

/// Why no edit was made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("edit {no}: {reason}")]
pub(crate) struct EditError {
    /// Which edit, from 1.
    pub no: usize,
    /// Why, for the model.
    pub reason: String,
}

/// Makes all `edits` one after the other, or none.
///
/// # Errors
/// [`EditError`] for the first that cannot be made, with what would help.
pub(crate) fn apply(content: &str, edits: &[Edit]) -> Result<(String, Vec<Applied>), EditError> {
    if edits.is_empty() {
        return Err(EditError { no: 1, reason: "there are no edits".to_owned() });
    }
    let mut content = content.to_owned();
    let mut applied = Vec::new();
    let mut shifts = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let near_line = edit.near_line.map(|line| shifted(line, &shifts));
        let (next, done) = apply_one(&content, edit, near_line).map_err(|reason| EditError { no: index + 1, reason })?;
        shifts.push((done.line, next.lines().count() as i64 - content.lines().count() as i64));
        content = next;
        applied.push(done);
    }
    Ok((content, applied))
}

/// Where a line of the original text lies after edits that added or removed lines above it.
fn shifted(line: usize, shifts: &[(usize, i64)]) -> usize {
    shifts.iter().fold(line, |line, (at, delta)| if *at < line { line.saturating_add_signed(*delta as isize).max(1) } else { line })
}

fn apply_one(content: &str, edit: &Edit, near_line: Option<usize>) -> Result<(String, Applied), String> {
    let text = Text::parse(content);
    let (old, new) = (edit.old.replace("\r\n", "\n"), edit.new.replace("\r\n", "\n"));
    if old.is_empty() {
        return Err("old is empty; quote the text to replace, or use write_file".to_owned());
    }
    if old == new {
        return Err("old and new are the same".to_owned());
    }
    let Some(found) = ladder::find(text.normal(), &old, &new) else {
        return Err(nearest::explain(text.normal(), &old, &new, Words::QUOTATION));
    };
    let (how, hits) = (found.how, found.hits);
    let chosen = match (hits.len(), edit.replace_all, near_line) {
        (_, true, _) => ladder::without_overlaps(hits),
        (_, false, Some(line)) => {
            let hit = ladder::nearest_to(line, hits, |hit| hit.line)?;
            if hit.line.abs_diff(line) > if how == Match::Exact { FAR } else { FAR_AND_LOOSE } {
                return Err(format!(
                    "old stands at line {} only, far from line {line}; leave near_line out if that is the place",
                    hit.line
                ));
            }
            vec![hit]
        }
        (1, ..) => hits,
        (count, false, None) => {
            let lines: Vec<String> = hits.iter().take(10).map(|hit| hit.line.to_string()).collect();
            let more = if count > lines.len() { ", …" } else { "" };
            let lines = lines.join(", ");
            return Err(format!(
                "old stands in {count} places (lines {lines}{more}); quote more lines around it, or give near_line or replace_all"
            ));
        }
    };
    let done = Applied { line: chosen[0].line, count: chosen.len(), how, became: chosen[0].became(how, text.normal()) };
    Ok((text.replace(&chosen), done))
}

#[cfg(test)]
mod hunks_tests;
#[cfg(test)]
mod tests;
