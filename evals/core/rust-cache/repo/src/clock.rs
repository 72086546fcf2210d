//! Where the time comes from.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Tells how much time has passed since some start.
pub trait Clock {
    /// Never goes back.
    fn now(&self) -> Duration;
}

/// The system's.
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// One that a test moves. Clones are one clock.
#[derive(Clone, Default)]
pub struct ManualClock {
    now: Rc<Cell<Duration>>,
}

impl ManualClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.now.set(self.now.get() + by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.now.get()
    }
}
