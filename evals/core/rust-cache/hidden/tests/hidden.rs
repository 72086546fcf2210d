use std::time::Duration;

use keep::{Cache, ManualClock};

fn cache(capacity: usize) -> (Cache<&'static str, u32, ManualClock>, ManualClock) {
    let clock = ManualClock::default();
    (Cache::new(capacity, Duration::from_secs(10), clock.clone()), clock)
}

fn present<'a>(cache: &Cache<&'static str, u32, ManualClock>, keys: &[&'a str]) -> Vec<&'a str> {
    ["a", "b", "c", "d"].into_iter().filter(|key| cache.contains(key)).filter_map(|key| keys.iter().find(|k| **k == key).copied()).collect()
}

const ALL: [&str; 4] = ["a", "b", "c", "d"];

#[test]
fn reading_is_using() {
    let (mut cache, _) = cache(2);
    cache.insert("a", 1);
    cache.insert("b", 2);
    assert_eq!(cache.get(&"a"), Some(&1));
    cache.insert("c", 3);
    assert_eq!(present(&cache, &ALL), ["a", "c"]);
}

#[test]
fn looking_is_not_using() {
    let (mut cache, _) = cache(2);
    cache.insert("a", 1);
    cache.insert("b", 2);
    assert!(cache.contains(&"a"));
    cache.insert("c", 3);
    assert_eq!(present(&cache, &ALL), ["b", "c"]);
}

#[test]
fn overwriting_throws_nothing_out() {
    let (mut cache, _) = cache(2);
    cache.insert("a", 1);
    cache.insert("b", 2);
    cache.insert("b", 3);
    assert_eq!((cache.get(&"a").copied(), cache.get(&"b").copied(), cache.len()), (Some(1), Some(3), 2));
}

#[test]
fn overwriting_is_using_and_begins_the_time_anew() {
    let (mut cache, clock) = cache(2);
    cache.insert("a", 1);
    cache.insert("b", 2);
    clock.advance(Duration::from_secs(8));
    cache.insert("a", 3);
    cache.insert("c", 4);
    assert_eq!(present(&cache, &ALL), ["a", "c"]);
    clock.advance(Duration::from_secs(8));
    assert_eq!(cache.get(&"a"), Some(&3));
}

#[test]
fn what_is_past_its_time_goes_first() {
    let (mut cache, clock) = cache(2);
    cache.insert("a", 1);
    clock.advance(Duration::from_secs(6));
    cache.insert("b", 2);
    assert_eq!(cache.get(&"a"), Some(&1));
    clock.advance(Duration::from_secs(6));
    // a was used last, and its time is over.
    cache.insert("c", 3);
    assert_eq!(present(&cache, &ALL), ["b", "c"]);
}

#[test]
fn reading_does_not_make_a_value_live_longer() {
    let (mut cache, clock) = cache(2);
    cache.insert("a", 1);
    for _ in 0..3 {
        clock.advance(Duration::from_secs(4));
        cache.get(&"a");
    }
    assert_eq!(cache.get(&"a"), None);
}
