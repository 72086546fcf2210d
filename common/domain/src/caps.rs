//! What one job may spend, what it has spent, and what the next model call may reserve.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{MicroUsd, Mode, Price};

/// The limits of one job. Tokens count what is new ([`crate::Usage::new_tokens`]); time counts model and
/// tool time, not queueing, cloning or preparing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Caps {
    /// Model turns.
    pub steps: u32,
    /// New tokens over all calls.
    pub tokens: u64,
    /// Money over all calls, open reservations included.
    pub cost_microusd: MicroUsd,
    /// Model and tool time in milliseconds.
    pub active_ms: u64,
}

impl Caps {
    /// Simple fixes, small refactors, read-only analyses, reviews.
    pub const MECHANIC: Self = Self { steps: 20, tokens: 50_000, cost_microusd: MicroUsd(500_000), active_ms: 60_000 };
    /// Large features, complex refactors, security fixes, architecture.
    pub const GENIUS: Self = Self { steps: 100, tokens: 200_000, cost_microusd: MicroUsd(10_000_000), active_ms: 300_000 };

    /// The caps of `mode` when nobody lowers them.
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Mechanic => Self::MECHANIC,
            Mode::Genius => Self::GENIUS,
        }
    }

    /// The lower of both in every dimension: a repository or a request may lower a cap, never raise it.
    pub fn lowest(self, other: Self) -> Self {
        Self {
            steps: self.steps.min(other.steps),
            tokens: self.tokens.min(other.tokens),
            cost_microusd: self.cost_microusd.min(other.cost_microusd),
            active_ms: self.active_ms.min(other.active_ms),
        }
    }

    /// These caps as a job may use them: lowered by what it asks for, if it asks.
    pub fn lowered_by(self, asked: Option<Self>) -> Self {
        asked.map_or(self, |asked| self.lowest(asked))
    }

    /// What is left after `spent`.
    ///
    /// # Errors
    /// The first cap that leaves no room for another step, in the order steps, tokens, money, time.
    pub fn left(&self, spent: &Spent) -> Result<Self, CapReached> {
        let left = Self {
            steps: self.steps.saturating_sub(spent.steps),
            tokens: self.tokens.saturating_sub(spent.tokens),
            cost_microusd: self.cost_microusd.saturating_sub(spent.cost_microusd),
            active_ms: self.active_ms.saturating_sub(spent.active_ms),
        };
        if left.steps == 0 {
            Err(CapReached::Steps)
        } else if left.tokens == 0 {
            Err(CapReached::Tokens)
        } else if left.cost_microusd == MicroUsd::ZERO {
            Err(CapReached::Money)
        } else if left.active_ms == 0 {
            Err(CapReached::Time)
        } else {
            Ok(left)
        }
    }

    /// Time left as a duration.
    pub fn active(&self) -> Duration {
        Duration::from_millis(self.active_ms)
    }

    /// Whether `left` is in the last tenth of any cap: from there on the model is asked to finish.
    pub fn nearly_reached(&self, left: &Self) -> bool {
        u64::from(left.steps) * 10 <= u64::from(self.steps)
            || left.tokens * 10 <= self.tokens
            || left.cost_microusd.0 * 10 <= self.cost_microusd.0
            || left.active_ms * 10 <= self.active_ms
    }
}

/// What a job has spent so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Model turns whose reply is stored.
    pub steps: u32,
    /// New tokens of all settled calls.
    pub tokens: u64,
    /// Settled cost plus every open reservation in full.
    pub cost_microusd: MicroUsd,
    /// Model and tool time in milliseconds.
    pub active_ms: u64,
}

/// Which cap ended a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, strum::Display, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CapReached {
    /// [`Caps::steps`].
    Steps,
    /// [`Caps::tokens`].
    Tokens,
    /// [`Caps::cost_microusd`].
    Money,
    /// [`Caps::active_ms`].
    Time,
}

/// The size of the next model call, as far as it is known before it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallEstimate {
    /// Input tokens that the previous call already sent: assumed to come from the cache.
    pub cached_prefix: u64,
    /// Input tokens that are new in this call.
    pub new_input: u64,
    /// The most output the model can give.
    pub max_output: u64,
}

