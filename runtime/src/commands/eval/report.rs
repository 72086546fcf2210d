//! What a run came to: for people, and as JSON.

use domain::MicroUsd;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::format_description;

use super::compare::{Comparison, LastRun};
use super::score::{Score, Scored};
use super::suite::Suite;
use crate::cli::{Eval, Script};
use crate::screen::{self, thousands};

/// Whose replies a run used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// A model's.
    Live,
    /// Those of the scripts that solve.
    ScriptedSolve,
    /// Those of the scripts that do not.
    ScriptedWrong,
}

impl How {
    /// As `args` ask for.
    pub(super) fn of(args: &Eval) -> Self {
        match (args.live, args.script) {
            (true, _) => Self::Live,
            (false, Script::Solve) => Self::ScriptedSolve,
            (false, Script::Wrong) => Self::ScriptedWrong,
        }
    }

    /// As names of files have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::ScriptedSolve => "scripted-solve",
            Self::ScriptedWrong => "scripted-wrong",
        }
    }
}

/// The share of the tasks that is solved; or, in its place, that there is none.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Rate {
    /// Nobody thought.
    Scripted(&'static str),
    /// Of the tasks that were run.
    Live {
        /// How many are solved.
        solved: usize,
        /// Of how many.
        of: usize,
        /// Their share.
        percent: f64,
        /// Within which the share of such tasks lies, at 95 % (Wilson's score interval).
        wilson_95_percent: [f64; 2],
    },
}

const NO_RATE: &str = "scripted: the replies came from files and no model was called, so there is no solve rate";

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub suite: String,
    pub how: How,
    /// The models that replied.
    pub models: Vec<String>,
    /// Of this program.
    pub version: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    pub parallel: u16,
    pub budget_microusd: Option<MicroUsd>,
    pub interrupted: bool,
    pub solve_rate: Rate,
    pub steps: u64,
    pub tokens: u64,
    /// Of all calls, those of unfinished jobs as well.
    pub cost_microusd: MicroUsd,
    pub compared: Option<Comparison>,
    pub tasks: Vec<Scored>,
}

impl Report {
    /// Adds up `tasks`.
    pub(super) fn new(
        args: &Eval,
        suite: &Suite,
        started_at: OffsetDateTime,
        whole: bool,
        cost_microusd: MicroUsd,
        tasks: Vec<Scored>,
        last: Option<&LastRun>,
    ) -> Self {
        let mut models: Vec<String> = tasks.iter().flat_map(|task| task.models.clone()).collect();
        models.sort();
        models.dedup();
        let how = How::of(args);
        Self {
            suite: suite.name.clone(),
            how,
            version: env!("CARGO_PKG_VERSION"),
            started_at,
            parallel: args.parallel,
            budget_microusd: args.budget,
            interrupted: !whole,
            solve_rate: if how == How::Live { rate(&tasks) } else { Rate::Scripted(NO_RATE) },
            steps: tasks.iter().map(|task| u64::from(task.steps)).sum(),
            tokens: tasks.iter().map(|task| task.tokens).sum(),
            cost_microusd,
            compared: last.map(|last| Comparison::new(last, &tasks, &models)),
            models,
            tasks,
        }
    }

    /// The share of the tasks that is solved; `None` = there is none.
    pub(super) fn solved_percent(&self) -> Option<f64> {
        match self.solve_rate {
            Rate::Scripted(_) => None,
            Rate::Live { percent, .. } => Some(percent),
        }
    }

    /// Whether money is why tasks were not run.
    pub(super) fn budget_is_used_up(&self) -> bool {
        self.tasks.iter().any(|task| task.score == Score::NotRun && task.why.iter().any(|why| why.contains("the budget of the run")))
    }

