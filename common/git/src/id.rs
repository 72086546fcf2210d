//! What git calls things, and who wrote them.

use std::fmt;
use std::str::FromStr;

use crate::GitError;

/// The id of a commit: 40 hexadecimal digits (SHA-1) or 64 (SHA-256), in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

/// The id of a tree, likewise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(String);

macro_rules! object_id {
    ($name:ident) => {
        impl $name {
            /// The digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = GitError;

            fn from_str(text: &str) -> Result<Self, GitError> {
                let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                match text.len() {
                    40 | 64 if text.bytes().all(is_digit) => Ok(Self(text.to_owned())),
                    _ => Err(GitError::Invalid { what: "object id", value: text.to_owned(), rule: "it has 40 or 64 hexadecimal digits in lower case" }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

object_id!(CommitId);
object_id!(TreeId);

/// The author of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// As people read it.
    pub name: String,
    /// The mail address.
    pub email: String,
}

impl Identity {
    /// Refuses what would not stay one field of one line.
    pub(crate) fn check(&self) -> Result<(), GitError> {
        let unfit = |text: &str| text.trim().is_empty() || text.contains(|char: char| char.is_control() || matches!(char, '<' | '>'));
        match [&self.name, &self.email].into_iter().find(|text| unfit(text)) {
            Some(text) => Err(GitError::Invalid {
                what: "author",
                value: text.clone(),
                rule: "name and address have text, and no line breaks or angle brackets",
            }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

/// Refuses names that git would refuse or take for something else (git-check-ref-format(1)).
pub(crate) fn check_branch(name: &str) -> Result<(), GitError> {
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock") || part.ends_with('.');
    let bad_char = |char: char| char.is_control() || " ~^:?*[\\".contains(char);
    if name.starts_with('-')
        || name == "@"
        || name.contains("..")
        || name.contains("@{")
        || name.contains(bad_char)
        || name.split('/').any(bad_part)
    {
        return Err(GitError::Invalid { what: "branch", value: name.to_owned(), rule: "see git-check-ref-format(1)" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_hexadecimal_and_whole() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(id.parse::<CommitId>().unwrap().to_string(), id);
        for wrong in ["", "main", &id[1..], &id.to_uppercase(), &format!("{id}0")] {
            assert!(wrong.parse::<TreeId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn branch_names_that_git_would_misread_are_refused() {
        for name in ["main", "codeteam/5f0c", "feature/a.b", "a@b"] {
            assert!(check_branch(name).is_ok(), "{name}");
        }
        for name in ["", "-f", "a..b", "a b", "a:b", "a/", "/a", "a//b", ".a", "a.lock", "a.", "@", "a@{1}", "a\n", "x*"] {
            assert!(check_branch(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_author_cannot_break_out_of_his_line() {
        let identity = |name: &str| Identity { name: name.into(), email: "team@example.com".into() };
        assert!(identity("Ana").check().is_ok());
        for name in ["", " ", "a\nb", "a <b"] {
            assert!(identity(name).check().is_err(), "{name:?}");
        }
    }
}
