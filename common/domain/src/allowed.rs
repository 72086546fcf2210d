//! Which paths of a repository a job may change.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Why a glob is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GlobFault {
    /// There is nothing in it.
    #[error("{glob:?} is empty")]
    Empty {
        /// The glob.
        glob: String,
    },
    /// It would take something out again.
    #[error("{glob:?} begins with \"!\", and nothing can be taken out again: name only what may be changed")]
    Negated {
        /// The glob.
        glob: String,
    },
    /// It leads out of the repository.
    #[error("{glob:?} contains \"..\": paths lie below the root of the repository")]
    Upwards {
        /// The glob.
        glob: String,
    },
    /// It cannot be understood.
    #[error("{glob:?} is not a glob: {said}")]
    Invalid {
        /// The glob.
        glob: String,
        /// Why, in the parser's words.
        said: String,
    },
    /// All of them make a pattern that is too large.
    #[error("the globs together are too large: {said}")]
    TooLarge {
        /// Why, in the parser's words.
        said: String,
    },
}

/// The paths that may be changed: all of them, or those that fit a list of globs.
///
/// A glob with a slash counts from the root of the repository (`src/**`, `/Cargo.toml`), one without is about the
/// name of a file in any folder (`*.md`), one that ends in a slash means all that lies in that folder. `*` stays
/// within one folder, `**` does not.
#[derive(Clone, Debug, Default)]
pub struct AllowedPaths {
    only: Option<Only>,
}

#[derive(Clone, Debug)]
struct Only {
    globs: Vec<String>,
    set: GlobSet,
}

impl AllowedPaths {
    /// Every path.
    pub fn all() -> Self {
        Self::default()
    }

    /// No path: what holds where nobody can know which were meant.
    pub fn none() -> Self {
        Self { only: Some(Only { globs: Vec::new(), set: GlobSet::empty() }) }
    }

    /// The paths that fit one of `globs`.
    ///
    /// # Errors
    /// The number of the first one that is no glob, counted from 0, and why.
    pub fn of(globs: &[impl AsRef<str>]) -> Result<Self, (usize, GlobFault)> {
        let mut set = GlobSetBuilder::new();
        for (index, glob) in globs.iter().map(AsRef::as_ref).enumerate() {
            let anchored = anchored(glob).map_err(|fault| (index, fault))?;
            let built = GlobBuilder::new(&anchored).literal_separator(true).build();
            let invalid = |error: globset::Error| GlobFault::Invalid { glob: glob.to_owned(), said: error.kind().to_string() };
            set.add(built.map_err(|error| (index, invalid(error)))?);
        }
        let too_large = |error: globset::Error| GlobFault::TooLarge { said: error.to_string() };
        let set = set.build().map_err(|error| (globs.len().saturating_sub(1), too_large(error)))?;
        Ok(Self { only: Some(Only { globs: globs.iter().map(|glob| glob.as_ref().to_owned()).collect(), set }) })
    }

    /// Whether `path`, relative to the root and without `..`, may be changed.
    pub fn allows(&self, path: impl AsRef<Path>) -> bool {
        self.only.as_ref().is_none_or(|only| only.set.is_match(path))
    }

    /// The globs; `None` = every path is allowed.
    pub fn globs(&self) -> Option<&[String]> {
        self.only.as_ref().map(|only| only.globs.as_slice())
    }
}

/// Two lists of the same globs allow the same paths.
impl PartialEq for AllowedPaths {
    fn eq(&self, other: &Self) -> bool {
        self.globs() == other.globs()
    }
}

impl Eq for AllowedPaths {}

/// The glob as it is matched: from the root.
fn anchored(glob: &str) -> Result<String, GlobFault> {
    let owned = || glob.to_owned();
    if glob.trim().is_empty() {
        return Err(GlobFault::Empty { glob: owned() });
    }
    if glob.starts_with('!') {
        return Err(GlobFault::Negated { glob: owned() });
    }
    if glob.split('/').any(|part| part == "..") {
        return Err(GlobFault::Upwards { glob: owned() });
    }
    let from_root = glob.trim_start_matches("./").trim_start_matches('/');
    let mut anchored = if glob.contains('/') { from_root.to_owned() } else { format!("**/{glob}") };
    if anchored.ends_with('/') || anchored.is_empty() {
        anchored.push_str("**");
    }
    Ok(anchored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(globs: &[&str], path: &str) -> bool {
        AllowedPaths::of(globs).unwrap().allows(path)
    }

    #[test]
    fn a_glob_with_a_slash_counts_from_the_root_and_one_without_is_a_name() {
        assert!(allows(&["src/**"], "src/a/b.rs") && !allows(&["src/**"], "other/src/a.rs"));
        assert!(allows(&["*.md"], "docs/a.md") && allows(&["*.md"], "a.md") && !allows(&["*.md"], "a.mdx"));
        assert!(allows(&["/Cargo.toml"], "Cargo.toml") && !allows(&["/Cargo.toml"], "x/Cargo.toml"));
        assert!(allows(&["./docs/"], "docs/a/b.md") && !allows(&["docs/"], "docs") && !allows(&["docs/"], "x/docs/a.md"));
        assert!(allows(&["src/*"], "src/a.rs") && !allows(&["src/*"], "src/a/b.rs"));
        assert!(allows(&["/"], "any/thing") && allows(&["a", "b/**"], "b/c"));
    }

    #[test]
    fn all_allows_everything_and_none_nothing() {
        assert!(AllowedPaths::all().allows("a") && !AllowedPaths::none().allows("a"));
        assert_ne!(AllowedPaths::all(), AllowedPaths::none());
    }

    #[test]
    fn what_is_no_glob_is_named_with_its_place() {
        for (globs, place, words) in [
            (&["src/**", ""][..], 1, "is empty"),
            (&["!src/**"], 0, "nothing can be taken out"),
            (&["a/../b"], 0, "contains \"..\""),
            (&["a", "b", "src/[a"], 2, "unclosed character class"),
        ] {
            let (index, fault) = AllowedPaths::of(globs).unwrap_err();
            assert_eq!(index, place, "{globs:?}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
    }
}
