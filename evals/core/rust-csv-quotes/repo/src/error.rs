//! What can be wrong with a file.

use std::fmt;

/// Why a text is no table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// A record has more or fewer fields than the head.
    FieldCount {
        /// The line on which it begins, from 1.
        line: usize,
        /// How many it has.
        found: usize,
        /// How many the head has.
        expected: usize,
    },
    /// There is not even a head.
    Empty,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldCount { line, found, expected } => write!(f, "line {line}: {found} fields, expected {expected}"),
            Self::Empty => f.write_str("the file is empty"),
        }
    }
}

impl std::error::Error for Error {}
