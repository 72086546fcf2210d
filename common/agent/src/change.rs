//! The change that a review is about, as the model reads it.

use domain::diff::{FileDiff, HunkLine};
use domain::review::Side;

/// The most of a change that the first turn shows, in bytes; the rest is for the tool `show_diff`.
const SHOWN_BYTES: usize = 24_000;
/// The longest line that is shown, in characters.
const MOST_LINE_CHARS: usize = 400;
/// The most files that are named without being shown.
const MOST_NAMED: usize = 100;

/// What a pull request changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    files: Vec<FileDiff>,
}

impl Change {
    /// Of a unified diff as git writes it.
    pub fn of(diff: &str) -> Self {
        Self { files: FileDiff::parse(diff) }
    }

    /// What it does to each file.
    pub fn files(&self) -> &[FileDiff] {
        &self.files
    }

    /// As much of it as the first turn shows: whole files, the others by name.
    pub fn shown(&self) -> String {
        if self.files.is_empty() {
            return "(it changes nothing)".to_owned();
        }
        let (mut shown, mut named) = (String::new(), Vec::new());
        for file in &self.files {
            let block = rendered(file, 0);
            if shown.len() + block.len() <= SHOWN_BYTES {
                shown.push_str(&block);
                shown.push('\n');
            } else {
                named.push(heading(file));
            }
        }
        if !named.is_empty() {
            let more = named.len().saturating_sub(MOST_NAMED);
            named.truncate(MOST_NAMED);
            let more = if more > 0 { format!("\n{more} files more") } else { String::new() };
            shown.push_str(&format!("(not shown here; show_diff shows one at a time)\n{}{more}\n", named.join("\n")));
        }
        shown.trim_end().to_owned()
    }

    /// What it does to the file at `path`, from line `from` of the new text on, within `most` bytes; `None` where it does not
    /// change that file.
    pub(crate) fn file(&self, path: &str, from: u32, most: usize) -> Option<String> {
        let file = self.files.iter().find(|file| file.path == path)?;
        let whole = rendered(file, from);
        if whole.len() <= most {
            return Some(whole.trim_end().to_owned());
        }
        let cut = whole[..whole.floor_char_boundary(most)].rfind('\n').unwrap_or(0);
        Some(format!("{}\n(cut here; go on with from_line)", &whole[..cut]))
    }
}

fn heading(file: &FileDiff) -> String {
    let lines = || file.hunks.iter().flat_map(|hunk| &hunk.lines);
    let (added, removed) = (lines().filter(|line| line.left.is_none()).count(), lines().filter(|line| line.right.is_none()).count());
    let renamed = file.renamed_from.as_ref().map(|from| format!(", was {from}")).unwrap_or_default();
    let without = if file.hunks.is_empty() { ", no lines to show" } else { "" };
    format!("{} (+{added} -{removed}{renamed}{without})", file.path)
}

fn rendered(file: &FileDiff, from: u32) -> String {
    let mut text = format!("{}\n", heading(file));
    let right = file.lines(Side::Right);
    for hunk in &file.hunks {
        let last = hunk.lines.iter().rev().find_map(|line| line.right);
        if from > 0 && last.is_some_and(|last| last < from) && !right.is_empty() {
            continue;
        }
        text.push_str(&format!("@@ {}\n", hunk.heading));
        text.extend(hunk.lines.iter().filter(|line| line.right.is_none_or(|right| right >= from)).map(numbered));
    }
    text
}

fn numbered(line: &HunkLine) -> String {
    let (number, mark) = match (line.left, line.right) {
        (_, Some(right)) => (right, if line.left.is_some() { ' ' } else { '+' }),
        (left, None) => (left.unwrap_or_default(), '-'),
    };
    let shown: String = line.text.chars().take(MOST_LINE_CHARS).collect();
    let more = if shown.len() < line.text.len() { " […]" } else { "" };
    format!("{number:>6} {mark} {shown}{more}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_numbers_by_which_they_are_spoken_of() {
        let change =
            Change::of("diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -7,2 +7,3 @@ fn x\n one\n-two\n+2\n+3\ndiff --git a/p.png b/p.png\n");
        let expected = "a (+2 -1)\n@@ fn x\n     7   one\n     8 - two\n     8 + 2\n     9 + 3\n\np.png (+0 -0, no lines to show)";
        assert_eq!(change.shown(), expected);
        assert_eq!(Change::of("").shown(), "(it changes nothing)");
    }

    #[test]
    fn a_large_change_shows_whole_files_and_names_the_others() {
        let file = |name: &str, lines: usize| {
            let added: String = (0..lines).map(|number| format!("+line {number}\n")).collect();
            format!("diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -0,0 +1,{lines} @@\n{added}")
        };
        let change = Change::of(&[file("a", 10), file("big", 3_000), file("z", 10)].concat());
        let shown = change.shown();
        assert!(shown.starts_with("a (+10 -0)\n") && shown.contains("\n\nz (+10 -0)\n"), "{shown}");
        assert!(shown.ends_with("(not shown here; show_diff shows one at a time)\nbig (+3000 -0)"), "{shown}");
        let part = change.file("big", 2_900, 1_000).unwrap();
        assert!(
            part.contains("  2900 + line 2899") && !part.contains(" 2899 +") && part.ends_with("(cut here; go on with from_line)"),
            "{part}"
        );
        assert_eq!(change.file("none", 0, 1_000), None);
    }
}
