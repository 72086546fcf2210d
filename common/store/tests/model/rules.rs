//! The model: what each operation means, in plain values. Times are microseconds since 1970.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Epoch, JobId, Mode, OutcomeName, QueueState, Scope, WaitingFor};

pub const SECOND: i64 = 1_000_000;

/// A moment that the database chooses: not before, not after.
pub type Span = (i64, i64);

/// A row of the queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub lane: String,
    pub mode: Option<Mode>,
    pub priority: i16,
    pub state: QueueState,
    pub waiting_for: Option<WaitingFor>,
    pub run_at: Span,
    pub attempt: i32,
    pub epoch: i64,
    pub lease_until: Option<i64>,
    pub retrying: bool,
    pub step_no: i32,
    pub cancel: bool,
    pub pending: Option<OutcomeName>,
}

impl Row {
    fn counts(&self) -> bool {
        self.state == QueueState::Leased && self.pending.is_none() && self.waiting_for != Some(WaitingFor::Triage)
    }

    fn lose(&mut self) {
        self.epoch += 1;
        self.lease_until = None;
    }

    fn take(&mut self, until: i64) {
        self.state = QueueState::Leased;
        self.epoch += 1;
        self.attempt += 1;
        self.lease_until = Some(until);
    }

    /// A stop that was asked for is an end that is decided, once nobody holds the job.
    fn decide_stop(&mut self) {
        if self.cancel {
            self.pending = self.pending.or(Some(OutcomeName::Stopped));
        }
    }

    /// Where a job goes that nobody holds and that may go on.
    fn go_on(&mut self, run_at: Span) {
        self.decide_stop();
        self.run_at = run_at;
        if self.pending.is_none() && self.waiting_for == Some(WaitingFor::Triage) {
            self.state = QueueState::Waiting;
        } else {
            self.state = QueueState::Ready;
            self.waiting_for = None;
            if self.pending.is_some() {
                self.mode = self.mode.or(Some(Mode::Mechanic));
            }
        }
    }

    fn after_attempt(&mut self, over: bool, again: Span, moment: Span) {
        let was_decided = self.pending.is_some();
        self.lose();
        if over && !self.cancel {
            self.pending = self.pending.or(Some(OutcomeName::Dead));
        }
        self.decide_stop();
        let ends_now = self.pending.is_some() && !was_decided;
        self.go_on(if ends_now { moment } else { again });
    }

    fn max_attempts(&self) -> i32 {
        self.mode.unwrap_or(Mode::Mechanic).max_attempts()
    }
}

fn backoff(attempt: i32) -> i64 {
    let secs = 2.0 * f64::powi(2.0, attempt.min(30) - 1);
    (secs.min(300.0) * SECOND as f64) as i64 + 1
}

fn plus(span: Span, most: i64) -> Span {
    (span.0, span.1 + most)
}

/// Everything there is.
#[derive(Default, Debug)]
pub struct Model {
    pub rows: BTreeMap<JobId, Row>,
    pub outcomes: BTreeMap<JobId, OutcomeName>,
    pub closed: BTreeSet<String>,
    pub limits: BTreeMap<String, i64>,
}

impl Model {
    pub fn enqueue(&mut self, job: JobId, lane: &str, mode: Option<Mode>, priority: i16, now: Span) {
        let (state, waiting_for) = match mode {
            Some(_) => (QueueState::Ready, None),
            None => (QueueState::Waiting, Some(WaitingFor::Triage)),
        };
        let row = Row {
            lane: lane.to_owned(),
            mode,
            priority,
            state,
            waiting_for,
            run_at: now,
            attempt: 0,
            epoch: 0,
            lease_until: None,
            retrying: false,
            step_no: 0,
            cancel: false,
            pending: None,
        };
        self.rows.insert(job, row);
    }

    /// The row that this claim holds; `None` = the lease is lost.
    pub fn held(&mut self, (job, epoch): (JobId, Epoch)) -> Option<&mut Row> {
        self.rows.get_mut(&job).filter(|row| row.state == QueueState::Leased && row.epoch == epoch.0)
    }

    fn is_open(&self, mode: Mode, lane: &str) -> bool {
        let scopes = [Scope::All, Scope::Mode(mode), Scope::Repository(lane.to_owned())];
        !scopes.iter().any(|scope| self.closed.contains(&scope.to_string()))
    }

    fn room(&self, lane: &str) -> usize {
        let running = self.rows.values().filter(|row| row.lane == lane && row.counts()).count();
        self.limits.get(lane).map_or(usize::MAX, |most| usize::try_from(*most).unwrap().saturating_sub(running))
    }

