//! Money in integer micro-dollars, and what a model's tokens cost.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

use crate::Usage;

/// An amount in millionths of a US dollar. Never a float: sums must agree to the last digit between the
/// ledger, the API and the comment on GitHub.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl MicroUsd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The difference, or zero where `other` is larger.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0))
    }
}

impl Add for MicroUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for MicroUsd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// `$0.0123`: four decimals, since single calls often cost less than a cent; rounded half up.
impl MicroUsd {
    /// The whole amount, to the micro-dollar: `$0.041250`. Where sums are compared.
    pub fn exact(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        format!("{sign}${}.{:06}", self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000)
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths_of_cents = (self.0.unsigned_abs() + 50) / 100;
        write!(f, "{sign}${}.{:04}", hundredths_of_cents / 10_000, hundredths_of_cents % 10_000)
    }
}

impl fmt::Debug for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µ$", self.0)
    }
}

/// What a model charges, in micro-dollars per million tokens of each kind (1 $/M = 1,000,000).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Price {
    /// Input that was neither read from nor written to a cache.
    pub input_per_million: MicroUsd,
    /// Input served from the provider's prompt cache.
    pub cache_read_per_million: MicroUsd,
    /// Input written to the provider's prompt cache.
    pub cache_write_per_million: MicroUsd,
    /// Output, thinking included.
    pub output_per_million: MicroUsd,
}

impl Price {
    /// The price of `usage`, rounded up to the next micro-dollar.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let parts = [
            (usage.uncached_input, self.input_per_million),
            (usage.cache_read, self.cache_read_per_million),
            (usage.cache_write, self.cache_write_per_million),
            (usage.output, self.output_per_million),
        ];
        let total: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * price.0.unsigned_abs() as u128).sum();
        MicroUsd(i64::try_from(total.div_ceil(1_000_000)).unwrap_or(i64::MAX))
    }

    /// The dearest way in which one input token can be charged.
    pub fn dearest_input_per_million(&self) -> MicroUsd {
        self.input_per_million.max(self.cache_write_per_million).max(self.cache_read_per_million)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAIKU: Price = Price {
        input_per_million: MicroUsd(1_000_000),
        cache_read_per_million: MicroUsd(100_000),
        cache_write_per_million: MicroUsd(1_250_000),
        output_per_million: MicroUsd(5_000_000),
    };

    #[test]
    fn a_cost_is_the_sum_of_its_parts_rounded_up() {
        let usage = Usage { uncached_input: 10, cache_read: 1_001, cache_write: 4, output: 3 };
        assert_eq!(HAIKU.cost(&usage), MicroUsd(10 + 101 + 5 + 15));
    }

    #[test]
    fn no_usage_costs_nothing() {
        assert_eq!(HAIKU.cost(&Usage::default()), MicroUsd::ZERO);
    }

    #[test]
    fn amounts_print_with_four_decimals() {
        assert_eq!(MicroUsd(250_000).to_string(), "$0.2500");
        assert_eq!(MicroUsd(1_234_567).to_string(), "$1.2346");
        assert_eq!(MicroUsd(-50).to_string(), "-$0.0001");
        assert_eq!(MicroUsd(49).to_string(), "$0.0000");
        assert_eq!([MicroUsd(1_234_567).exact(), MicroUsd(-50).exact()], ["$1.234567", "-$0.000050"]);
    }
}
