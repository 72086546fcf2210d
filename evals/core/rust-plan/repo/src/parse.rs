//! Plans as people write them.

use crate::{Plan, PlanError};

impl Plan {
    /// Reads one step a line.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (step, needs) = line.split_once(':').ok_or(PlanError::Line(index + 1))?;
            let (step, needs) = (step.trim(), needs.split(',').map(str::trim).filter(|need| !need.is_empty()));
            if step.is_empty() {
                return Err(PlanError::Line(index + 1));
            }
            plan.needs.insert(step.to_owned(), needs.map(str::to_owned).collect());
        }
        Ok(plan)
    }
}
