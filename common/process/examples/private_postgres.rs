//! Runs a command with a private PostgreSQL: `cargo run -p process --example private_postgres -- COMMAND ARGS…`
//!
//! The command finds it in `DATABASE_URL`; everything else of its environment is ours. Exits with the command's code.
//! `PRIVATE_POSTGRES_BIN` names the folder of a certain PostgreSQL to use.

use std::process::ExitCode;

use process::{Command, Exit, PostgresOptions, PrivatePostgres, run_attached};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    match with_database().await {
        Ok(Exit::Code(code)) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Ok(exit) => {
            eprintln!("private_postgres: the command was {exit}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("private_postgres: {error}");
            ExitCode::from(4)
        }
    }
}

async fn with_database() -> Result<Exit, Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1).skip_while(|arg| arg == "--");
    let program = args.next().ok_or("say what to run: private_postgres -- COMMAND ARGS…")?;
    #[expect(clippy::disallowed_methods, reason = "a wrapper hands its own environment on; there is no config to read")]
    let environment: Vec<_> = std::env::vars_os().collect();
    let bin_dir = environment.iter().find(|(name, _)| name == "PRIVATE_POSTGRES_BIN").map(|(_, bin)| bin.into());
    let options = PostgresOptions { environment: environment.clone(), bin_dir, ..PostgresOptions::default() };
    let server = PrivatePostgres::start(options, &mut |line| eprintln!("private_postgres: {line}")).await?;
    eprintln!("private_postgres: {}", server.source());
    let command = Command::new(program).args(args).envs(environment).env("DATABASE_URL", server.url());
    let exit = run_attached(command, &CancellationToken::new()).await;
    server.stop().await?;
    Ok(exit?)
}
