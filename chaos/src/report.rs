//! What came of it, for people and as JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::check::{Verdict, Violation};

/// Of several measured times, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Spread {
    /// How many were measured.
    pub count: usize,
    /// Half of them are at most this.
    pub p50_s: f64,
    /// Of a hundred, ninety-nine are at most this.
    pub p99_s: f64,
    /// The longest.
    pub max_s: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(mut times: Vec<f64>) -> Option<Self> {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1];
        let max_s = *times.last()?;
        Some(Self { count: times.len(), p50_s: at(0.5), p99_s: at(0.99), max_s })
    }
}

/// What came of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunReport {
    /// Which.
    pub run: String,
    /// Where its randomness came from.
    pub seed: u64,
    /// How often its fault happened.
    pub rounds: u32,
    /// Worlds that were built for it, each checked by itself.
    pub worlds: u32,
    /// Jobs that were asked for.
    pub jobs: u64,
    /// How they ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Why jobs did not succeed.
    pub causes: BTreeMap<String, u64>,
    /// What was hit: half-steps, fail points or kinds of faults.
    pub hits: BTreeMap<String, u32>,
    /// How many things each invariant was checked on.
    pub checked: BTreeMap<&'static str, u64>,
    /// What is wrong.
    pub violations: Vec<Violation>,
    /// Where worlds with violations were kept.
    pub evidence: Vec<PathBuf>,
    /// From a loss to the next claim, of jobs lost at their first attempt without progress.
    pub recovery: Option<Spread>,
    /// The same of jobs that had been lost before and waited out a backoff.
    pub recovery_again: Option<Spread>,
    /// From a give-back to the next claim.
    pub give_back: Option<Spread>,
    /// From the moment when a person asked for a stop to its commit.
    pub stop_committed: Option<Spread>,
    /// From a stop's commit to the last model call, tool call or push that began after it; 0 where none did.
    pub begun_after_stop: Option<Spread>,
    /// From a stop's commit to the end of the tool that ran; 0 where none did.
    pub ran_after_stop: Option<Spread>,
    /// From a stop's commit to the end of its job.
    pub ended_after_stop: Option<Spread>,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// The machine's load at its end (one minute's average).
    pub load: f64,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// The single times behind the spreads.
    #[serde(skip)]
    pub times: Times,
}

/// Measured times, in seconds.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// For [`RunReport::recovery`].
    pub recovery: Vec<f64>,
    /// For [`RunReport::recovery_again`].
    pub recovery_again: Vec<f64>,
    /// For [`RunReport::give_back`].
    pub give_back: Vec<f64>,
    /// For [`RunReport::begun_after_stop`].
    pub begun_after_stop: Vec<f64>,
    /// For [`RunReport::stop_committed`].
    pub stop_committed: Vec<f64>,
    /// For [`RunReport::ran_after_stop`].
    pub ran_after_stop: Vec<f64>,
    /// For [`RunReport::ended_after_stop`].
    pub ended_after_stop: Vec<f64>,
}

impl RunReport {
    /// Counts a hit.
    pub fn hit(&mut self, what: impl Into<String>) {
        *self.hits.entry(what.into()).or_default() += 1;
    }

    /// Says something to the reader, once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Takes in what the checks of one world found.
    pub fn take(&mut self, verdict: Verdict) {
        let mut all = Verdict {
            checked: std::mem::take(&mut self.checked),
            outcomes: std::mem::take(&mut self.outcomes),
            causes: std::mem::take(&mut self.causes),
            ..Verdict::default()
        };
        all.add(verdict);
        self.checked = all.checked;
        self.outcomes = all.outcomes;
        self.causes = all.causes;
        self.violations.extend(all.violations);
        for note in all.notes {
            self.note(note);
        }
    }

    /// Computes the spreads.
    pub fn close(&mut self) {
        self.recovery = Spread::of(self.times.recovery.clone());
        self.recovery_again = Spread::of(self.times.recovery_again.clone());
        self.give_back = Spread::of(self.times.give_back.clone());
        self.begun_after_stop = Spread::of(self.times.begun_after_stop.clone());
        self.stop_committed = Spread::of(self.times.stop_committed.clone());
        self.ran_after_stop = Spread::of(self.times.ran_after_stop.clone());
        self.ended_after_stop = Spread::of(self.times.ended_after_stop.clone());
        self.load = load();
    }

    /// A few lines for people.
    pub fn text(&self) -> String {
        let list = |counts: Vec<String>| counts.join(", ");
        let outcomes = list(self.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect());
        let hits = list(self.hits.iter().map(|(hit, count)| format!("{hit} {count}")).collect());
        let checked: u64 = self.checked.values().sum();
        let mut text = format!(
            "{}: {} rounds, {} jobs ({outcomes}), {checked} things checked, {} violations; {:.0} s, load {:.1}\n",
            self.run,
            self.rounds,
            self.jobs,
            self.violations.len(),
            self.took_s,
            self.load
        );
        if !hits.is_empty() {
            text.push_str(&format!("  hits: {hits}\n"));
        }
        for (name, spread) in [
            ("taken over after a loss", self.recovery),
            ("after a further loss", self.recovery_again),
            ("after a give-back", self.give_back),
            ("stops were committed after they were asked for", self.stop_committed),
            ("model calls, tool calls and pushes began after a stop", self.begun_after_stop),
            ("tools ran on after a stop", self.ran_after_stop),
            ("jobs ended after a stop", self.ended_after_stop),
        ] {
            if let Some(Spread { count, p50_s, p99_s, max_s }) = spread {
                text.push_str(&format!("  {name}: p50 {p50_s:.2} s, p99 {p99_s:.2} s, at most {max_s:.2} s ({count} times)\n"));
            }
        }
        for (cause, count) in &self.causes {
            text.push_str(&format!("  {count} jobs {cause}\n"));
        }
        for note in &self.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        for violation in &self.violations {
            text.push_str(&format!("  VIOLATED: {}: {}\n", violation.invariant, violation.what));
        }
        for folder in &self.evidence {
            text.push_str(&format!("  evidence: {}\n", folder.display()));
        }
        text
    }
}

/// The machine's load, one minute's average.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p99_of_a_hundred_times_is_the_second_longest() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!(spread, Spread { count: 100, p50_s: 50.0, p99_s: 99.0, max_s: 100.0 });
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![3.0]), Some(Spread { count: 1, p50_s: 3.0, p99_s: 3.0, max_s: 3.0 }));
    }
}
