//! Unified diffs, as git writes them.

use std::ops::RangeInclusive;

use crate::review::Side;

/// What a diff says of one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileDiff {
    /// Where it is now; of a file that went, where it was.
    pub path: String,
    /// Where it was, where that is elsewhere.
    pub renamed_from: Option<String>,
    /// What changed; empty for binary files, modes and mere renames.
    pub hunks: Vec<Hunk>,
}

/// A place that changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hunk {
    /// What git writes behind the numbers: mostly the function around it.
    pub heading: String,
    /// Its lines in order.
    pub lines: Vec<HunkLine>,
}

/// A line of a hunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HunkLine {
    /// Its number in the text as it was; `None` = it is new.
    pub left: Option<u32>,
    /// Its number in the text as it is now; `None` = it went.
    pub right: Option<u32>,
    /// Without its mark.
    pub text: String,
}

impl FileDiff {
    /// Reads a whole diff. Lines that belong to none are passed over, so a diff that was cut is read as far as it goes.
    pub fn parse(diff: &str) -> Vec<Self> {
        let mut files: Vec<Self> = Vec::new();
        let mut lines = diff.lines();
        while let Some(line) = lines.next() {
            if let Some(rest) = line.strip_prefix("diff --git ") {
                // Both paths are the same unless the next lines say so.
                let path = rest.len().checked_sub(1).map(|length| rest[length / 2..].trim_start()).and_then(|path| path.strip_prefix("b/"));
                files.push(Self { path: path.unwrap_or_default().to_owned(), ..Self::default() });
                continue;
            }
            let Some(file) = files.last_mut() else { continue };
            if let Some(path) = line.strip_prefix("--- ").and_then(|path| name(path, "a/")) {
                file.path = path;
            } else if let Some(path) = line.strip_prefix("+++ ").and_then(|path| name(path, "b/")) {
                file.path = path;
            } else if let Some(path) = line.strip_prefix("rename from ") {
                file.renamed_from = Some(path.to_owned());
            } else if let Some(path) = line.strip_prefix("rename to ") {
                file.path = path.to_owned();
            } else if let Some((numbers, heading)) = line.strip_prefix("@@ -").and_then(|rest| rest.split_once(" @@"))
                && let Some(hunk) = hunk(numbers, heading, &mut lines)
            {
                file.hunks.push(hunk);
            }
        }
        files
    }

    /// The lines that can be spoken of on a side, as ranges in order.
    pub fn lines(&self, side: Side) -> Vec<RangeInclusive<u32>> {
        let of_hunk = |hunk: &Hunk| {
            let mut numbers = hunk.lines.iter().filter_map(|line| if side == Side::Left { line.left } else { line.right });
            let first = numbers.next()?;
            Some(first..=numbers.next_back().unwrap_or(first))
        };
        self.hunks.iter().filter_map(of_hunk).collect()
    }
}

/// The path in `--- a/…`; `None` for `/dev/null` and for names that git quotes. Behind a name with a blank stands a tab.
fn name(text: &str, prefix: &str) -> Option<String> {
    text.strip_suffix('\t').unwrap_or(text).strip_prefix(prefix).map(str::to_owned)
}