    /// For the screen.
    pub(super) fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.tasks.iter().map(|task| self.row(task)).collect();
        let mut text = screen::table(&HEAD.map(|name| name.to_ascii_uppercase()).each_ref().map(String::as_str), &rows);
        text.push_str(&format!("\n\n{}\n{}", self.rate_line(), self.totals_line()));
        if let Some(compared) = &self.compared {
            text.push_str(&format!("\n{}", compared.lines().join("\n")));
        }
        text
    }

    /// For people who read it later.
    pub(super) fn markdown(&self) -> String {
        let models = if self.models.is_empty() { "none".to_owned() } else { self.models.join(", ") };
        let mut text = format!(
            "# Evaluation of {}\n\n{}, codeteam {}, models: {models}{}\n\n**{}**\n\n{}\n",
            self.suite,
            self.started_at.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC")).unwrap_or_default(),
            self.version,
            if self.interrupted { ", interrupted" } else { "" },
            self.rate_line(),
            self.totals_line()
        );
        if let Some(compared) = &self.compared {
            text.push_str(&format!("\n{}\n", compared.lines().join("\n")));
        }
        text.push_str(&format!("\n| {} |\n|{}\n", HEAD.join(" | "), " --- |".repeat(HEAD.len())));
        for task in &self.tasks {
            let cells: Vec<String> = self.row(task).iter().map(|cell| cell.replace('|', "\\|")).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        for task in self.tasks.iter().filter(|task| !task.why.is_empty()) {
            text.push_str(&format!("\n## {}: {}\n\n{}\n", task.task, task.word(), indented(&task.why.join("\n"))));
        }
        text
    }

    fn row(&self, task: &Scored) -> Vec<String> {
        vec![
            task.task.clone(),
            task.kind.to_string(),
            task.mode.to_string(),
            task.word().to_owned(),
            task.steps.to_string(),
            thousands(task.tokens),
            task.cost_microusd.to_string(),
            format!("{:.1} s", task.duration_ms as f64 / 1000.0),
            task.why.first().map(|why| screen::one_line(why, 120)).unwrap_or_default(),
        ]
    }

    fn rate_line(&self) -> String {
        match &self.solve_rate {
            Rate::Scripted(sentence) => (*sentence).to_owned(),
            Rate::Live { of: 0, .. } => "no task was run, so there is no solve rate".to_owned(),
            Rate::Live { solved, of, percent, wilson_95_percent: [low, high] } => {
                format!("solved {solved} of {of}: {percent:.1} % (95 % interval {low:.1} to {high:.1} %)")
            }
        }
    }

    fn totals_line(&self) -> String {
        let nominal = if self.how == How::Live { "" } else { " (nominal)" };
        let not_run = self.tasks.iter().filter(|task| task.score == Score::NotRun).count();
        let mut text = format!("{} steps, {} tokens, {}{nominal}", self.steps, thousands(self.tokens), self.cost_microusd);
        if let Some(budget) = self.budget_microusd {
            text.push_str(&format!(" of a budget of {budget}"));
        }
        if not_run > 0 {
            text.push_str(&format!("; {not_run} tasks were not run"));
        }
        text
    }
}

const HEAD: [&str; 9] = ["task", "kind", "mode", "result", "steps", "tokens", "cost", "time", "why not"];

/// A block of code whatever is in it.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn rate(tasks: &[Scored]) -> Rate {
    let solved = tasks.iter().filter(|task| task.score == Score::Solved).count();
    let of = tasks.iter().filter(|task| task.score != Score::NotRun).count();
    let percent = if of == 0 { 0.0 } else { solved as f64 * 100.0 / of as f64 };
    Rate::Live { solved, of, percent, wilson_95_percent: wilson(solved, of).map(|share| share * 100.0) }
}

/// Wilson's score interval at 95 % for `solved` of `of` (E. B. Wilson, Probable inference, JASA 22, 1927): it stays within
/// 0 and 1, and is right for few tasks and for shares near the ends, where the usual one is not.
fn wilson(solved: usize, of: usize) -> [f64; 2] {
    const Z: f64 = 1.959_963_985;
    if of == 0 {
        return [0.0, 1.0];
    }
    let (count, share) = (of as f64, solved as f64 / of as f64);
    let middle = share + Z * Z / (2.0 * count);
    let width = Z * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + Z * Z / count;
    [((middle - width) / scale).max(0.0), ((middle + width) / scale).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (solved, of, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let [from, to] = wilson(solved, of);
            assert!((from - low).abs() < 0.000_05 && (to - high).abs() < 0.000_05, "{solved} of {of}: {from} to {to}");
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
    }
}
