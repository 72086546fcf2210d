//! Logs go to standard error: data has standard output for itself.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// Starts logging. `RUST_LOG` overrides `level` (a level, or directives such as `warn,codeteam=debug`).
pub fn to_stderr(format: Format, level: &str) {
    with_layer(format, level, None::<tracing_subscriber::layer::Identity>);
}

/// Like [`to_stderr`], with a further layer that sees every event.
pub fn with_layer<L: Layer<Registry> + Send + Sync>(format: Format, level: &str, further: Option<L>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = match format {
        Format::Json => fmt::layer().json().flatten_event(true).with_current_span(true).with_writer(stderr).boxed(),
        Format::Text => fmt::layer().with_writer(stderr).with_target(false).with_ansi(stderr().is_terminal()).boxed(),
    };
    // A second start (in tests) keeps the first subscriber.
    drop(tracing_subscriber::registry().with(further).with(lines.with_filter(filter)).try_init());
}
