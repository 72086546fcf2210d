//! The order in which steps run.

use crate::Plan;

impl Plan {
    /// Every step after all that it needs.
    ///
    /// # Panics
    /// Where steps need each other in a circle.
    pub fn order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        while order.len() < self.needs.len() {
            let ready = self.needs.iter().find(|(step, needs)| {
                !order.contains(&step.as_str()) && needs.iter().all(|need| order.contains(&need.as_str()))
            });
            let (step, _) = ready.expect("steps need each other in a circle");
            order.push(step);
        }
        order
    }
}
