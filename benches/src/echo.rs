//! The cheapest handler there is, and the two programs that offer it: with it, only the way to a handler costs.

use std::sync::Arc;

use anyhow::Result;
use codeteam::invoke_api::{InvokeApi, LogTailLayer, Options};
use codeteam::server::Server;
use codeteam::shutdown;
use config::logging::{self, Format};
use config::{Configured, Need, Services, Settings};
use dispatch::{Ctx, Handler, HandlerError, Registry};
use domain::SystemClock;
use serde_json::Value;

use crate::figures::say;

/// The argument that makes this program a Lambda function.
pub(crate) const FUNCTION: &str = "echo-function";
/// The argument that makes this program a server with our Invoke API.
pub(crate) const SERVER: &str = "echo-server";
/// What the server says before its address.
pub(crate) const LISTENS: &str = "echo listens on ";

/// Answers with its request.
#[derive(Clone)]
pub(crate) struct Echo;

impl Handler for Echo {
    const NAME: &'static str = "echo";
    type Request = Value;
    type Response = Value;

    async fn handle(&self, _ctx: Ctx, request: Value) -> Result<Value, HandlerError> {
        Ok(request)
    }
}

impl Configured for Echo {
    const NEEDS: &'static [Need] = &[];

    async fn configure(_services: &Services) -> Result<Self> {
        Ok(Self)
    }
}

/// Serves [`Echo`] as `codeteam up` serves the real handlers: the same server, door and logging.
#[tokio::main]
pub(crate) async fn serve() -> Result<()> {
    logging::with_layer(Format::Json, "info", Some(LogTailLayer::default()));
    let services = Services::new(Settings::from_env(&[])?);
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new().with(Echo);
    let invoke = InvokeApi::new(Arc::new(registry.clone()), Arc::new(SystemClock), Options::default(), shutdown.clone());
    let server = Server::bind(([127, 0, 0, 1], 0).into(), registry, services.db().await?, Some(invoke)).await?;
    say(&format!("{LISTENS}{}", server.address()?));
    server.run(shutdown).await;
    Ok(())
}
