//! Token counts in one normal form for every provider.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Tokens of one model call or a sum of calls. The provider's total input is
/// `uncached_input + cache_read + cache_write`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens charged at the plain rate.
    pub uncached_input: u64,
    /// Input tokens read from the prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the prompt cache.
    pub cache_write: u64,
    /// Output tokens, thinking included.
    pub output: u64,
}

impl Usage {
    /// The tokens a job's token cap counts: what is new. Cached input is left out, because a
    /// conversation sends its whole past with every call and would spend the cap on repetition.
    pub fn new_tokens(&self) -> u64 {
        self.uncached_input + self.cache_write + self.output
    }

    /// Everything that went into the model, cached or not.
    pub fn input(&self) -> u64 {
        self.uncached_input + self.cache_read + self.cache_write
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            uncached_input: self.uncached_input + other.uncached_input,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            output: self.output + other.output,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
