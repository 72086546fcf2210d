//! A text with its line endings set aside, so that it can be searched as if every line ended in `\n`.

use std::ops::Range;

use super::Match;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// One place in [`Text::normal`] and what shall stand there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    pub range: Range<usize>,
    pub replacement: String,
    /// The first line of the range, from 1.
    pub line: usize,
}

impl Hit {
    /// Whether nothing is taken out and nothing put in.
    pub(super) fn changes_nothing(&self) -> bool {
        self.range.is_empty() && self.replacement.is_empty()
    }

    /// What stands there in `text` and what shall, where it was not found exactly.
    pub(super) fn became(&self, how: Match, text: &str) -> Option<(String, String)> {
        (how != Match::Exact).then(|| (text[self.range.clone()].to_owned(), self.replacement.clone()))
    }
}

pub(super) struct Text<'a> {
    original: &'a str,
    /// Bytes before the first character that counts.
    start: usize,
    normal: String,
    /// Where in `normal` the line feeds lie that follow a carriage return in `original`.
    carriage_returns: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn parse(original: &'a str) -> Self {
        let body = original.strip_prefix(BYTE_ORDER_MARK).unwrap_or(original);
        let mut normal = String::with_capacity(body.len());
        let mut carriage_returns = Vec::new();
        for (index, part) in body.split("\r\n").enumerate() {
            if index > 0 {
                carriage_returns.push(normal.len());
                normal.push('\n');
            }
            normal.push_str(part);
        }
        Self { original, start: original.len() - body.len(), normal, carriage_returns }
    }

    /// The text with `\n` after every line and without a byte order mark.
    pub(super) fn normal(&self) -> &str {
        &self.normal
    }

    /// The original with every hit replaced; hits are in order and do not overlap.
    pub(super) fn replace(&self, hits: &[Hit]) -> String {
        let mut replaced = String::with_capacity(self.original.len());
        let mut done = 0;
        for hit in hits {
            replaced.push_str(&self.original[done..self.position(hit.range.start)]);
            if self.ends_lines_with_return(&hit.range) {
                replaced.push_str(&hit.replacement.replace('\n', "\r\n"));
            } else {
                replaced.push_str(&hit.replacement);
            }
            done = self.position(hit.range.end);
        }
        replaced.push_str(&self.original[done..]);
        replaced
    }

    /// Where a position of `normal` lies in the original.
    fn position(&self, position: usize) -> usize {
        self.start + position + self.carriage_returns.partition_point(|feed| *feed < position)
    }

    /// Whether new lines in place of `range` end in CRLF: as its own first line does, else as most do.
    fn ends_lines_with_return(&self, range: &Range<usize>) -> bool {
        match self.normal[range.clone()].find('\n') {
            Some(feed) => self.carriage_returns.binary_search(&(range.start + feed)).is_ok(),
            None => self.carriage_returns.len() * 2 > self.normal.matches('\n').count(),
        }
    }
}
