//! The decision over time, on random histories: what holds whatever happens.

use std::time::Duration;

use domain::scale::{Bounds, Load, PATIENCE, decide};
use proptest::prelude::*;

fn bounds() -> impl Strategy<Value = Bounds> {
    (0..5_u32, 0..12_u32, 0..4_u32).prop_map(|(slots, most, least_busy)| Bounds { slots, most, least_busy })
}

/// Loads, each for so many seconds; half of them none.
fn history() -> impl Strategy<Value = Vec<(Load, u64)>> {
    let work = (0..40_u64, 0..40_u64).prop_map(|(ready, leased)| Load { ready, leased, held_back: 0 });
    let none = (0..9_u64).prop_map(|held_back| Load { held_back, ..Load::default() });
    prop::collection::vec((prop_oneof![work, none], 1..90_u64), 1..30)
}

proptest! {
    #[test]
    fn workers_are_enough_while_there_is_work_and_gone_a_minute_after(bounds in bounds(), history in history()) {
        let (mut present, mut idle) = (0, PATIENCE);
        for (load, seconds) in history {
            // Looked at twice in the period: at its beginning and at its end.
            for at in [0, seconds] {
                idle = if load.total() > 0 { Duration::ZERO } else { idle + Duration::from_secs(at) };
                let before = present;
                present = decide(bounds, load, idle, before).desired;
                prop_assert!(present <= bounds.most);
                if load.total() == 0 {
                    prop_assert_eq!(present, if idle < PATIENCE { before } else { 0 });
                    continue;
                }
                let room = u64::from(present) * u64::from(bounds.slots.max(1));
                prop_assert!(room >= load.total() || present == bounds.most);
                prop_assert!(present >= before, "nobody goes while there is work");
                prop_assert!(present >= bounds.least_busy.min(bounds.most));
                prop_assert_eq!(decide(bounds, load, idle, present).desired, present, "decided again, nothing moves");
            }
        }
    }

    #[test]
    fn more_work_never_means_fewer_workers(
        bounds in bounds(), a in 0..200_u64, more in 0..200_u64, present in 0..15_u32, idle in 0..120_u64,
    ) {
        let idle = Duration::from_secs(idle);
        let with = |ready| decide(bounds, Load { ready, ..Load::default() }, idle, present).desired;
        prop_assert!(with(a + more) >= with(a));
    }
}
