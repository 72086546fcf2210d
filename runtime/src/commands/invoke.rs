//! `codeteam invoke`.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use config::Services;
use dispatch::{Ctx, HandlerError, InvokeError};
use serde_json::Value;

use crate::cli::Invoke;
use crate::exit::{Failure, Outcome};
use crate::{registry, screen};

/// Gives an event to a handler in this process; the answer, or the error as AWS shapes it, is the data.
pub(crate) async fn run(args: Invoke, json: bool, services: &Services) -> Outcome {
    let event = read(&args.event)?;
    let event: Value =
        serde_json::from_slice(&event).map_err(|error| Failure::Usage(format!("{} is not JSON: {error}", args.event.display())))?;
    let registry = registry::all(services).await?;
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    match registry.invoke(&args.handler, Ctx::with_timeout(Duration::from_secs(args.timeout)), event).await {
        Ok(answer) => Ok(screen::data(json, &answer, || pretty(&answer))?),
        Err(InvokeError::Handler(error)) => {
            let shape = error.to_json();
            screen::data(json, &shape, || pretty(&shape))?;
            let message = format!("{} failed: {error}", args.handler);
            Err(match error {
                HandlerError::Invalid(_) | HandlerError::Denied(_) => Failure::Usage(message),
                _ => Failure::Job(message),
            })
        }
        Err(error @ InvokeError::Unknown { .. }) => Err(Failure::Usage(error.to_string())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut event = Vec::new();
        std::io::stdin().read_to_end(&mut event).context("cannot read standard input")?;
        return Ok(event);
    }
    std::fs::read(path).map_err(|error| Failure::Usage(format!("cannot read the event {}: {error}", path.display())))
}