/// What a call may use, held back before it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reservation {
    /// The output limit to send: what the model can give, cut to what the caps leave.
    pub max_output: u64,
    /// New tokens held back.
    pub tokens: u64,
    /// Money held back: every input token at its dearest rate (no cache hit at all) and the whole output.
    pub cost_microusd: MicroUsd,
}

/// The least output worth paying a call for.
const LEAST_OUTPUT: u64 = 256;

impl Reservation {
    /// Fits the next call into what is `left`.
    ///
    /// Tokens assume that the prefix of the last call is still cached, so the only overshoot possible is
    /// one cache miss; money assumes that it is not, so money cannot be overshot.
    ///
    /// # Errors
    /// The cap that leaves less than 256 tokens of output.
    pub fn plan(left: &Caps, estimate: &CallEstimate, price: &Price) -> Result<Self, CapReached> {
        let by_tokens = left.tokens.saturating_sub(estimate.new_input);
        if by_tokens < LEAST_OUTPUT.min(estimate.max_output) {
            return Err(CapReached::Tokens);
        }
        let input = estimate.cached_prefix + estimate.new_input;
        let input_cost = per_million(input, price.dearest_input_per_million());
        let money_left = left.cost_microusd.saturating_sub(input_cost);
        let by_money = match price.output_per_million.0 {
            0 if input_cost <= left.cost_microusd => u64::MAX,
            0 => 0,
            output_price => u64::try_from(i128::from(money_left.0) * 1_000_000 / i128::from(output_price)).unwrap_or(0),
        };
        if by_money < LEAST_OUTPUT.min(estimate.max_output) {
            return Err(CapReached::Money);
        }
        let max_output = estimate.max_output.min(by_tokens).min(by_money);
        Ok(Self {
            max_output,
            tokens: estimate.new_input + max_output,
            cost_microusd: input_cost + per_million(max_output, price.output_per_million),
        })
    }
}

