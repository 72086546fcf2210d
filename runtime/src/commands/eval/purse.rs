//! The money of a whole run: tasks take what they may spend at the most before they begin, and give back what they did
//! not. So the sum can never pass the budget, and no task is begun that could not be finished as its mode allows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{MicroUsd, Mode};
use tokio::sync::Notify;

/// The budget of a run.
pub(super) struct Purse {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// What is not spent yet.
    left: MicroUsd,
    /// What running tasks may spend of it.
    taken: MicroUsd,
}

/// What one task may spend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grant {
    /// The cap of its job.
    pub cap: MicroUsd,
    /// Less than its mode allows, since the run has no more: where that stops it, it says nothing about the model.
    pub is_the_rest: bool,
    /// All that it can come to: a mechanic's job may be handed over, and a genius then has the cap once more.
    most: MicroUsd,
}

impl Purse {
    /// With `budget` in it.
    pub(super) fn new(budget: MicroUsd) -> Self {
        Self { state: Mutex::new(State { left: budget, taken: MicroUsd::ZERO }), changed: Notify::new() }
    }

    /// Waits until there is `cap` for a task of `mode` as often as its job may use it, or all that is left where that is
    /// less; `None` = nothing is.
    pub(super) async fn take(&self, cap: MicroUsd, mode: Mode) -> Option<Grant> {
        let times = if mode == Mode::Mechanic { 2 } else { 1 };
        loop {
            // It hears everything from here on, so nothing that is given back falls between.
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                let most = MicroUsd(cap.0.saturating_mul(times)).min(state.left);
                if most.0 < times {
                    return None;
                }
                if most <= state.left.saturating_sub(state.taken) {
                    state.taken += most;
                    let job = MicroUsd(most.0 / times);
                    return Some(Grant { cap: job, is_the_rest: job < cap, most });
                }
            }
            changed.await;
        }
    }

    /// Takes a grant back of which `spent` is gone.
    pub(super) fn give_back(&self, grant: Grant, spent: MicroUsd) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(grant.most);
        state.left = state.left.saturating_sub(spent);
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;

    use super::*;

    fn grant(cap: i64, is_the_rest: bool, most: i64) -> Grant {
        Grant { cap: MicroUsd(cap), is_the_rest, most: MicroUsd(most) }
    }

    #[tokio::test]
    async fn running_tasks_together_may_never_spend_more_than_is_left() {
        let purse = Purse::new(MicroUsd(1_000));
        let take = async || purse.take(MicroUsd(600), Mode::Genius).await;
        let first = take().await.unwrap();
        assert_eq!(first, grant(600, false, 600));
        let second = take();
        tokio::pin!(second);
        assert_eq!(poll!(second.as_mut()), Poll::Pending, "only 400 are free");
        purse.give_back(first, MicroUsd(100));
        let second = second.await.unwrap();
        assert_eq!(second, grant(600, false, 600));
        purse.give_back(second, MicroUsd(600));
        let third = take().await.unwrap();
        assert_eq!(third, grant(300, true, 300));
        purse.give_back(third, MicroUsd(300));
        assert_eq!(take().await, None);
    }

    #[tokio::test]
    async fn a_mechanics_task_is_given_room_for_the_genius_that_it_may_be_handed_to() {
        let purse = Purse::new(MicroUsd(1_001));
        let first = purse.take(MicroUsd(400), Mode::Mechanic).await.unwrap();
        assert_eq!(first, grant(400, false, 800));
        purse.give_back(first, MicroUsd(700));
        assert_eq!(purse.take(MicroUsd(400), Mode::Mechanic).await, Some(grant(150, true, 301)));
    }
}
