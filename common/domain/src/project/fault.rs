//! What can be wrong in the file, as data: a person reads it in the language of the issue, which is put into words elsewhere. Here are
//! the English ones, for logs and for whoever runs the product.

use std::fmt;

use strum::VariantNames;

use super::{CAPS, FILE, KEYS, MOST_BYTES};
use crate::{GlobFault, Sensitive};

/// Something wrong in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What, and what is right.
    pub wrong: Wrong,
    /// Because of it nobody knows which paths may be changed, so a change is not begun.
    pub hides_paths: bool,
}

/// What is wrong at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// The file has more than [`MOST_BYTES`].
    TooLarge,
    /// It is not UTF-8.
    NotText,
    /// It is not TOML.
    NotToml {
        /// Why, in the parser's words.
        said: String,
    },
    /// There is no such key.
    UnknownKey {
        /// The key.
        key: String,
    },
    /// There is no such cap.
    UnknownCap {
        /// Its key.
        key: String,
    },
    /// There is no such key, and it may have been meant to say which paths may be changed.
    NearlyAllowedPaths {
        /// The key.
        key: String,
    },
    /// The value is another than it should be.
    Expected {
        /// What it should be.
        wanted: Wanted,
        /// What it is.
        found: Found,
    },
    /// A glob is none.
    Glob(GlobFault),
}

/// What a value should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// One line of text.
    Line {
        /// Of at most so many characters.
        most_chars: usize,
    },
    /// The path of a file, from the root of the repository.
    Path,
    /// A name of a [`Network`](super::Network).
    Network,
    /// A list of kinds of [`Sensitive`](crate::Sensitive) changes.
    Sensitive,
    /// A list of at least one glob.
    Globs,
    /// A glob in quotes.
    Glob,
    /// A whole number above 0.
    Whole,
    /// A number of seconds above 0.
    Seconds,
    /// An amount of US dollars above 0.
    Dollars,
    /// The table of caps.
    Caps,
}

/// What a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// A text or a number, as it is written.
    Value(String),
    /// Something else, by TOML's name of its type.
    Type(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FILE}, line {}, column {}: {}", self.line, self.column, self.wrong)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the file has more than {MOST_BYTES} bytes"),
            Self::NotText => f.write_str("the file is not UTF-8 text"),
            Self::NotToml { said } => write!(f, "the file is not TOML: {said}"),
            Self::UnknownKey { key } => write!(f, "unknown key {key:?}; the keys are {}", listed(KEYS)),
            Self::UnknownCap { key } => write!(f, "unknown key {key:?} in caps; the keys are {}", listed(CAPS)),
            Self::NearlyAllowedPaths { key } => write!(f, "unknown key {key:?}: did you mean \"allowed_paths\"?"),
            Self::Expected { wanted, found } => write!(f, "expected {wanted}, found {found}"),
            Self::Glob(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { most_chars } => write!(f, "one line of text of at most {most_chars} characters"),
            Self::Path => f.write_str("the path of a file, from the root of the repository"),
            Self::Network => f.write_str("\"none\", \"loopback\" or \"fetch\""),
            Self::Sensitive => write!(f, "a list of {}", quoted(Sensitive::VARIANTS)),
            Self::Globs => f.write_str("a list of globs such as [\"src/**\", \"*.md\"]"),
            Self::Glob => f.write_str("a glob in quotes"),
            Self::Whole => f.write_str("a whole number above 0"),
            Self::Seconds => f.write_str("a number of seconds above 0"),
            Self::Dollars => f.write_str("an amount of US dollars above 0, such as 0.25"),
            Self::Caps => write!(f, "a table with {}", listed(CAPS)),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(shown) => f.write_str(shown),
            Self::Type(name) => write!(f, "a value of type {name}"),
        }
    }
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    let (last, others) = names.split_last().map_or(("", names), |(last, others)| (*last, others));
    format!("{} and {last}", others.join(", "))
}

/// Names as they are written in the file: `"a", "b"`.
pub fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
