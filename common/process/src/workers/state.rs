//! Which workers there are, which are to come and which to go: decided under one lock, without waiting for anything.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Counts, Mode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Unprotected;

/// A worker that has just come is not asked to make room for another mode: it is about to look for work.
const SETTLING: Duration = Duration::from_secs(10);
/// A worker that ended by itself sooner than this is not replaced at once.
const SHORT: Duration = Duration::from_secs(10);
/// The longest pause before the next.
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// A worker that is to be started.
pub(super) struct Fresh {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) slots: u16,
    /// There was no other of its mode.
    pub(super) first: bool,
    /// Cancelled when it is to go.
    pub(super) go: CancellationToken,
}

struct Worker {
    mode: Mode,
    slots: u16,
    since: Instant,
    protected_until: Option<Instant>,
    go: CancellationToken,
}

impl Worker {
    fn is_protected(&self, now: Instant) -> bool {
        self.protected_until.is_some_and(|until| until > now)
    }

    fn stays(&self) -> bool {
        !self.go.is_cancelled()
    }
}

/// What is wanted of a mode.
#[derive(Default)]
struct Wanted {
    workers: u32,
    /// Workers that ended by themselves soon after their start, one after the other.
    fallen: u32,
    /// None is started before.
    not_before: Option<Instant>,
}

pub(super) struct State {
    room: u16,
    slots: u16,
    wanted: [Wanted; 2],
    workers: BTreeMap<String, Worker>,
    started: u64,
}

impl State {
    pub(super) fn new(room: u16, slots: u16) -> Self {
        Self { room, slots: slots.max(1), wanted: Default::default(), workers: BTreeMap::new(), started: 0 }
    }

    pub(super) fn desire(&mut self, mode: Mode, workers: u32) {
        self.wanted[mode as usize].workers = workers;
    }

    pub(super) fn counts(&self, mode: Mode) -> Counts {
        let running = self.of(mode).count();
        Counts { desired: self.wanted[mode as usize].workers, running: u32::try_from(running).unwrap_or(u32::MAX) }
    }

    pub(super) fn names(&self, now: Instant) -> Vec<(String, bool)> {
        self.workers.iter().map(|(name, worker)| (name.clone(), worker.is_protected(now))).collect()
    }

    pub(super) fn protect(&mut self, name: &str, until: Option<Instant>) -> Result<(), Unprotected> {
        let worker = self.workers.get_mut(name).ok_or(Unprotected::Unknown)?;
        if !worker.stays() && until.is_some() {
            return Err(Unprotected::Going);
        }
        worker.protected_until = until;
        Ok(())
    }

    /// Tells one worker to go, whatever it does.
    pub(super) fn stop(&mut self, name: &str) -> bool {
        let worker = self.workers.get(name).filter(|worker| worker.stays());
        worker.inspect(|worker| worker.go.cancel()).is_some()
    }

    /// Tells all of them.
    pub(super) fn end(&mut self) {
        self.wanted = Default::default();
        self.workers.values().for_each(|worker| worker.go.cancel());
    }

    /// Forgets a worker that has ended; whether it was the last of its mode, and how long the next is waited with where it ended
    /// by itself.
    pub(super) fn ended(&mut self, name: &str, now: Instant, lived: Duration) -> (bool, Option<Duration>) {
        let Some(worker) = self.workers.remove(name) else { return (false, None) };
        let last = self.of(worker.mode).next().is_none();
        if !worker.stays() {
            return (last, None);
        }
        let wanted = &mut self.wanted[worker.mode as usize];
        wanted.fallen = if lived < SHORT { wanted.fallen + 1 } else { 0 };
        let pause = if lived < SHORT { Duration::from_secs(1 << wanted.fallen.min(5)).min(PAUSE_MOST) } else { Duration::ZERO };
        wanted.not_before = Some(now + pause);
        (last, Some(pause))
    }

