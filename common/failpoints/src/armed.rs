//! What happens at a place that somebody armed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::Point;

struct Armed {
    point: Point,
    /// At which passing, from 1.
    at: u32,
    signal: Signal,
    passed: AtomicU32,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms this process: `after_reply:2=kill` or `after_reply:2=stop`, the number being the passing at which it
/// happens, from 1.
///
/// # Errors
/// A plan that cannot be understood, or a second one.
pub fn arm(plan: &str) -> Result<(), String> {
    let expected = || format!("the fail point {plan:?} cannot be understood: expected POINT:PASSING=kill or POINT:PASSING=stop");
    let (place, action) = plan.split_once('=').ok_or_else(expected)?;
    let (point, at) = place.split_once(':').ok_or_else(expected)?;
    let signal = match action {
        "kill" => Signal::KILL,
        "stop" => Signal::STOP,
        _ => return Err(expected()),
    };
    let (point, at) = (point.parse().map_err(|_| expected())?, at.parse().map_err(|_| expected())?);
    let armed = Armed { point, at, signal, passed: AtomicU32::new(0) };
    ARMED.set(armed).map_err(|_| "this process is armed already".to_owned())
}

/// Called at every place; see [`fail_point!`](crate::fail_point).
///
/// # Panics
/// When the system refuses us a signal to ourselves.
pub fn reach(point: Point) {
    let Some(armed) = ARMED.get().filter(|armed| armed.point == point) else { return };
    if armed.passed.fetch_add(1, Ordering::SeqCst) + 1 == armed.at {
        kill_process(getpid(), armed.signal).expect("a process may signal itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_cannot_be_understood_is_refused_with_its_words() {
        for plan in ["after_reply", "after_reply=kill", "after_reply:two=kill", "after_lunch:1=kill", "after_reply:1=sing"] {
            let problem = arm(plan).unwrap_err();
            assert!(problem.contains(plan) && problem.contains("POINT:PASSING=kill"), "{problem}");
        }
    }

    #[test]
    fn a_process_is_armed_once_and_passes_every_other_place() {
        arm("after_sweep:1=kill").unwrap();
        reach(Point::BeforeSweep);
        assert!(arm("after_sweep:2=kill").unwrap_err().contains("armed already"));
    }
}
