//! The environment of the model's commands: built, never inherited.

use std::collections::BTreeMap;
use std::path::Path;

/// Every variable that a command sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// `path` is where programs are found. `home` is a folder outside the workspace that belongs to this
    /// job alone: caches and temporary files go there and do not end up in the change.
    pub fn new(path: &str, home: &Path) -> Self {
        let home = home.display().to_string();
        let variables = [
            ("PATH", path),
            ("HOME", &home),
            ("TMPDIR", &home),
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
            ("NO_COLOR", "1"),
            ("CI", "true"),
            ("PAGER", "cat"),
            ("GIT_PAGER", "cat"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ];
        Self { variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Adds one variable, or replaces it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// All of them.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
