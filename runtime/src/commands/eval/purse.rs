//! The money of a whole run: tasks take what they may spend at the most before they begin, and give back what they did
//! not. So the sum can never pass the budget, and no task is begun that could not be finished as its mode allows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::MicroUsd;
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
    /// At the most.
    pub most: MicroUsd,
    /// Less than its mode allows, since the run has no more: where that stops it, it says nothing about the model.
    pub is_the_rest: bool,
}

impl Purse {
    /// With `budget` in it.
    pub(super) fn new(budget: MicroUsd) -> Self {
        Self { state: Mutex::new(State { left: budget, taken: MicroUsd::ZERO }), changed: Notify::new() }
    }

    /// Waits until there are `cap` for a task, or all that is left where that is less; `None` = nothing is.
    pub(super) async fn take(&self, cap: MicroUsd) -> Option<Grant> {
        loop {
            // It hears everything from here on, so nothing that is given back falls between.
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.left <= MicroUsd::ZERO {
                    return None;
                }
                let most = cap.min(state.left);
                if most <= state.left.saturating_sub(state.taken) {
                    state.taken += most;
                    return Some(Grant { most, is_the_rest: most < cap });
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

    #[tokio::test]
    async fn running_tasks_together_may_never_spend_more_than_is_left() {
        let purse = Purse::new(MicroUsd(1_000));
        let first = purse.take(MicroUsd(600)).await.unwrap();
        assert_eq!(first, Grant { most: MicroUsd(600), is_the_rest: false });
        let second = purse.take(MicroUsd(600));
        tokio::pin!(second);
        assert_eq!(poll!(second.as_mut()), Poll::Pending, "only 400 are free");
        purse.give_back(first, MicroUsd(100));
        let second = second.await.unwrap();
        assert_eq!(second, Grant { most: MicroUsd(600), is_the_rest: false });
        purse.give_back(second, MicroUsd(600));
        let third = purse.take(MicroUsd(600)).await.unwrap();
        assert_eq!(third, Grant { most: MicroUsd(300), is_the_rest: true });
        purse.give_back(third, MicroUsd(300));
        assert_eq!(purse.take(MicroUsd(600)).await, None);
    }
}
