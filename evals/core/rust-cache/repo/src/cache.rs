//! The cache.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::Clock;

struct Entry<V> {
    value: V,
    /// When it was stored.
    stored_at: Duration,
    /// A number that grows with every entry.
    turn: u64,
}

/// Keeps at most `capacity` values, each for at most `time_to_live`.
pub struct Cache<K, V, C> {
    entries: HashMap<K, Entry<V>>,
    capacity: usize,
    time_to_live: Duration,
    turns: u64,
    clock: C,
}

impl<K: Hash + Eq + Clone, V, C: Clock> Cache<K, V, C> {
    /// An empty cache.
    ///
    /// # Panics
    /// Where `capacity` is 0.
    pub fn new(capacity: usize, time_to_live: Duration, clock: C) -> Self {
        assert!(capacity > 0, "a cache for nothing keeps nothing");
        Self { entries: HashMap::new(), capacity, time_to_live, turns: 0, clock }
    }

    /// How many values it holds, those included whose time is over.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is a value for `key`.
    pub fn contains(&self, key: &K) -> bool {
        self.entries.get(key).is_some_and(|entry| self.is_fresh(entry))
    }

    /// The value for `key`.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get(key)?;
        if self.is_fresh(entry) {
            Some(&entry.value)
        } else {
            None
        }
    }

    /// Stores a value, in the place of the one that `key` had.
    pub fn insert(&mut self, key: K, value: V) {
        if self.entries.len() >= self.capacity {
            self.evict();
        }
        self.turns += 1;
        let entry = Entry { value, stored_at: self.clock.now(), turn: self.turns };
        self.entries.insert(key, entry);
    }

    fn is_fresh(&self, entry: &Entry<V>) -> bool {
        self.clock.now() - entry.stored_at <= self.time_to_live
    }

    /// Makes room for one more.
    fn evict(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.turn).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.entries.remove(&key);
        }
    }
}
