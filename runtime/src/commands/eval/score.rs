//! What became of one task.

use domain::{Kind, MicroUsd, Mode, Spent};
use serde::Serialize;

use super::task::{Language, Task};

/// Whether it is solved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Score {
    /// The check holds.
    Solved,
    /// It does not.
    Unsolved,
    /// It says nothing about the model: it was not begun, or something else ended it.
    NotRun,
}

/// One task, done.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Scored {
    /// Its name.
    pub task: String,
    /// What was to be produced.
    pub kind: Kind,
    /// Who did it.
    pub mode: Mode,
    /// What its repository is written in.
    pub languages: Vec<Language>,
    /// Whether it is solved.
    pub score: Score,
    /// Why not, one reason each.
    pub why: Vec<String>,
    /// How the job ended, in a sentence; empty where there was none.
    pub outcome: String,
    /// Whether the job ended with `finish`.
    pub finished: bool,
    /// The models that replied.
    pub models: Vec<String>,
    /// Model turns.
    pub steps: u32,
    /// New tokens.
    pub tokens: u64,
    /// What it cost.
    pub cost_microusd: MicroUsd,
    /// Model and tool time.
    pub active_ms: u64,
    /// All of it: repository, queue, job, tests.
    pub duration_ms: u64,
    /// The diff of a change, or the answer.
    pub produced: String,
}

impl Scored {
    /// A task of which nothing is known yet.
    pub(super) fn of(task: &Task) -> Self {
        Self {
            task: task.name.clone(),
            kind: task.kind,
            mode: task.mode,
            languages: task.languages.clone(),
            score: Score::NotRun,
            why: Vec::new(),
            outcome: String::new(),
            finished: false,
            models: Vec::new(),
            steps: 0,
            tokens: 0,
            cost_microusd: MicroUsd::ZERO,
            active_ms: 0,
            duration_ms: 0,
            produced: String::new(),
        }
    }

    /// The same, not run for this reason.
    pub(super) fn not_run(mut self, why: impl Into<String>) -> Self {
        self.score = Score::NotRun;
        self.why = vec![why.into()];
        self
    }

    /// The same, with what the job spent.
    pub(super) fn spent(&mut self, spent: &Spent) {
        self.steps = spent.steps;
        self.tokens = spent.tokens;
        self.cost_microusd = spent.cost_microusd;
        self.active_ms = spent.active_ms;
    }

    /// Decides by the reasons against it.
    pub(super) fn decide(mut self, why: Vec<String>) -> Self {
        self.score = if why.is_empty() { Score::Solved } else { Score::Unsolved };
        self.why = why;
        self
    }

    /// `solved`, `unsolved` or `not run`.
    pub(super) fn word(&self) -> &'static str {
        match self.score {
            Score::Solved => "solved",
            Score::Unsolved => "unsolved",
            Score::NotRun => "not run",
        }
    }
}
