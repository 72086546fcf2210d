//! Logs go to standard error: data has standard output for itself.

mod json;
mod redacted;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use redacted::Redacted;

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object a line, for machines: what happened, and the fields of every span it happened in.
    Json,
    /// For people.
    Text,
}

impl Format {
    /// What suits a service: text for somebody who looks on, else JSON.
    pub fn of_service() -> Self {
        if stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Starts logging. `RUST_LOG` overrides `level` (a level, or directives such as `warn,codeteam=debug`).
pub fn to_stderr(format: Format, level: &str) {
    with_layer(format, level, None::<tracing_subscriber::layer::Identity>);
}

/// Like [`to_stderr`], with a further layer that sees every event.
pub fn with_layer<L: Layer<Registry> + Send + Sync>(format: Format, level: &str, further: Option<L>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = match format {
        Format::Json => fmt::layer().fmt_fields(JsonFields::new()).event_format(json::Flat).with_writer(Redacted(stderr)).boxed(),
        Format::Text => fmt::layer().with_writer(Redacted(stderr)).with_target(false).with_ansi(stderr().is_terminal()).boxed(),
    };
    // A second start (in tests) keeps the first subscriber.
    drop(tracing_subscriber::registry().with(further).with(lines.with_filter(filter)).try_init());
}
