//! The `main` of every handler crate.

use std::process::ExitCode;

use anyhow::bail;

use crate::{Configured, Environment, Root, Services, Settings, logging, root};

/// Makes ring the process's one source of cryptography. Harmless when called again.
pub fn install_crypto() {
    // An error says that one is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Runs a handler as a Lambda function until its environment ends.
pub fn run<H: Configured>() -> ExitCode {
    root::first(H::work());
    match start::<H>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{} cannot run: {error:#}", H::NAME);
            ExitCode::from(4)
        }
    }
}

fn start<H: Configured>() -> anyhow::Result<()> {
    logging::to_stderr(logging::Format::Json, "info");
    // Lambda's client panics without it.
    if Environment::of_process().only(&["AWS_LAMBDA_RUNTIME_API"]).is_empty() {
        bail!("this program is started by the Lambda runtime: run it under `cargo lambda watch`, or use `codeteam invoke {}`", H::NAME);
    }
    root::begin(Root::GivenUp)?;
    install_crypto();
    let settings = Settings::from_env(H::NEEDS)?;
    settings.warn();
    let services = Services::new(settings);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let handler = H::configure(&services).await?;
        dispatch::run_lambda(handler).await
    })
}
