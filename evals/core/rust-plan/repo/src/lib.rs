//! Which steps there are, what they need, and in which order they run.

mod error;
mod order;
mod parse;

use std::collections::BTreeMap;

pub use error::PlanError;

/// Steps and what they need.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub(crate) needs: BTreeMap<String, Vec<String>>,
}

impl Plan {
    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.needs.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }
}
