//! How many workers a mode should have: as many as its work needs, and none when there is none.
//!
//! Up at once, down late: a worker costs most of a minute to come and little to stay, and one that holds a job is never asked
//! to go anyway. So whoever is there stays until the mode has had no work at all for [`PATIENCE`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a mode has had nothing to do when its workers go.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Within which bounds a mode is scaled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Jobs that a worker does at the same time; 0 counts as 1.
    pub slots: u32,
    /// The most workers.
    pub most: u32,
    /// The least workers while there is work; never above `most`.
    pub least_busy: u32,
}

/// What there is to do in a mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Jobs that a worker could take at this moment. One that a gate holds back (paused, a budget used up), that waits for its
    /// time, or whose repository runs as many as it may, is none of them: a worker that came for it would find nothing to do.
    pub ready: u64,
    /// Jobs under a worker's lease.
    pub leased: u64,
    /// Jobs that are ready and held back.
    pub held_back: u64,
}

impl Load {
    /// What counts.
    pub fn total(self) -> u64 {
        self.ready.saturating_add(self.leased)
    }
}

/// What a mode should have, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Decision {
    /// So many workers.
    pub desired: u32,
    /// For this reason.
    pub why: Why,
}

/// Why a mode has the workers that it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its work needs them.
    #[strum(to_string = "its jobs need them")]
    Load,
    /// Its work needs more, and these are the most.
    #[strum(to_string = "its jobs need more, and these are the most")]
    Most,
    /// There was work a moment ago: who is there stays.
    #[strum(to_string = "it had work a moment ago")]
    Recent,
    /// There is nothing to do.
    #[strum(to_string = "it has no work")]
    Idle,
}

/// Decides how many workers a mode should have that has asked for `present` of them, has this `load`, and was last seen with
/// any work `idle_for` ago.
pub fn decide(bounds: Bounds, load: Load, idle_for: Duration, present: u32) -> Decision {
    let stay = present.min(bounds.most);
    if load.total() > 0 {
        let needed = load.total().div_ceil(u64::from(bounds.slots.max(1)));
        let needed = u32::try_from(needed).unwrap_or(u32::MAX).max(bounds.least_busy);
        let why = match needed {
            needed if needed > bounds.most => Why::Most,
            needed if needed >= stay => Why::Load,
            _ => Why::Recent,
        };
        return Decision { desired: needed.min(bounds.most).max(stay), why };
    }
    match idle_for < PATIENCE && stay > 0 {
        true => Decision { desired: stay, why: Why::Recent },
        false => Decision { desired: 0, why: Why::Idle },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { slots: 2, most: 10, least_busy: 0 };
    const NOW: Duration = Duration::ZERO;

    fn load(ready: u64, leased: u64) -> Load {
        Load { ready, leased, held_back: 0 }
    }

    fn desired(bounds: Bounds, load: Load, idle_for: Duration, present: u32) -> u32 {
        decide(bounds, load, idle_for, present).desired
    }

    #[test]
    fn the_first_job_wakes_a_worker_and_each_full_one_another() {
        let wanted = |ready, leased| decide(BOUNDS, load(ready, leased), NOW, 0);
        assert_eq!(wanted(0, 0), Decision { desired: 0, why: Why::Idle });
        assert_eq!(wanted(1, 0), Decision { desired: 1, why: Why::Load });
        assert_eq!(wanted(1, 1), Decision { desired: 1, why: Why::Load });
        assert_eq!(wanted(3, 0), Decision { desired: 2, why: Why::Load });
        assert_eq!(wanted(0, 5), Decision { desired: 3, why: Why::Load });
        assert_eq!(wanted(100, 0), Decision { desired: 10, why: Why::Most });
        assert_eq!(wanted(u64::MAX, u64::MAX), Decision { desired: 10, why: Why::Most });
    }

    #[test]
    fn who_is_there_stays_until_there_was_no_work_for_a_minute() {
        assert_eq!(decide(BOUNDS, load(1, 0), NOW, 4), Decision { desired: 4, why: Why::Recent });
        let second = Duration::from_secs(1);
        assert_eq!(decide(BOUNDS, load(0, 0), PATIENCE - second, 4), Decision { desired: 4, why: Why::Recent });
        assert_eq!(decide(BOUNDS, load(0, 0), PATIENCE, 4), Decision { desired: 0, why: Why::Idle });
    }

    #[test]
    fn a_busy_mode_has_the_least_that_is_asked_for_and_an_idle_one_none() {
        let bounds = Bounds { least_busy: 2, ..BOUNDS };
        assert_eq!(desired(bounds, load(1, 0), NOW, 0), 2);
        assert_eq!(desired(bounds, load(0, 1), NOW, 0), 2);
        assert_eq!(desired(bounds, load(0, 0), PATIENCE, 2), 0);
        assert_eq!(desired(Bounds { most: 1, ..bounds }, load(1, 0), NOW, 0), 1, "the most goes before the least");
    }

    #[test]
    fn jobs_that_are_held_back_keep_nobody_up() {
        let paused = Load { ready: 0, leased: 0, held_back: 50 };
        assert_eq!(decide(BOUNDS, paused, PATIENCE, 3), Decision { desired: 0, why: Why::Idle });
        assert_eq!(desired(BOUNDS, Load { leased: 1, ..paused }, NOW, 0), 1);
    }

    #[test]
    fn a_mode_that_may_have_fewer_than_it_has_lets_some_go_at_once() {
        assert_eq!(desired(Bounds { most: 2, ..BOUNDS }, load(9, 9), NOW, 7), 2);
        assert_eq!(desired(Bounds { most: 2, ..BOUNDS }, load(0, 0), NOW, 7), 2);
        assert_eq!(desired(Bounds { most: 0, ..BOUNDS }, load(1, 0), NOW, 0), 0, "a mode that is switched off");
    }

    /// Everything that is small: a defect at a bound shows with small numbers.
    #[test]
    fn within_its_bounds_every_decision_is_enough_and_no_decision_takes_from_who_works() {
        for (slots, most, least_busy) in [(0, 3, 0), (1, 3, 2), (2, 4, 0), (3, 0, 1), (4, 2, 5)] {
            let bounds = Bounds { slots, most, least_busy };
            for (ready, leased, present) in (0..9).flat_map(|a| (0..9).flat_map(move |b| (0..6).map(move |c| (a, b, c)))) {
                for idle_for in [NOW, PATIENCE] {
                    let load = load(ready, leased);
                    let desired = desired(bounds, load, idle_for, present);
                    let what = format!("{bounds:?} {load:?} {idle_for:?} {present} -> {desired}");
                    assert!(desired <= most, "{what}");
                    if load.total() > 0 {
                        let room = u64::from(desired) * u64::from(slots.max(1));
                        assert!(room >= load.total() || desired == most, "{what}: too few");
                        assert!(desired >= present.min(most) && desired >= least_busy.min(most), "{what}: takes from who works");
                        // A target and no difference: asked for again, nothing changes.
                        assert_eq!(desired, super::decide(bounds, load, idle_for, desired).desired, "{what}: moves by itself");
                    } else if idle_for == PATIENCE {
                        assert_eq!(desired, 0, "{what}: up for nothing");
                    } else {
                        assert_eq!(desired, present.min(most), "{what}: an idle moment changes nothing");
                    }
                }
            }
        }
    }
}
