//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;
use strum::{EnumMessage, VariantArray};
use tokio::time::Instant;

use crate::report::{RunReport, load};
use crate::runs::{self, Amount, Run};
use crate::say;
use crate::world::Plan;

/// Kills, freezes, starves and cuts off real processes, and checks from outside that nothing is lost.
///
/// Without names of runs: `short`. `all` = every run but `short`, with the rounds of the goals.
#[derive(Parser, Debug)]
#[command(name = "chaos", max_term_width = 100)]
pub struct Cli {
    /// The runs, in this order; `list` shows them.
    runs: Vec<String>,
    /// Where all randomness comes from; a new one is made and printed when none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds of each run, in the place of those of the goals.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Begin no further round after so many minutes.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    /// Write the report as JSON into this file, after every run anew.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where worlds are made, and kept where something is wrong.
    #[arg(long, default_value = "/tmp/codeteam-chaos")]
    folder: PathBuf,
    /// Workers at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=32))]
    workers: u16,
    /// Jobs at the same time in each worker.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    slots: u16,
    /// Jobs that are ready or worked on at the same time: fewer than all slots, so that what comes back finds
    /// a free hand.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=512))]
    load: u16,
    /// The binary of another version, for `rolling`.
    #[arg(long)]
    previous: Option<PathBuf>,
}

/// Everything that was found.
#[derive(Serialize)]
struct Report {
    seed: u64,
    cores: usize,
    load_at_the_start: f64,
    violations: usize,
    runs: Vec<RunReport>,
}

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.runs.iter().any(|name| name == "list") {
        for run in Run::VARIANTS {
            say(&format!("{:<12}{} ({} rounds)", run.to_string(), run.get_message().unwrap_or_default(), run.rounds()));
        }
        return ExitCode::SUCCESS;
    }
    let runs = match chosen(&cli.runs) {
        Ok(runs) => runs,
        Err(problem) => {
            say(&format!("chaos: {problem}"));
            return ExitCode::from(2);
        }
    };
    let played = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime").and_then(|runtime| {
        // Blocking work that hangs must not keep a finished suite from ending.
        let played = runtime.block_on(play(&cli, &runs));
        runtime.shutdown_timeout(Duration::from_secs(5));
        played
    });
    match played {
        Ok(0) => ExitCode::SUCCESS,
        Ok(violations) => {
            say(&format!("chaos: {violations} violations"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("chaos: {error:#}"));
            ExitCode::from(4)
        }
    }
}

/// The runs that are asked for, each with its rounds.
fn chosen(names: &[String]) -> Result<Vec<(Run, u32)>, String> {
    let whole = |run: Run| (run, run.rounds());
    if names.is_empty() {
        return Ok(vec![whole(Run::Short)]);
    }
    let mut runs = Vec::new();
    for name in names {
        match (name.as_str(), name.parse()) {
            ("all", _) => runs.extend(Run::VARIANTS.iter().filter(|run| **run != Run::Short).copied().map(whole)),
            (_, Ok(run)) => runs.push(whole(run)),
            _ => return Err(format!("no run {name:?}; `chaos list` shows what there is")),
        }
    }
    Ok(runs)
}

async fn play(cli: &Cli, runs: &[(Run, u32)]) -> Result<usize> {
    let seed = cli.seed.unwrap_or_else(rand::random);
    let plan = Plan {
        program: std::env::current_exe().context("a running program has a path")?,
        folder: std::path::absolute(&cli.folder)?,
        seed,
        workers: usize::from(cli.workers),
        slots: usize::from(cli.slots),
        load: usize::from(cli.load),
        previous: cli.previous.clone(),
    };
    let until = Instant::now() + Duration::from_secs(cli.minutes.map_or(7 * 24 * 3600, |minutes| minutes * 60));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut report = Report { seed, cores, load_at_the_start: load(), violations: 0, runs: Vec::new() };
    say(&format!("chaos: --seed {seed}, {cores} cores, load {:.1}", report.load_at_the_start));
    for (run, rounds) in runs {
        if Instant::now() > until {
            say(&format!("{run}: left out, the time is over"));
            continue;
        }
        let played = runs::play(*run, &plan, Amount { rounds: cli.rounds.unwrap_or(*rounds), until }).await?;
        say(played.text().trim_end());
        report.violations += played.violations.len();
        report.runs.push(played);
        if let Some(file) = &cli.report {
            std::fs::write(file, serde_json::to_vec_pretty(&report)?).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(report.violations)
}
