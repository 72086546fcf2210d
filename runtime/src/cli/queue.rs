//! The command line about the queue: lanes, gates, and what was given up.

use clap::{Args, Subcommand};
use domain::{Mode, Scope};

use super::{JobRef, parse_mode};

/// `codeteam pause`.
#[derive(Args, Debug)]
pub struct Pause {
    /// all, mode:mechanic, mode:genius or repository:owner/name.
    pub scope: Scope,
    /// Why, for whoever wonders.
    #[arg(long)]
    pub reason: Option<String>,
}

/// `codeteam resume`.
#[derive(Args, Debug)]
pub struct Resume {
    /// The scope that was paused, or that an alarm closed.
    pub scope: Scope,
}

/// `codeteam lanes`.
#[derive(Args, Debug)]
pub struct Lanes {
    /// What to do; list unless given.
    #[command(subcommand)]
    pub command: Option<LanesCommand>,
}

/// What to do with lanes.
#[derive(Subcommand, Debug)]
pub enum LanesCommand {
    /// List them, and the gates that are closed.
    List,
    /// Set how many jobs of a repository may run at the same time.
    #[command(group = clap::ArgGroup::new("limit").required(true))]
    Set {
        /// The repository, owner/name.
        repository: String,
        /// At most this many.
        #[arg(long, group = "limit", value_parser = clap::value_parser!(u16).range(1..))]
        max_running: Option<u16>,
        /// As many as there are workers.
        #[arg(long, group = "limit")]
        no_limit: bool,
    },
}

/// `codeteam dlq`.
#[derive(Subcommand, Debug)]
pub enum Dlq {
    /// List dead jobs, the oldest first.
    List {
        /// Which.
        #[command(flatten)]
        filter: DeadFilter,
        /// At most this many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only jobs after this one: the last of the page before.
        #[arg(long, value_name = "JOB")]
        after: Option<String>,
    },
    /// Show a dead job: request, standing, steps, effects, links.
    Show(JobRef),
    /// Try dead jobs again from where they stood.
    Redrive(Dead),
    /// Put dead jobs away for good; they stay dead.
    Discard(Dead),
}

/// One dead job, or all that match.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct Dead {
    /// A job id, or the end of one.
    #[arg(group = "which")]
    pub job: Option<String>,
    /// Every dead job that matches the filters.
    #[arg(long, group = "which")]
    pub all: bool,
    /// Which.
    #[command(flatten)]
    pub filter: DeadFilter,
    /// Yes, every dead job there is: needed for --all without a filter.
    #[arg(long, requires = "all")]
    pub yes: bool,
}

/// Which dead jobs: all conditions must hold.
#[derive(Args, Debug)]
pub struct DeadFilter {
    /// Of this repository, owner/name.
    #[arg(long, value_name = "OWNER/NAME")]
    pub repository: Option<String>,
    /// Of this mode.
    #[arg(long, value_parser = parse_mode)]
    pub mode: Option<Mode>,
    /// Whose cause contains this text.
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,
    /// That have been dead for this many hours.
    #[arg(long, value_name = "HOURS")]
    pub older_than_hours: Option<u32>,
}
