//! Who may change something on GitHub when: one at a time for each owner, and not faster than once a second.
//!
//! GitHub asks for that (<https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api>), and answers
//! whoever does not listen with a secondary limit.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::ForgeError;

/// Deals out turns. A channel is the owner of repositories, in lower case: whatever is changed there counts together.
#[async_trait]
pub trait Pacer: Send + Sync + 'static {
    /// Waits until something may be changed in `channel`. The turn lasts until it is dropped.
    ///
    /// # Errors
    /// [`ForgeError::RetryAfter`] where that is not soon.
    async fn turn(&self, channel: &str) -> Result<Turn, ForgeError>;

    /// GitHub asks to leave `channel` alone for `wait`.
    async fn hold(&self, channel: &str, wait: Duration);
}

/// The right to change one thing.
#[must_use = "the turn ends when it is dropped"]
pub struct Turn {
    _held: Option<Box<dyn Any + Send>>,
}

impl Turn {
    /// A turn that ends by itself: whoever gave it needs not know when it was used.
    pub fn free() -> Self {
        Self { _held: None }
    }

    /// A turn that drops `held` when it ends.
    pub fn holding(held: impl Any + Send) -> Self {
        Self { _held: Some(Box::new(held)) }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

/// Turns within one process.
#[derive(Debug)]
pub struct LocalPacer {
    gap: Duration,
    patience: Duration,
    channels: Mutex<HashMap<String, Arc<Channel>>>,
}

#[derive(Debug, Default)]
struct Channel {
    serial: Arc<tokio::sync::Mutex<()>>,
    /// Nobody's turn begins before; `None` = nothing was changed yet.
    not_before: Mutex<Option<Instant>>,
}

impl Default for LocalPacer {
    /// A second between changes; who would wait longer than 20 s is sent away.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(20))
    }
}

impl LocalPacer {
    /// Lets `gap` pass between one change and the next, and nobody wait longer than `patience`.
    pub fn new(gap: Duration, patience: Duration) -> Self {
        Self { gap, patience, channels: Mutex::default() }
    }

    fn channel(&self, name: &str) -> Arc<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(channels.entry(name.to_owned()).or_default())
    }
}

#[async_trait]
impl Pacer for LocalPacer {
    async fn turn(&self, channel: &str) -> Result<Turn, ForgeError> {
        let channel = self.channel(channel);
        let deadline = Instant::now() + self.patience;
        let away = |after: Duration| ForgeError::RetryAfter { after: after.max(self.gap) };
        let serial = Arc::clone(&channel.serial).lock_owned();
        let serial = tokio::time::timeout_at(deadline, serial).await.map_err(|_| away(self.patience))?;
        loop {
            let until = channel.not_before().filter(|until| *until > Instant::now());
            match until {
                None => return Ok(Turn::holding(Held { gap: self.gap, channel, _serial: serial })),
                Some(until) if until > deadline => return Err(away(until - Instant::now())),
                Some(until) => tokio::time::sleep_until(until).await,
            }
        }
    }

    async fn hold(&self, channel: &str, wait: Duration) {
        self.channel(channel).not_before_that(Instant::now() + wait);
    }
}

impl Channel {
    fn not_before(&self) -> Option<Instant> {
        *self.not_before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_before_that(&self, instant: Instant) {
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = (*not_before).max(Some(instant));
    }
}

/// A turn that somebody has: the gap begins when it ends, however it ends.
struct Held {
    gap: Duration,
    channel: Arc<Channel>,
    _serial: OwnedMutexGuard<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.channel.not_before_that(Instant::now() + self.gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds_for<T>(work: impl Future<Output = T>) -> (u64, T) {
        let start = Instant::now();
        let value = work.await;
        (start.elapsed().as_secs(), value)
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_one_owner_are_a_second_apart_and_those_of_two_are_not() {
        let pacer = LocalPacer::default();
        let (waited, ()) = seconds_for(async {
            for _ in 0..3 {
                drop(pacer.turn("acme").await.unwrap());
            }
            drop(pacer.turn("globex").await.unwrap());
        })
        .await;
        assert_eq!(waited, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_comes_after_a_change_that_took_long() {
        let pacer = Arc::new(LocalPacer::default());
        let first = pacer.turn("acme").await.unwrap();
        let second = tokio::spawn({
            let pacer = Arc::clone(&pacer);
            async move { seconds_for(pacer.turn("acme")).await.0 }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(first);
        assert_eq!(second.await.unwrap(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_is_held_long_sends_away_and_opens_again() {
        let pacer = LocalPacer::default();
        pacer.hold("acme", Duration::from_secs(60)).await;
        let ForgeError::RetryAfter { after } = pacer.turn("acme").await.unwrap_err() else { panic!("it waits or is away") };
        assert_eq!(after.as_secs(), 60);
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!(seconds_for(pacer.turn("acme")).await.0, 10);
    }
}
