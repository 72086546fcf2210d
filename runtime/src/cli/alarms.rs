//! `codeteam alarms`.

use clap::{Args, Subcommand};

/// `codeteam alarms`.
#[derive(Args, Debug)]
pub struct Alarms {
    /// What to do; list unless given.
    #[command(subcommand)]
    pub command: Option<AlarmsCommand>,
    /// At most this many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Only those before this number: the last of the page before.
    #[arg(long, value_name = "ID")]
    pub before: Option<i64>,
}

/// What to do with alarms.
#[derive(Subcommand, Debug)]
pub enum AlarmsCommand {
    /// Show one: what was told of it, what was to be done and what was.
    Show {
        /// Its number.
        id: i64,
    },
}
