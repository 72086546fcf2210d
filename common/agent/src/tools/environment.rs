//! What the model's commands find around them: variables, which are built and never inherited, and walls.

use std::collections::BTreeMap;
use std::path::Path;

use process::Sandbox;

/// Every variable that a command sees, and the walls that it runs behind.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    sandbox: Option<Sandbox>,
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
        Self { variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), sandbox: None }
    }

    /// Puts the tools behind these walls: commands run in there, and file tools act as the user of its slot.
    #[must_use]
    pub fn behind(self, sandbox: Sandbox) -> Self {
        Self { sandbox: Some(sandbox), ..self }
    }

    /// The walls; `None` = none.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
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
