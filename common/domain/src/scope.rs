//! What a budget or a gate applies to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Mode;

/// A part of the work: everything, one mode, or one repository. A job belongs to three of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scope {
    /// Every job.
    All,
    /// The jobs of a mode.
    Mode(Mode),
    /// The jobs of a repository, `owner/name`.
    Repository(String),
}

/// A text that names no scope.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no scope {0:?}: expected all, mode:mechanic, mode:genius or repository:owner/name")]
pub struct NoScope(String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Mode(mode) => write!(f, "mode:{mode}"),
            Self::Repository(name) => write!(f, "repository:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let no_scope = || NoScope(text.to_owned());
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("mode", mode)) => mode.parse().map(Self::Mode).map_err(|_| no_scope()),
            Some(("repository", name)) => match name.split_once('/') {
                Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !text.contains(char::is_whitespace) => {
                    Ok(Self::Repository(format!("{owner}/{name}")))
                }
                _ => Err(no_scope()),
            },
            _ => Err(no_scope()),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_as_it_is_written() {
        for text in ["all", "mode:mechanic", "mode:genius", "repository:acme/shop"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_scope_is_told_what_does() {
        for text in ["", "everything", "mode:wizard", "repository:shop", "repository:/shop", "repository:acme/", "repository:a/b c", "mode"]
        {
            let said = text.parse::<Scope>().unwrap_err().to_string();
            assert!(said.contains(&format!("{text:?}")) && said.contains("repository:owner/name"), "{said}");
        }
    }
}
