//! What a call takes, counted as a provider with a prompt cache counts it.

use serde_json::{Value, json};

/// Of so many calls one finds the cache empty, as happens at every provider.
const MISSES_OF: u64 = 10;

/// The tokens of a request of so many bytes: fewer than any estimate that is on the safe side.
pub(super) fn of_input(bytes: usize) -> u64 {
    bytes as u64 / 5
}

/// Whether the call with this chance finds the cache empty.
pub(super) fn misses(chance: u64) -> bool {
    (chance / 7).is_multiple_of(MISSES_OF)
}

/// The usage of a call with `input` tokens, of which the cache has the first `cached`, and an answer of so many bytes.
pub(super) fn of(input: u64, cached: u64, answer_bytes: usize, max_output: u64) -> Value {
    let cached = cached.min(input);
    json!({
        "input_tokens": 0,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": input - cached,
        // No model gives more than it was asked for.
        "output_tokens": (answer_bytes as u64 / 4).clamp(1, max_output.max(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cache_has_is_not_new_and_one_call_in_ten_finds_nothing_there() {
        let usage = of(1000, 900, 400, 50);
        let expected =
            json!({ "input_tokens": 0, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 100, "output_tokens": 50 });
        assert_eq!(usage, expected);
        assert_eq!((0..1000).filter(|chance| misses(*chance)).count(), 105);
    }
}