    /// Tells those to go that are too many and names those that are to come; whether somebody waits for something that time alone
    /// brings.
    pub(super) fn settle(&mut self, now: Instant) -> (Vec<Fresh>, bool) {
        let mut waits = false;
        for mode in [Mode::Mechanic, Mode::Genius] {
            let too_many = self.staying(mode).count().saturating_sub(self.wanted[mode as usize].workers as usize);
            // The one that came last goes first: the others have their checkouts warm.
            let mut may_go: Vec<&Worker> = self.staying(mode).filter(|worker| !worker.is_protected(now)).collect();
            may_go.sort_by_key(|worker| std::cmp::Reverse(worker.since));
            may_go.iter().take(too_many).for_each(|worker| worker.go.cancel());
            waits |= too_many > may_go.len();
        }
        let mut fresh = Vec::new();
        for mode in [Mode::Mechanic, Mode::Genius] {
            while self.staying(mode).count() < self.wanted[mode as usize].workers as usize {
                if self.wanted[mode as usize].not_before.is_some_and(|moment| moment > now) {
                    waits = true;
                    break;
                }
                let taken: u16 = self.workers.values().map(|worker| worker.slots).sum();
                let slots = self.room.saturating_sub(taken).min(self.slots);
                if slots == 0 {
                    waits |= self.make_room_for(mode, now);
                    break;
                }
                fresh.push(self.start(mode, slots, now));
            }
        }
        (fresh, waits)
    }

    fn start(&mut self, mode: Mode, slots: u16, now: Instant) -> Fresh {
        self.started += 1;
        // Whoever knows the name may say that this worker is busy.
        let name = format!("{mode}-{}-{:016x}", self.started, rand_word());
        let go = CancellationToken::new();
        let first = self.of(mode).next().is_none();
        let worker = Worker { mode, slots, since: now, protected_until: None, go: go.clone() };
        self.workers.insert(name.clone(), worker);
        Fresh { name, mode, slots, first, go }
    }

    /// A worker of another mode that has nothing to do goes, and is wanted no longer: were it, the two would take turns for ever.
    /// `true` = there may be one later.
    fn make_room_for(&mut self, mode: Mode, now: Instant) -> bool {
        if self.workers.values().any(|worker| !worker.stays()) {
            // Room comes with its end, which is noticed.
            return false;
        }
        let idle = self.workers.values().filter(|worker| worker.mode != mode && !worker.is_protected(now));
        let Some(longest) = idle.min_by_key(|worker| worker.since) else { return true };
        if now.duration_since(longest.since) >= SETTLING {
            longest.go.cancel();
            let wanted = &mut self.wanted[longest.mode as usize];
            wanted.workers = wanted.workers.saturating_sub(1);
        }
        true
    }

    fn of(&self, mode: Mode) -> impl Iterator<Item = &Worker> {
        self.workers.values().filter(move |worker| worker.mode == mode)
    }

    fn staying(&self, mode: Mode) -> impl Iterator<Item = &Worker> {
        self.of(mode).filter(|worker| worker.stays())
    }
}

