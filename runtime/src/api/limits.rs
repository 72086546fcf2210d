//! How often somebody may ask.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// The most callers that are remembered: more come from one machine of an attacker, never from us.
const MOST_CALLERS: usize = 10_000;

/// A rate for each caller: `burst` requests at once, then one every `every`.
///
/// The generic cell rate algorithm: of each caller nothing is kept but the moment at which its bucket would be full
/// again, so that a caller who is quiet for long enough is simply forgotten.
pub(crate) struct Rate<K> {
    every: Duration,
    burst: u32,
    full_again: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Rate<K> {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self { every: Duration::from_secs(1) / per_second, burst, full_again: Mutex::default() }
    }

    /// Counts one request of `caller`.
    ///
    /// # Errors
    /// How long it has to wait.
    pub(crate) fn take(&self, caller: K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut callers = self.full_again.lock().expect("nobody panics while holding it");
        if callers.len() >= MOST_CALLERS {
            callers.retain(|_, full| *full > now);
            // So many at once: to forget them costs less than to keep them.
            if callers.len() >= MOST_CALLERS {
                callers.clear();
            }
        }
        let full = callers.entry(caller).or_insert(now);
        let after = (*full).max(now) + self.every;
        let most = now + self.every * self.burst;
        if after > most {
            return Err(after - most);
        }
        *full = after;
        Ok(())
    }
}

/// What counts as one caller of an address: with IPv6 everybody has a whole network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_caller_has_a_burst_then_a_rate_and_no_say_in_the_rate_of_others() {
        let rate = Rate::new(10, 3);
        for _ in 0..3 {
            rate.take("a").unwrap();
        }
        let wait = rate.take("a").unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        rate.take("b").unwrap();
        tokio::time::advance(Duration::from_millis(99)).await;
        assert_eq!(rate.take("a"), Err(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        rate.take("a").unwrap();
        assert!(rate.take("a").is_err(), "a refused request costs nothing, a permitted one its share");
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            rate.take("a").unwrap();
        }
        assert!(rate.take("a").is_err(), "rest does not add up");
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_of_callers_fills_the_memory() {
        let rate = Rate::new(1, 1);
        for caller in 0..3 * MOST_CALLERS {
            rate.take(caller).unwrap();
        }
        assert!(rate.full_again.lock().unwrap().len() <= MOST_CALLERS);
    }

    #[test]
    fn neighbours_in_one_network_of_ipv6_are_one_caller() {
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|address| network(address.parse().unwrap()));
        assert_eq!(one, two);
        assert_ne!(one, other);
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