/// Reads as many lines as `-l,n +l,n` says: what looks like a header among them is text.
fn hunk<'a>(numbers: &str, heading: &str, lines: &mut (impl Iterator<Item = &'a str> + Clone)) -> Option<Hunk> {
    let (left, right) = numbers.split_once(" +")?;
    let range = |text: &str| {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse::<u32>().ok()?, count.parse::<u32>().ok()?))
    };
    let ((mut left, left_count), (mut right, right_count)) = (range(left)?, range(right)?);
    let (left_end, right_end) = (left.checked_add(left_count)?, right.checked_add(right_count)?);
    let mut hunk = Hunk { heading: heading.trim().to_owned(), lines: Vec::new() };
    while left < left_end || right < right_end {
        let mut ahead = lines.clone();
        let Some(line) = ahead.next() else { break };
        let (mark, text) = line.split_at_checked(1).unwrap_or((" ", ""));
        let (is_left, is_right) = match mark {
            "-" => (true, false),
            "+" => (false, true),
            " " => (true, true),
            // "\ No newline at end of file"
            "\\" => {
                *lines = ahead;
                continue;
            }
            _ => break,
        };
        *lines = ahead;
        hunk.lines.push(HunkLine { left: is_left.then_some(left), right: is_right.then_some(right), text: text.to_owned() });
        left += u32::from(is_left);
        right += u32::from(is_right);
    }
    Some(hunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::{ReviewComment, Severity};

    const DIFF: &str = "diff --git a/src/a.py b/src/a.py\nindex 1..2 100644\n--- a/src/a.py\n+++ b/src/a.py\n@@ -1,3 +1,4 @@ def x():\n one\n-two\n--- a/trap\n+++ b/trap\n+two\n+@@ -9 +9 @@\n@@ -20,2 +21,1 @@\n twenty\n-end\n\\ No newline at end of file\n\
        diff --git a/old name b/new name\nsimilarity index 90%\nrename from old name\nrename to new name\n--- a/old name\t\n+++ b/new name\t\n@@ -5 +5 @@\n-a\n+b\n\
        diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n--- a/gone.txt\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\
        diff --git a/pic.png b/pic.png\nindex 3..4 100644\nBinary files a/pic.png and b/pic.png differ\n";

    fn comment(path: &str, line: u32, side: Side) -> ReviewComment {
        ReviewComment { path: path.to_owned(), line, side, severity: Severity::Low, body: "x".to_owned() }
    }

    #[test]
    fn a_diff_is_read_by_its_numbers_whatever_its_lines_look_like() {
        let files = FileDiff::parse(DIFF);
        let paths: Vec<(&str, Option<&str>)> = files.iter().map(|file| (file.path.as_str(), file.renamed_from.as_deref())).collect();
        assert_eq!(paths, [("src/a.py", None), ("new name", Some("old name")), ("gone.txt", None), ("pic.png", None)]);
        assert_eq!((files[0].lines(Side::Left), files[0].lines(Side::Right)), (vec![1..=3, 20..=21], vec![1..=4, 21..=21]));
        assert_eq!((files[2].lines(Side::Left), files[2].lines(Side::Right)), (vec![1..=2], vec![]));
        assert_eq!(files[0].hunks[0].heading, "def x():");
        let shown: Vec<_> = files[0].hunks[0].lines.iter().map(|line| (line.left, line.right, line.text.as_str())).collect();
        let expected = [
            (Some(1), Some(1), "one"),
            (Some(2), None, "two"),
            (Some(3), None, "-- a/trap"),
            (None, Some(2), "++ b/trap"),
            (None, Some(3), "two"),
            (None, Some(4), "@@ -9 +9 @@"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_comment_must_be_at_a_line_of_the_change_and_is_told_which_there_are() {
        let files = FileDiff::parse(DIFF);
        for (path, line, side) in
            [("src/a.py", 4, Side::Right), ("src/a.py", 21, Side::Left), ("new name", 5, Side::Right), ("gone.txt", 1, Side::Left)]
        {
            assert_eq!(comment(path, line, side).fits(&files), Ok(()), "{path} {line} {side}");
        }
        let said = comment("src/a.py", 5, Side::Right).fits(&files).unwrap_err();
        assert_eq!(said, "line 5 of src/a.py (right) is not part of the change; the lines that are: 1-4, 21-21");
        let said = comment("gone.txt", 1, Side::Right).fits(&files).unwrap_err();
        assert_eq!(said, "line 1 of gone.txt (right) is not part of the change; the lines that are: none");
        let said = comment("b.py", 1, Side::Right).fits(&files).unwrap_err();
        assert_eq!(said, "\"b.py\" is not changed by this pull request; the changed files are src/a.py, new name, gone.txt, pic.png");
    }

    #[test]
    fn a_diff_that_was_cut_is_read_as_far_as_it_goes() {
        for end in 0..DIFF.len() {
            FileDiff::parse(&DIFF[..end]);
        }
        let cut = FileDiff::parse("diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,9 +1,9 @@\n one\n[… 7 bytes …]\n@@ -4294967295,9 +1 @@\n");
        assert_eq!((cut.len(), cut[0].lines(Side::Right)), (1, vec![1..=1]));
    }
}
