//! How the indentation of a quotation becomes that of the file.

use std::collections::BTreeMap;

/// Which indentation of the quotation stands for which of the file. Empty = every line stays as it is.
#[derive(Debug, Default)]
pub(super) struct Indents<'a> {
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Indents<'a> {
    /// Compares lines that are equal but for their indentation. `None` when one indentation of the
    /// quotation stands for two of the file: then the quotation is not this passage.
    pub(super) fn between(quoted: &[&'a str], file: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut pairs = BTreeMap::new();
        for (quoted, file) in quoted.iter().zip(file).filter(|(quoted, _)| !quoted.trim().is_empty()) {
            let (from, to) = (indentation(quoted), indentation(file));
            if *pairs.entry(from).or_insert(to) != to {
                return None;
            }
        }
        Some(Self { pairs })
    }

    /// Whether every line stays as it is.
    pub(super) fn is_none(&self) -> bool {
        self.pairs.is_empty()
    }

    /// `line` with the indentation that it has in the file's terms.
    pub(super) fn adapt(&self, line: &str) -> String {
        if line.trim().is_empty() || self.pairs.is_empty() {
            return line.to_owned();
        }
        let own = indentation(line);
        let rest = &line[own.len()..];
        format!("{}{rest}", self.translated(own))
    }

    fn translated(&self, own: &str) -> String {
        if let Some(known) = self.pairs.get(own) {
            return (*known).to_owned();
        }
        let deepest = self.pairs.iter().filter(|(from, _)| own.starts_with(**from)).max_by_key(|(from, _)| from.len());
        if let Some((from, to)) = deepest {
            return format!("{to}{}", self.in_units_of_file(&own[from.len()..]));
        }
        let shallowest = self.pairs.iter().filter(|(from, _)| from.starts_with(own)).min_by_key(|(from, _)| from.len());
        let outer = shallowest.and_then(|(from, to)| to.strip_suffix(self.in_units_of_file(&from[own.len()..]).as_str()));
        outer.unwrap_or(own).to_owned()
    }

    /// Deeper indentation, with tabs for spaces or spaces for tabs where the file has the others.
    fn in_units_of_file(&self, deeper: &str) -> String {
        let all = |text: &str, c: char| !text.is_empty() && text.chars().all(|other| other == c);
        for (from, to) in &self.pairs {
            if all(from, ' ') && all(to, '\t') && all(deeper, ' ') && from.len() % to.len() == 0 {
                return "\t".repeat(deeper.len().div_ceil(from.len() / to.len()));
            }
            if all(from, '\t') && all(to, ' ') && all(deeper, '\t') && to.len() % from.len() == 0 {
                return " ".repeat(deeper.len() * (to.len() / from.len()));
            }
        }
        deeper.to_owned()
    }
}

/// The space that a line begins with.
pub(super) fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}
