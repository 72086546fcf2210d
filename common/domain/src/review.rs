//! Reviews: comments on lines of a change, and which lines a change has.

use serde::{Deserialize, Serialize};

use crate::diff::FileDiff;

/// Which text of a changed file a line belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Side {
    /// As it was.
    Left,
    /// As it is now.
    #[default]
    Right,
}

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// It must not be merged like this.
    High,
    /// It should be put right.
    Medium,
    /// It could be better.
    Low,
}

/// A finding at a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewComment {
    /// The file, from the root of the repository.
    pub path: String,
    /// From 1, in the text that `side` says.
    pub line: u32,
    /// The text the line is of.
    #[serde(default)]
    pub side: Side,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, what follows, what would repair it; Markdown.
    pub body: String,
}

impl ReviewComment {
    /// Whether the line is part of the change, as a forge demands it of comments (changed lines and those shown around them).
    ///
    /// # Errors
    /// What is wrong and which lines are possible, for whoever wrote the comment.
    pub fn fits(&self, change: &[FileDiff]) -> Result<(), String> {
        const MOST_FILES: usize = 20;
        let Self { path, line, side, .. } = self;
        let Some(file) = change.iter().find(|file| file.path == *path) else {
            let more = if change.len() > MOST_FILES { ", …" } else { "" };
            let files: Vec<&str> = change.iter().take(MOST_FILES).map(|file| file.path.as_str()).collect();
            return Err(format!("{path:?} is not changed by this pull request; the changed files are {}{more}", files.join(", ")));
        };
        let lines = file.lines(*side);
        if lines.iter().any(|range| range.contains(line)) {
            return Ok(());
        }
        let possible: Vec<String> = lines.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
        let possible = if possible.is_empty() { "none".to_owned() } else { possible.join(", ") };
        Err(format!("line {line} of {path} ({side}) is not part of the change; the lines that are: {possible}"))
    }
}