fn per_million(tokens: u64, price: MicroUsd) -> MicroUsd {
    let cost = (u128::from(tokens) * price.0.unsigned_abs() as u128).div_ceil(1_000_000);
    MicroUsd(i64::try_from(cost).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input_per_million: MicroUsd(1_000_000),
        cache_read_per_million: MicroUsd(100_000),
        cache_write_per_million: MicroUsd(1_250_000),
        output_per_million: MicroUsd(5_000_000),
    };

    #[test]
    fn the_last_step_is_allowed_and_the_next_is_not() {
        let caps = Caps { steps: 2, ..Caps::MECHANIC };
        let spent = Spent { steps: 1, tokens: 10, ..Spent::default() };
        assert_eq!(caps.left(&spent), Ok(Caps { steps: 1, tokens: 49_990, ..caps }));
        assert_eq!(caps.left(&Spent { steps: 2, ..spent }), Err(CapReached::Steps));
    }

    #[test]
    fn every_cap_stops_a_job_by_its_own_name() {
        let caps = Caps::MECHANIC;
        let nothing = Spent::default();
        assert_eq!(caps.left(&Spent { tokens: 50_000, ..nothing }), Err(CapReached::Tokens));
        assert_eq!(caps.left(&Spent { cost_microusd: MicroUsd(500_000), ..nothing }), Err(CapReached::Money));
        assert_eq!(caps.left(&Spent { active_ms: 60_000, ..nothing }), Err(CapReached::Time));
    }

    #[test]
    fn a_request_lowers_caps_and_never_raises_them() {
        let asked = Caps { steps: 5, tokens: 1_000_000, ..Caps::GENIUS };
        assert_eq!(Caps::MECHANIC.lowest(asked), Caps { steps: 5, ..Caps::MECHANIC });
    }

    #[test]
    fn output_is_cut_to_the_tokens_left() {
        let left = Caps { tokens: 1_500, ..Caps::MECHANIC };
        let estimate = CallEstimate { cached_prefix: 9_000, new_input: 1_000, max_output: 8_000 };
        let reservation = Reservation::plan(&left, &estimate, &PRICE).unwrap();
        assert_eq!(reservation, Reservation { max_output: 500, tokens: 1_500, cost_microusd: MicroUsd(12_500 + 2_500) });
    }

    #[test]
    fn money_is_reserved_as_if_nothing_were_cached_and_cuts_the_output() {
        let left = Caps { cost_microusd: MicroUsd(12_500 + 2_000), ..Caps::MECHANIC };
        let estimate = CallEstimate { cached_prefix: 9_000, new_input: 1_000, max_output: 8_000 };
        assert_eq!(Reservation::plan(&left, &estimate, &PRICE).unwrap().max_output, 400);
        let poorer = Caps { cost_microusd: MicroUsd(12_500 + 1_000), ..left };
        assert_eq!(Reservation::plan(&poorer, &estimate, &PRICE), Err(CapReached::Money));
    }

    #[test]
    fn a_call_whose_input_alone_passes_the_cap_is_not_made() {
        let left = Caps { tokens: 900, ..Caps::MECHANIC };
        let estimate = CallEstimate { cached_prefix: 0, new_input: 1_000, max_output: 8_000 };
        assert_eq!(Reservation::plan(&left, &estimate, &PRICE), Err(CapReached::Tokens));
    }

    #[test]
    fn the_last_tenth_is_announced() {
        let caps = Caps::MECHANIC;
        assert!(!caps.nearly_reached(&Caps { steps: 3, ..caps }));
        assert!(caps.nearly_reached(&Caps { steps: 2, ..caps }));
        assert!(caps.nearly_reached(&Caps { tokens: 5_000, ..caps }));
    }

    /// Numbers that look random and are the same in every run (SplitMix64).
    fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed;
        move |below| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % below
        }
    }

    /// Runs a job to its caps. Each call uses as much as its estimate allows at the most; its prefix comes from the
    /// cache, unless `missed` says that this call finds it empty.
    fn run_to_the_caps(caps: Caps, next: &mut impl FnMut(u64) -> u64, mut missed: impl FnMut(u32) -> bool) -> (Spent, u64) {
        let (mut spent, mut prefix, mut dearest_miss) = (Spent::default(), 0, 0);
        while let Ok(left) = caps.left(&spent) {
            let estimate = CallEstimate { cached_prefix: prefix, new_input: next(4_000) + 1, max_output: next(8_000) + 1 };
            let Ok(reservation) = Reservation::plan(&left, &estimate, &PRICE) else { break };
            let output = next(reservation.max_output + 1);
            let usage = if missed(spent.steps) {
                dearest_miss = dearest_miss.max(prefix);
                crate::Usage { uncached_input: 0, cache_read: 0, cache_write: prefix + estimate.new_input, output }
            } else {
                crate::Usage { uncached_input: 0, cache_read: prefix, cache_write: estimate.new_input, output }
            };
            assert!(PRICE.cost(&usage) <= reservation.cost_microusd, "a call never costs more than was held back for it");
            spent.steps += 1;
            spent.tokens += usage.new_tokens();
            spent.cost_microusd += PRICE.cost(&usage);
            prefix += estimate.new_input + output;
        }
        (spent, dearest_miss)
    }

    #[test]
    fn one_cache_miss_is_the_only_way_past_the_tokens_and_nothing_leads_past_steps_or_money() {
        let mut past = 0;
        for seed in 0..2_000 {
            let mut next = numbers(seed);
            let caps = Caps {
                steps: next(40) as u32 + 1,
                tokens: next(60_000) + 1,
                cost_microusd: MicroUsd(next(400_000) as i64 + 1),
                ..Caps::MECHANIC
            };
            let (spent, _) = run_to_the_caps(caps, &mut next, |_| false);
            assert!(spent.tokens <= caps.tokens && spent.steps <= caps.steps && spent.cost_microusd <= caps.cost_microusd, "seed {seed}");
            let miss = next(20) as u32;
            let (spent, dearest_miss) = run_to_the_caps(caps, &mut next, |step| step == miss);
            assert!(spent.tokens <= caps.tokens + dearest_miss, "seed {seed}: {spent:?} {caps:?}");
            assert!(spent.steps <= caps.steps && spent.cost_microusd <= caps.cost_microusd, "seed {seed}");
            past += u32::from(spent.tokens > caps.tokens);
            // However often the cache is empty: the call that passes the cap is the last one.
            let (spent, dearest_miss) = run_to_the_caps(caps, &mut next, |_| true);
            assert!(spent.tokens <= caps.tokens + dearest_miss && spent.cost_microusd <= caps.cost_microusd, "seed {seed}");
        }
        assert!(past > 0, "the test reaches what it is about");
    }
}
