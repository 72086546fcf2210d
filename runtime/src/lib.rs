//! AI Code Team: the dispatch runtime, the worker loop and the commands, in one binary.

pub mod agent;
pub mod alarms;
pub mod api;
pub mod background;
pub mod children;
pub mod cli;
mod commands;
pub mod conversation;
pub mod exit;
pub mod invoke_api;
pub mod leases;
pub mod perform;
pub mod protection;
pub mod redelivery;
pub mod registry;
mod sandbox;
pub mod scaling;
pub mod screen;
pub mod server;
pub mod shutdown;
pub mod signals;
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
    let ended = match commands::begin(&cli).and_then(|()| commands::run(cli)) {
        Ok(()) if shutdown::spawner_ended() => {
            Err(exit::Failure::Environment(anyhow::anyhow!("the spawner of sandboxed commands has ended")))
        }
        ended => ended,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::progress(&format!("codeteam: {failure}"));
            failure.code()
        }
    }
}
