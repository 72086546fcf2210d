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
    /// The normal form of figures in which the total contains the cached part, as most providers count. The
    /// parts always add up to the total: a cached part that is larger than what it is part of is cut.
    pub fn of_total(input: u64, cache_read: u64, cache_write: u64, output: u64) -> Self {
        let cache_read = cache_read.min(input);
        let cache_write = cache_write.min(input - cache_read);
        Self { uncached_input: input - cache_read - cache_write, cache_read, cache_write, output }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_total_add_up_whatever_a_provider_counts() {
        assert_eq!(Usage::of_total(100, 60, 30, 5), Usage { uncached_input: 10, cache_read: 60, cache_write: 30, output: 5 });
        for (read, write) in [(0, 0), (100, 0), (60, 60), (120, 10)] {
            assert_eq!(Usage::of_total(100, read, write, 5).input(), 100, "{read} {write}");
        }
    }
}
