//! `codeteam eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use domain::{Kind, MicroUsd, Mode};
use process::sandbox::Level;

use super::{parse_dollars, parse_mode};

/// `codeteam eval`.
#[derive(Args, Debug)]
pub struct Eval {
    /// A folder of tasks, such as evals/core.
    pub suite: PathBuf,
    /// Only tasks whose name matches, such as 'python-*'; * and ? stand for anything.
    #[arg(long, value_name = "GLOB")]
    pub only: Option<String>,
    /// Only tasks of this kind: change, analysis, review or question.
    #[arg(long, value_parser = parse_kind)]
    pub kind: Option<Kind>,
    /// Only tasks for a mechanic, or for a genius.
    #[arg(long, value_parser = parse_mode)]
    pub mode: Option<Mode>,
    /// Ask real models; needs a key and a budget. Without it replies come from the tasks' own scripts.
    #[arg(long, requires = "budget")]
    pub live: bool,
    /// The most that the whole run may cost, in US dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = parse_dollars, requires = "live")]
    pub budget: Option<MicroUsd>,
    /// The model, by its name in the price table; the first of each task's mode whose key is set unless given.
    #[arg(long, requires = "live")]
    pub model: Option<String>,
    /// Exit with 1 where less than this share of the tasks is solved, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent, requires = "live")]
    pub fail_under: Option<f64>,
    /// Which of the tasks' scripts answers in the place of a model.
    #[arg(long, value_enum, default_value_t = Script::Solve, conflicts_with = "live")]
    pub script: Script,
    /// Check the suite itself: each task's solve script has to solve it, its wrong script and doing nothing must not.
    #[arg(long, conflicts_with_all = ["live", "script"])]
    pub check: bool,
    /// Tasks at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,
    /// Refuse to start where tools and hidden tests cannot run in a sandbox of at least this level: none, seccomp, landlock,
    /// uid or full (docs/sandbox.md).
    #[arg(long, value_name = "LEVEL")]
    pub sandbox_min: Option<Level>,
    /// Where the results go, and where those of the last run are looked for; the folder results/SUITE beside the suite
    /// unless given.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

/// A script of a task.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// scripts/solve.json, which solves it.
    Solve,
    /// scripts/wrong.json, which must not.
    Wrong,
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| "expected change, analysis, review or question".to_owned())
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    fn refusal(arguments: &[&str]) -> String {
        let all = ["codeteam", "eval", "evals/core"].iter().chain(arguments);
        Cli::try_parse_from(all).map(drop).map_err(|error| error.to_string()).unwrap_err()
    }

    #[test]
    fn a_real_model_is_never_asked_without_a_budget() {
        assert!(refusal(&["--live"]).contains("--budget"));
        assert!(Cli::try_parse_from(["codeteam", "eval", "evals/core", "--live", "--budget", "2"]).is_ok());
    }

    #[test]
    fn a_scripted_run_has_no_share_that_could_be_too_low() {
        assert!(refusal(&["--fail-under", "50"]).contains("--live"));
        assert!(refusal(&["--live", "--budget", "1", "--fail-under", "101"]).contains("from 0 to 100"));
    }

    #[test]
    fn scripts_and_models_exclude_each_other() {
        assert!(refusal(&["--live", "--budget", "1", "--script", "wrong"]).contains("cannot be used"));
        assert!(refusal(&["--check", "--script", "wrong"]).contains("cannot be used"));
        assert!(refusal(&["--model", "gpt-5-mini"]).contains("--live"));
    }
}
