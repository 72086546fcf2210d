//! Changes that reach further than the code: who may merge, what runs on a push, what a checkout brings along. A job hands them in
//! only where the repository says so.

use std::collections::BTreeSet;
use std::path::Path;

/// A kind of change that a repository has to permit by name (`sensitive_changes` in `.codeteam.toml`).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum Sensitive {
    /// What GitHub runs: files in `.github/workflows` and `.github/actions`.
    Workflows,
    /// Who has to agree: CODEOWNERS, wherever GitHub reads it.
    Codeowners,
    /// Other repositories within this one: `.gitmodules` and the commits that it names.
    Submodules,
    /// Files that lead elsewhere.
    Symlinks,
}

/// What a path holds in a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing.
    None,
    /// A file.
    File,
    /// A symbolic link.
    Symlink,
    /// A submodule's commit.
    Submodule,
}

impl Sensitive {
    /// What makes a change at `path` sensitive; `None` = nothing.
    pub fn of(path: &Path, before: Entry, after: Entry) -> Option<Self> {
        let entries = [before, after];
        // GitHub's own look-up ignores no case, and file systems that do would write to the same place.
        let path = path.to_string_lossy().to_lowercase();
        if entries.contains(&Entry::Submodule) || path == ".gitmodules" {
            Some(Self::Submodules)
        } else if is_at_or_below(&path, ".github/workflows") || is_at_or_below(&path, ".github/actions") || path == ".github" {
            Some(Self::Workflows)
        } else if ["codeowners", "docs/codeowners", ".github/codeowners"].contains(&path.as_str()) {
            Some(Self::Codeowners)
        } else if entries.contains(&Entry::Symlink) {
            Some(Self::Symlinks)
        } else {
            None
        }
    }
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a repository permits of it.
pub type Permitted = BTreeSet<Sensitive>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_further_than_the_code_is_sensitive() {
        let of = |path: &str, before, after| Sensitive::of(Path::new(path), before, after);
        let file = |path| of(path, Entry::File, Entry::File);
        for path in [".github/workflows/ci.yml", ".GitHub/Workflows/ci.yml", ".github/actions/a/action.yml"] {
            assert_eq!(file(path), Some(Sensitive::Workflows), "{path}");
        }
        for path in ["CODEOWNERS", "docs/CODEOWNERS", ".github/CODEOWNERS"] {
            assert_eq!(file(path), Some(Sensitive::Codeowners), "{path}");
        }
        assert_eq!(file(".gitmodules"), Some(Sensitive::Submodules));
        assert_eq!(of("vendor/lib", Entry::None, Entry::Submodule), Some(Sensitive::Submodules));
        assert_eq!(of("vendor/lib", Entry::Submodule, Entry::None), Some(Sensitive::Submodules));
        assert_eq!(of("a", Entry::File, Entry::Symlink), Some(Sensitive::Symlinks));
        assert_eq!(of("a", Entry::Symlink, Entry::None), Some(Sensitive::Symlinks));
        // A link in the place of the folder would bring its own workflows.
        assert_eq!(of(".github", Entry::None, Entry::Symlink), Some(Sensitive::Workflows));
        assert_eq!(of(".github/workflows", Entry::None, Entry::Symlink), Some(Sensitive::Workflows));
    }

    #[test]
    fn the_code_is_not() {
        for path in ["src/lib.rs", ".github/ISSUE_TEMPLATE/bug.md", "src/CODEOWNERS", "workflows/ci.yml", ".github/dependabot.yml"] {
            assert_eq!(Sensitive::of(Path::new(path), Entry::File, Entry::File), None, "{path}");
        }
    }
}
