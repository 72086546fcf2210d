//! What can be wrong with a plan.

use std::fmt;

/// Why a plan is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlanError {
    /// A line is not `step: need, need`.
    Line(usize),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number} is not of the form `step: need, need`"),
        }
    }
}

impl std::error::Error for PlanError {}
