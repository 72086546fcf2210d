//! How long to wait before asking again.

use std::time::Duration;

use rand::Rng;

/// Exponential backoff with full jitter: the wait before attempt n+1 is uniform between zero and
/// `base * 2^(n-1)`, at most `cap`
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The longest wait after the first attempt.
    pub base: Duration,
    /// The longest wait after any attempt, unless the provider asks for a longer one.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 4, base: Duration::from_millis(500), cap: Duration::from_secs(20) }
    }
}

impl Backoff {
    /// The wait after attempt `attempt` (from 1), or `None` when it was the last. Where the provider asked
    /// to wait, its time is honoured and the jitter comes on top, so that workers do not return together.
    pub(crate) fn after(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(20);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.cap);
        let jitter = ceiling.mul_f64(rand::rng().random::<f64>());
        Some(match asked {
            Some(asked) => asked + jitter.min(self.base),
            None => jitter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { attempts: 3, base: Duration::from_millis(100), cap: Duration::from_millis(150) };

    #[test]
    fn the_last_attempt_is_not_waited_for() {
        assert!(BACKOFF.after(2, None).is_some());
        assert_eq!(BACKOFF.after(3, None), None);
        assert_eq!(BACKOFF.after(3, Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_wait_is_never_longer_than_its_ceiling() {
        for _ in 0..200 {
            assert!(BACKOFF.after(1, None).unwrap() <= BACKOFF.base);
            assert!(BACKOFF.after(2, None).unwrap() <= BACKOFF.cap);
        }
    }

    #[test]
    fn what_the_provider_asked_for_is_never_undercut() {
        let asked = Duration::from_secs(7);
        let wait = BACKOFF.after(2, Some(asked)).unwrap();
        assert!((asked..=asked + BACKOFF.base).contains(&wait), "{wait:?}");
    }
}
