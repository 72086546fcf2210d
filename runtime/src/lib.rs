//! AI Code Team: the dispatch runtime, the worker loop and the commands, in one binary.

pub mod api;
pub mod background;
pub mod cli;
mod commands;
pub mod conversation;
pub mod exit;
pub mod invoke_api;
pub mod leases;
pub mod perform;
pub mod redelivery;
pub mod registry;
mod sandbox;
pub mod screen;
pub mod server;
pub mod shutdown;
pub mod sigv4;
pub mod state;
pub mod telemetry;
pub mod tokens;
pub mod upkeep;
pub mod worker;

use std::process::ExitCode;

use clap::Parser;

/// Reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    // Before anything secret is read.
    config::first(<step::Step as config::Configured>::work());
    let cli = cli::Cli::parse();
    match commands::begin(&cli).and_then(|()| commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::progress(&format!("codeteam: {failure}"));
            failure.code()
        }
    }
}
