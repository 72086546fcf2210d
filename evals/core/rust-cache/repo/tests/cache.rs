use std::time::Duration;

use keep::{Cache, ManualClock};

#[test]
fn a_value_is_there_until_its_time_is_over() {
    let clock = ManualClock::default();
    let mut cache = Cache::new(2, Duration::from_secs(10), clock.clone());
    cache.insert("a", 1);
    clock.advance(Duration::from_secs(10));
    assert_eq!(cache.get(&"a"), Some(&1));
    clock.advance(Duration::from_millis(1));
    assert_eq!(cache.get(&"a"), None);
}

#[test]
fn it_never_holds_more_than_its_capacity() {
    let mut cache = Cache::new(2, Duration::from_secs(10), ManualClock::default());
    for number in 0..5 {
        cache.insert(number, number);
    }
    assert_eq!(cache.len(), 2);
    assert!(cache.contains(&4) && cache.contains(&3));
}