    /// Due jobs of a mode, in their order.
    fn due(&self, mode: Mode, decided: bool, now: i64) -> Vec<(JobId, &Row)> {
        let is_due = |row: &Row| row.state == QueueState::Ready && row.mode == Some(mode) && row.run_at.0 <= now;
        let mut due: Vec<_> =
            self.rows.iter().map(|(job, row)| (*job, row)).filter(|(_, row)| is_due(row) && row.pending.is_some() == decided).collect();
        due.sort_by_key(|(job, row)| (if decided { 0 } else { row.priority }, row.run_at.0, *job));
        due
    }

    /// Takes what was claimed, if it is what had to be.
    pub fn claim(&mut self, mode: Mode, slots: usize, now: i64, until: i64, got: &[JobId]) {
        let got: BTreeSet<JobId> = got.iter().copied().collect();
        let ending: BTreeSet<JobId> = self.due(mode, true, now).into_iter().take(slots).map(|(job, _)| job).collect();
        let mut lanes: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
        for (job, row) in self.due(mode, false, now) {
            if self.is_open(mode, &row.lane) {
                lanes.entry(row.lane.clone()).or_default().push(job);
            }
        }
        for (lane, jobs) in &mut lanes {
            jobs.truncate(self.room(lane));
        }
        let shares: BTreeMap<&String, usize> =
            lanes.iter().map(|(lane, jobs)| (lane, jobs.iter().filter(|job| got.contains(job)).count())).collect();
        let mut expected = ending.clone();
        for (lane, jobs) in &lanes {
            expected.extend(&jobs[..shares[lane]]);
        }
        assert_eq!(got, expected, "a lane's first jobs and those whose end is decided; lanes {lanes:?}, ending {ending:?}");
        let able = slots.min(ending.len() + lanes.values().map(Vec::len).sum::<usize>());
        assert_eq!(got.len(), able, "as many as can be; lanes {lanes:?}");
        for (lane, share) in &shares {
            for (other, more) in &shares {
                assert!(share + 1 >= *more || *share == lanes[*lane].len(), "{lane} got {share}, {other} {more}");
            }
        }
        for job in got {
            self.rows.get_mut(&job).unwrap().take(until);
        }
    }

    pub fn claim_one(&mut self, job: JobId, now: i64, until: i64) -> bool {
        let Some(row) = self.rows.get(&job) else { return false };
        let able = row.state == QueueState::Ready
            && row.run_at.0 <= now
            && (row.pending.is_some() || (self.is_open(row.mode.unwrap(), &row.lane) && self.room(&row.lane) > 0));
        if able {
            self.rows.get_mut(&job).unwrap().take(until);
        }
        able
    }

    pub fn claim_triage(&mut self, job: Option<JobId>, now: i64, until: i64) -> Option<JobId> {
        let is_next = |row: &Row| row.state == QueueState::Waiting && row.waiting_for == Some(WaitingFor::Triage) && row.run_at.0 <= now;
        let waiting = self.rows.iter_mut().filter(|(id, row)| is_next(row) && job.is_none_or(|job| job == **id));
        let (job, row) = waiting.min_by_key(|(id, row)| (row.run_at.0, **id))?;
        row.take(until);
        Some(*job)
    }

    pub fn triaged(&mut self, claim: (JobId, Epoch), mode: Mode, now: Span) -> bool {
        let Some(row) = self.held(claim) else { return false };
        row.lose();
        row.mode = Some(mode);
        row.waiting_for = None;
        row.attempt = 0;
        row.retrying = false;
        row.go_on(now);
        true
    }

    pub fn release(&mut self, claim: (JobId, Epoch), now: Span) -> bool {
        let Some(row) = self.held(claim) else { return false };
        row.lose();
        row.attempt = (row.attempt - 1).max(0);
        row.go_on(now);
        true
    }

    pub fn fail(&mut self, claim: (JobId, Epoch), now: Span) -> Option<i32> {
        let row = self.held(claim)?;
        row.after_attempt(row.attempt >= row.max_attempts(), plus(now, backoff(row.attempt)), now);
        Some(row.attempt)
    }

    /// With patience nothing is ever over here; without, at the second fault in a row.
    pub fn wait_out(&mut self, claim: (JobId, Epoch), patient: bool, after: i64, now: Span) -> bool {
        let Some(row) = self.held(claim) else { return false };
        let over = row.retrying && !patient;
        row.attempt = if over { row.max_attempts() } else { (row.attempt - 1).max(0) };
        row.retrying = true;
        row.after_attempt(over, (now.0 + after, now.1 + after + 90 * SECOND), now);
        true
    }

