//! A small cache with a capacity and a time to live.

mod cache;
mod clock;

pub use cache::Cache;
pub use clock::{Clock, ManualClock, SystemClock};
