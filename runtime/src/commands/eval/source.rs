//! A file that a person wrote, and the line of what is wrong in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// The text of a TOML file.
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads `path`.
    ///
    /// # Errors
    /// That it cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// Decodes it.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, String> {
        toml::from_str(&self.text).map_err(|error| self.at(error.span().unwrap_or_default(), error.message()))
    }

    /// `file:line: what`.
    pub(super) fn at(&self, span: Range<usize>, what: impl std::fmt::Display) -> String {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        format!("{}:{}: {what}", self.path.display(), before.matches('\n').count() + 1)
    }
}