    pub fn step(&mut self, claim: (JobId, Epoch)) -> bool {
        let Some(row) = self.held(claim) else { return false };
        row.step_no += 1;
        row.attempt = 0;
        row.retrying = false;
        true
    }

    pub fn decide(&mut self, claim: (JobId, Epoch), outcome: OutcomeName) -> Option<OutcomeName> {
        let row = self.held(claim)?;
        row.pending = row.pending.or(Some(outcome));
        row.pending
    }

    pub fn finish(&mut self, claim: (JobId, Epoch), dead: bool) -> bool {
        let Some(row) = self.held(claim) else { return false };
        if dead {
            row.lose();
            row.state = QueueState::Dead;
            row.waiting_for = None;
            self.outcomes.insert(claim.0, OutcomeName::Dead);
        } else {
            self.rows.remove(&claim.0);
            self.outcomes.insert(claim.0, OutcomeName::Succeeded);
        }
        true
    }

    pub fn wait_for(&mut self, claim: (JobId, Epoch), what: WaitingFor, until: i64, now: Span) -> bool {
        let Some(row) = self.held(claim) else { return false };
        row.lose();
        row.attempt = (row.attempt - 1).max(0);
        row.waiting_for = None;
        row.go_on(now);
        if row.pending.is_none() {
            row.state = QueueState::Waiting;
            row.waiting_for = Some(what);
            row.run_at = (until, until);
        }
        true
    }

    pub fn wake(&mut self, job: JobId, now: Span) -> bool {
        let Some(row) = self.rows.get_mut(&job) else { return false };
        if row.state != QueueState::Waiting || row.waiting_for == Some(WaitingFor::Triage) {
            return false;
        }
        row.epoch += 1;
        row.waiting_for = row.mode.is_none().then_some(WaitingFor::Triage);
        row.go_on(now);
        true
    }

    pub fn wake_due(&mut self, now: i64) -> BTreeSet<JobId> {
        let due = |row: &Row| row.state == QueueState::Waiting && row.run_at.0 <= now;
        let due: Vec<JobId> = self.rows.iter().filter(|(_, row)| due(row)).map(|(job, _)| *job).collect();
        due.into_iter().filter(|job| self.wake(*job, (now, now))).collect()
    }

    pub fn sweep(&mut self, now: i64) -> BTreeSet<JobId> {
        let mut swept = BTreeSet::new();
        for (job, row) in &mut self.rows {
            if row.lease_until.is_some_and(|until| until <= now) {
                let pause = if row.attempt <= 1 { 0 } else { backoff(row.attempt) };
                row.after_attempt(row.attempt >= row.max_attempts(), (now, now + pause), (now, now));
                swept.insert(*job);
            }
        }
        swept
    }

    pub fn stop(&mut self, job: JobId, now: Span) -> bool {
        let Some(row) = self.rows.get_mut(&job).filter(|row| row.state != QueueState::Dead) else { return false };
        if !row.cancel {
            row.cancel = true;
            if row.state != QueueState::Leased {
                row.epoch += 1;
                row.go_on(now);
            }
        }
        true
    }

    pub fn requeue(&mut self, job: JobId, now: Span) -> bool {
        let Some(row) = self.rows.get_mut(&job) else { return false };
        if row.state == QueueState::Dead {
            return self.redrive(job, now);
        }
        row.lose();
        row.attempt = 0;
        row.retrying = false;
        row.waiting_for = (row.mode.is_none() || row.waiting_for == Some(WaitingFor::Triage)).then_some(WaitingFor::Triage);
        row.go_on(now);
        true
    }

    pub fn redrive(&mut self, job: JobId, now: Span) -> bool {
        let Some(row) = self.rows.get_mut(&job).filter(|row| row.state == QueueState::Dead) else { return false };
        row.state = QueueState::Ready;
        row.epoch += 1;
        row.attempt = 0;
        row.retrying = false;
        row.cancel = false;
        row.pending = None;
        row.run_at = now;
        self.outcomes.remove(&job);
        true
    }

    pub fn redrive_all(&mut self, lane: &str, now: Span) -> u64 {
        let dead = |row: &Row| row.state == QueueState::Dead && row.lane == lane;
        let dead: Vec<JobId> = self.rows.iter().filter(|(_, row)| dead(row)).map(|(job, _)| *job).collect();
        dead.into_iter().filter(|job| self.redrive(*job, now)).count() as u64
    }

    pub fn discard(&mut self, job: JobId) -> bool {
        let dead = self.rows.get(&job).is_some_and(|row| row.state == QueueState::Dead);
        if dead {
            self.rows.remove(&job);
        }
        dead
    }
}
