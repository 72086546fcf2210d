//! The command line of what steers: hints and schedules.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::schedule::Missed;
use domain::{Kind, Mode};

use super::parse_mode;

/// `codeteam hint`.
#[derive(Args, Debug)]
pub struct Hint {
    /// A job id, or the end of one.
    pub job: String,
    /// What the next step should know: at most 4,000 characters.
    pub text: String,
}

/// `codeteam schedule`.
#[derive(Subcommand, Debug)]
pub enum Schedule {
    /// Add one: `codeteam schedule add nightly "0 3 * * 1-5" acme/shop "Update the dependencies"`.
    Add(Box<AddSchedule>),
    /// List them, with their next and last runs.
    List,
    /// Show one, with the job that it writes.
    Show(ScheduleRef),
    /// Take one away; its jobs stay.
    Remove(ScheduleRef),
    /// Let one run again, from its next time on.
    Enable(ScheduleRef),
    /// Let one rest.
    Disable(ScheduleRef),
    /// Write its job now, beside its times.
    RunNow(ScheduleRef),
}

/// A schedule.
#[derive(Args, Debug)]
pub struct ScheduleRef {
    /// Its name.
    pub name: String,
}

/// `codeteam schedule add`.
#[derive(Args, Debug)]
pub struct AddSchedule {
    /// What to call it: lower-case letters, digits, '.', '_' and '-'.
    pub name: String,
    /// When: minute, hour, day of month, month, day of week, or @hourly, @daily, @weekly, @monthly, @yearly.
    pub cron: String,
    /// The repository, owner/name.
    #[arg(required_unless_present = "job", conflicts_with = "job")]
    pub repository: Option<String>,
    /// What to do, in one line; more lines become the body.
    #[arg(required_unless_present = "job", conflicts_with = "job")]
    pub task: Option<String>,
    /// Take the whole job from this file, in the JSON that `codeteam invoke enqueue` takes; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "mode", "model"])]
    pub job: Option<PathBuf>,
    /// Whose clocks: a name such as America/Sao_Paulo.
    #[arg(long, default_value = "UTC")]
    pub time_zone: String,
    /// What becomes of runs that were missed: skip, once (one job for all of them) or all.
    #[arg(long, default_value = "once", value_parser = parse_missed)]
    pub missed: Missed,
    /// change, analysis, review or question.
    #[arg(long, default_value = "change", value_parser = parse_kind)]
    pub kind: Kind,
    /// mechanic or genius.
    #[arg(long, default_value = "mechanic", value_parser = parse_mode)]
    pub mode: Mode,
    /// The model, by its name in the price table.
    #[arg(long)]
    pub model: Option<String>,
}

fn parse_missed(text: &str) -> Result<Missed, String> {
    text.parse().map_err(|_| "expected skip, once or all".to_owned())
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| "expected change, analysis, review or question".to_owned())
}
