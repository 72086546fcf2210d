//! Benchmarks that print ratios against a peer or a physical limit measured in the same run, since bare
//! seconds only tell which machine they were measured on. `docs/benchmarks.md` says what each one measures.
//!
//! They never fail because something is slow: a goal that is missed is printed as missed.

mod claim;
mod dispatch_cost;
mod echo;
mod edit_cost;
mod figures;
mod http;
mod ledger;
mod peers;
mod queue;
mod sizes;
mod spawn;
mod step_cost;
mod wake;
mod webhook;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use codeteam::invoke_api::LogTailLayer;
use config::logging::{self, Format};

fn main() -> ExitCode {
    process::spawner::serve_if_asked(<echo::Echo as config::Configured>::work());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The two halves of a peer: this program runs itself again as a Lambda function and as a server.
    match arguments[..] {
        [echo::FUNCTION] => return config::run::<echo::Echo>(),
        [echo::SERVER] => return ended(echo::serve()),
        _ => {}
    }
    logging::with_layer(Format::Text, "warn", Some(LogTailLayer::default()));
    ended(run(&arguments))
}

#[tokio::main]
async fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["dispatch"] => dispatch_cost::run().await,
        ["step"] => step_cost::run().await,
        ["edit"] => edit_cost::run().await,
        ["ledger"] => ledger::run().await,
        ["spawn"] => spawn::run().await,
        ["sizes"] => sizes::run().await,
        ["wake"] => wake::run().await,
        ["webhook"] => webhook::run().await,
        ["claim"] => claim::run(1).await,
        ["claim", "--pinned-minutes", minutes] => claim::run(minutes.parse().context("minutes are a whole number")?).await,
        ["queue"] => queue::run().await,
        [] | ["all"] => {
            dispatch_cost::run().await?;
            step_cost::run().await?;
            spawn::run().await?;
            edit_cost::run().await?;
            ledger::run().await?;
            sizes::run().await?;
            wake::run().await?;
            webhook::run().await?;
            claim::run(1).await
        }
        other => {
            bail!(
                "no benchmark {:?}; there are dispatch, step, spawn, edit, ledger, sizes, wake, webhook, claim, all, and queue on its own",
                other.join(" ")
            )
        }
    }
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            figures::say(&format!("benches: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
