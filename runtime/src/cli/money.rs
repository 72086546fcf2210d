//! The command line about money: ledger, costs, budgets, and how long records are kept.

use clap::{Args, Subcommand, ValueEnum};
use domain::{MicroUsd, Scope};
use serde::Serialize;
use store::cost::By;
use time::Date;
use time::macros::format_description;

/// `codeteam ledger`.
#[derive(Subcommand, Debug)]
pub enum Ledger {
    /// Recompute every hash chain and compare it with the heads and totals of the jobs and with the anchors.
    Verify {
        /// Only this job: its id, or the end of it.
        #[arg(conflicts_with = "incremental")]
        job: Option<String>,
        /// Only what was anchored since the last verification that found nothing wrong.
        #[arg(long)]
        incremental: bool,
        /// Also: the anchor of this number must have this hash. A log has the line "anchor NUMBER … HASH".
        #[arg(long, value_name = "NUMBER:HASH", value_parser = parse_anchor)]
        anchor: Vec<(i64, String)>,
    },
    /// Show the entries of a job.
    Show {
        /// A job id, or the end of one.
        job: String,
    },
    /// Print every entry, for a spreadsheet: CSV (RFC 4180), or one JSON object a line with --json.
    Export {
        /// CSV, also with --json.
        #[arg(long)]
        csv: bool,
        /// Which days.
        #[command(flatten)]
        days: Days,
    },
}

/// Some days.
#[derive(Args, Clone, Copy, Debug)]
pub struct Days {
    /// The first day, UTC.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub from: Option<Date>,
    /// The last day, UTC; it is included.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub to: Option<Date>,
}

/// `codeteam cost`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cost {
    /// In the place of what was paid.
    #[command(subcommand)]
    pub other: Option<OtherCost>,
    /// repo, model, mode or day.
    #[arg(long, default_value = "repo", value_parser = parse_by)]
    pub by: By,
    /// Which days.
    #[command(flatten)]
    pub days: Days,
}

/// `codeteam cost estimate`.
#[derive(Subcommand, Debug)]
pub enum OtherCost {
    /// What an environment of template.yaml costs in a month on AWS, without models, beside what the architecture says.
    Estimate(Estimate),
}

/// What a deployment on AWS is made of, and what is asked of it.
#[derive(Args, Clone, Debug)]
pub struct Estimate {
    /// dev or prod.
    #[arg(long, value_enum)]
    pub env: Place,
    /// Jobs a day; 100 in prod and 20 in dev unless given.
    #[arg(long, value_name = "N")]
    pub jobs_per_day: Option<u32>,
    /// How many jobs in a hundred are a genius's.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub genius_percent: u32,
    /// How long a mechanic's job takes, cloning and dependencies included.
    #[arg(long, value_name = "MINUTES", default_value_t = 3.0, value_parser = parse_minutes)]
    pub mechanic_minutes: f64,
    /// The same for a genius's.
    #[arg(long, value_name = "MINUTES", default_value_t = 8.0, value_parser = parse_minutes)]
    pub genius_minutes: f64,
    /// What stands before the database.
    #[arg(long, value_enum, default_value = "pgbouncer")]
    pub pooler: Pooler,
    /// The images are for ARM.
    #[arg(long)]
    pub arm: bool,
}

/// An environment of the template.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Where changes are tried.
    Dev,
    /// Where people's work is done.
    Prod,
}

/// What stands before the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Pooler {
    /// PgBouncer, as a service of its own.
    Pgbouncer,
    /// The RDS Proxy.
    RdsProxy,
    /// Nothing; in prod alone.
    None,
}

impl Place {
    /// As the template calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Prod => "prod",
        }
    }
}

impl Pooler {
    /// As the template calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pgbouncer => "pgbouncer",
            Self::RdsProxy => "rds-proxy",
            Self::None => "none",
        }
    }
}

