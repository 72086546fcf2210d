//! Names of repositories.

use std::fmt;

/// A checked `owner/name`: safe as two path components and as a part of a URL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RepositoryName<'a> {
    owner: &'a str,
    name: &'a str,
}

/// A text that names no repository.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is not a repository: write it as owner/name, each of letters, digits, `-`, `_` and `.`")]
pub struct InvalidRepository(pub String);

impl<'a> RepositoryName<'a> {
    /// Checks `text`: one slash, at most 100 ASCII letters, digits, `-`, `_` and `.` on each side, and
    /// neither side starting with a dot, so that no name can climb out of a directory or hide in it.
    ///
    /// # Errors
    /// [`InvalidRepository`] with the text.
    pub fn parse(text: &'a str) -> Result<Self, InvalidRepository> {
        match text.split_once('/') {
            Some((owner, name)) if is_part(owner) && is_part(name) => Ok(Self { owner, name }),
            _ => Err(InvalidRepository(text.to_owned())),
        }
    }

    /// The user or organisation.
    pub fn owner(&self) -> &'a str {
        self.owner
    }

    /// The repository's name below its owner.
    pub fn name(&self) -> &'a str {
        self.name
    }
}

impl fmt::Display for RepositoryName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

fn is_part(part: &str) -> bool {
    (1..=100).contains(&part.len())
        && !part.starts_with('.')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        let repository = RepositoryName::parse("acme/shop.js").unwrap();
        assert_eq!((repository.owner(), repository.name(), repository.to_string().as_str()), ("acme", "shop.js", "acme/shop.js"));
    }

    #[test]
    fn nothing_that_could_leave_a_directory_is_a_repository() {
        let long = format!("acme/{}", "x".repeat(101));
        for text in
            ["", "acme", "/shop", "acme/", "../shop", "acme/..", "acme/.git", "acme/shop/x", "acme/sh op", "acme\\shop/x", "a\0/b", &long]
        {
            assert_eq!(RepositoryName::parse(text), Err(InvalidRepository(text.to_owned())), "{text:?}");
        }
    }
}