/// A word that nobody guesses.
fn rand_word() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn names(fresh: &[Fresh]) -> Vec<(Mode, u16, bool)> {
        fresh.iter().map(|fresh| (fresh.mode, fresh.slots, fresh.first)).collect()
    }

    #[test]
    fn as_many_come_as_are_wanted_and_there_is_room_for() {
        let (mut state, now) = (State::new(5, 2), Instant::now());
        state.desire(Mode::Mechanic, 10);
        let (fresh, waits) = state.settle(now);
        assert_eq!(names(&fresh), [(Mode::Mechanic, 2, true), (Mode::Mechanic, 2, false), (Mode::Mechanic, 1, false)]);
        assert!(waits, "there may be room later");
        assert!(state.settle(now).0.is_empty(), "nothing has changed");
        assert_eq!(state.counts(Mode::Mechanic), Counts { desired: 10, running: 3 });
    }

    #[test]
    fn only_who_is_not_protected_goes_and_who_was_told_to_go_gets_no_protection() {
        let (mut state, now) = (State::new(9, 1), Instant::now());
        state.desire(Mode::Genius, 3);
        let (fresh, _) = state.settle(now);
        state.protect(&fresh[0].name, Some(now + MINUTE)).unwrap();
        state.protect(&fresh[2].name, Some(now + MINUTE)).unwrap();
        state.desire(Mode::Genius, 0);
        assert!(state.settle(now).1, "a protection may run out");
        let gone = |all: &[Fresh]| all.iter().map(|fresh| fresh.go.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(gone(&fresh), [false, true, false]);
        assert_eq!(state.protect(&fresh[1].name, Some(now + MINUTE)), Err(Unprotected::Going));
        assert_eq!(state.protect("nobody", Some(now + MINUTE)), Err(Unprotected::Unknown));
        state.protect(&fresh[0].name, None).unwrap();
        state.settle(now);
        assert_eq!(gone(&fresh), [true, true, false]);
        state.settle(now + MINUTE);
        assert_eq!(gone(&fresh), [true; 3], "what is not renewed runs out");
        assert_eq!(state.ended(&fresh[0].name, now, MINUTE), (false, None));
        assert_eq!(state.ended(&fresh[2].name, now, MINUTE), (false, None));
        assert_eq!(state.ended(&fresh[1].name, now, MINUTE), (true, None), "the last one");
        assert_eq!(state.ended(&fresh[1].name, now, MINUTE), (false, None), "once");
    }

    #[test]
    fn an_idle_worker_makes_room_for_another_mode_and_is_wanted_no_longer() {
        let (mut state, now) = (State::new(1, 1), Instant::now());
        state.desire(Mode::Mechanic, 1);
        let (mechanic, _) = state.settle(now);
        state.desire(Mode::Genius, 1);
        assert!(state.settle(now).1 && !mechanic[0].go.is_cancelled(), "it has just come");
        state.protect(&mechanic[0].name, Some(now + 2 * MINUTE)).unwrap();
        assert!(state.settle(now + MINUTE).1 && !mechanic[0].go.is_cancelled(), "it is busy");
        state.protect(&mechanic[0].name, None).unwrap();
        state.settle(now + MINUTE);
        assert!(mechanic[0].go.is_cancelled());
        assert_eq!(state.counts(Mode::Mechanic).desired, 0);
        state.ended(&mechanic[0].name, now + MINUTE, MINUTE);
        let (genius, waits) = state.settle(now + MINUTE);
        assert_eq!((names(&genius), waits), (vec![(Mode::Genius, 1, true)], false));
    }

    #[test]
    fn a_worker_that_falls_at_once_is_followed_by_another_ever_later() {
        let (mut state, now) = (State::new(1, 1), Instant::now());
        state.desire(Mode::Mechanic, 1);
        let mut pauses = Vec::new();
        let mut moment = now;
        for _ in 0..6 {
            let (fresh, _) = state.settle(moment);
            let (last, pause) = state.ended(&fresh[0].name, moment, Duration::from_millis(5));
            assert!(last && state.settle(moment).0.is_empty());
            pauses.push(pause.unwrap().as_secs());
            moment += pause.unwrap();
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        let (fresh, _) = state.settle(moment);
        assert_eq!(state.ended(&fresh[0].name, moment, MINUTE), (true, Some(Duration::ZERO)));
        assert_eq!(state.settle(moment).0.len(), 1, "one that has worked for a while is replaced at once");
    }

    #[test]
    fn one_that_is_stopped_is_replaced_and_all_go_at_the_end() {
        let (mut state, now) = (State::new(2, 1), Instant::now());
        state.desire(Mode::Mechanic, 1);
        let (first, _) = state.settle(now);
        state.protect(&first[0].name, Some(now + MINUTE)).unwrap();
        assert!(state.stop(&first[0].name), "busy or not");
        assert!(!state.stop(&first[0].name) && !state.stop("nobody"));
        let (second, _) = state.settle(now);
        assert_eq!(second.len(), 1);
        state.end();
        assert!(second[0].go.is_cancelled() && state.settle(now).0.is_empty());
    }
}