/// `codeteam budget`.
#[derive(Subcommand, Debug)]
pub enum Budget {
    /// Show all budgets and what today has used of them.
    List,
    /// Set the most that a scope may spend in a UTC day; what today has spent counts.
    Set {
        /// all, mode:mechanic, mode:genius or repository:owner/name.
        scope: Scope,
        /// US dollars a day, such as 20 or 0.50; 0 = nothing.
        #[arg(value_name = "DOLLARS", value_parser = parse_amount)]
        limit: MicroUsd,
    },
    /// Take a budget away: the scope may spend what it likes.
    Remove {
        /// all, mode:mechanic, mode:genius or repository:owner/name.
        scope: Scope,
    },
}

/// `codeteam retention`.
#[derive(Args, Debug)]
pub struct Retention {
    /// Keep events of this month and of this many before it; RETENTION_EVENTS_MONTHS unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub events_months: Option<u32>,
    /// The same for steps: requests, replies, results, checkpoints; RETENTION_STEPS_MONTHS unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps_months: Option<u32>,
    /// The same for the ledger, which is kept for ever unless this is given. Only its owner may.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub ledger_months: Option<u32>,
    /// Only say what would go.
    #[arg(long)]
    pub dry_run: bool,
}

/// `codeteam migrate`.
#[derive(Args, Debug, Default)]
pub struct Migrate {
    /// Give this role what serve and work need; steps, events and ledger only grow for it.
    #[arg(long, value_name = "ROLE")]
    pub grant_app: Vec<String>,
    /// Give this role what people need who only look.
    #[arg(long, value_name = "ROLE")]
    pub grant_read: Vec<String>,
}

fn parse_day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(|_| "expected a day such as 2026-11-30".to_owned())
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes: &f64| minutes.is_finite() && *minutes >= 0.0);
    minutes.ok_or_else(|| "expected a number of minutes, such as 2.5".to_owned())
}

fn parse_by(text: &str) -> Result<By, String> {
    text.parse().map_err(|_| "expected repo, model, mode or day".to_owned())
}

fn parse_anchor(text: &str) -> Result<(i64, String), String> {
    let parsed = text.split_once(':').and_then(|(number, hash)| Some((number.parse().ok()?, hash.to_owned())));
    let well_formed = |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    parsed.filter(|(_, hash)| well_formed(hash)).ok_or_else(|| "expected a number, a colon and 64 hexadecimal digits".to_owned())
}

/// Reads US dollars to the micro-dollar.
pub(super) fn parse_amount(text: &str) -> Result<MicroUsd, String> {
    let expected = || "expected an amount of US dollars, such as 0.25".to_owned();
    let (whole, fraction) = text.trim_start_matches('$').split_once('.').unwrap_or((text.trim_start_matches('$'), ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return Err(expected());
    }
    let micros: i64 = format!("{whole}{fraction:0<6}").parse().map_err(|_| expected())?;
    Ok(MicroUsd(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_may_be_nothing_and_never_less() {
        assert_eq!(parse_amount("0"), Ok(MicroUsd(0)));
        assert_eq!(parse_amount("20"), Ok(MicroUsd(20_000_000)));
        assert!(parse_amount("-1").is_err());
    }

    #[test]
    fn days_and_anchors_are_read_or_refused_with_what_is_expected() {
        assert_eq!(parse_day("2026-02-28").unwrap().to_string(), "2026-02-28");
        for bad in ["2026-02-29", "26-2-1", "yesterday", ""] {
            assert!(parse_day(bad).unwrap_err().contains("2026-11-30"), "{bad}");
        }
        let hash = "ab".repeat(32);
        assert_eq!(parse_anchor(&format!("12:{hash}")), Ok((12, hash.clone())));
        for bad in ["12", "x:", &format!(":{hash}"), "12:abc", &format!("1:{}", "g".repeat(64))] {
            assert!(parse_anchor(bad).is_err(), "{bad}");
        }
    }
}
