//! `codeteam github setup`, `check` and `redeliver`.

mod check;
mod deployed;
mod page;
mod redeliver;
mod setup;

use anyhow::anyhow;
use config::{Services, Settings};
use github::app::App;

use crate::cli::GitHub;
use crate::exit::{Failure, Outcome};

/// Sets up the App, looks at it, or makes up for what it missed.
pub(crate) async fn run(command: GitHub, json: bool, settings: Settings) -> Outcome {
    match command {
        GitHub::Setup(args) => setup::run(args, json, settings).await,
        GitHub::Check => check::run(json, settings).await,
        GitHub::Redeliver(args) => redeliver::run(args, json, settings).await,
    }
}

/// The App that is set up here.
fn app(settings: Settings) -> Result<App, Failure> {
    let app = Services::new(settings).github_app()?;
    app.ok_or_else(|| Failure::Environment(anyhow!("no GitHub App is set up here: `codeteam github setup` registers one")))
}
