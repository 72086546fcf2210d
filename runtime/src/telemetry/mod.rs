//! What the process tells about itself, beside its log: figures (Prometheus, CloudWatch) and traces
//! (OpenTelemetry). All of it is off unless asked for, none of it can disturb a job, and none of it holds
//! prompts, secrets or file contents.

mod emf;
mod export;
pub mod figures;
mod ids;
mod prometheus;
mod traces;

use std::net::SocketAddr;
use std::time::Duration;

use config::Settings;
use domain::OwnerId;
use opentelemetry_sdk::trace::SdkTracerProvider;
use store::Db;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use figures::Figures;
pub use prometheus::Prometheus;
pub use traces::{ended, in_trace, layer};

/// How long the end of a process waits for its last spans to be sent.
const FLUSH: Duration = Duration::from_secs(2);

/// What a service tells, until it ends.
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    prometheus: Option<Prometheus>,
    figures: Figures,
}

impl Telemetry {
    /// Starts what `settings` and `metrics_listen` ask for: the exporter of traces, the registry of figures, and
    /// a port to read them at. Needs the log to be started with [`layer`], and runs within tokio.
    ///
    /// # Errors
    /// An address that is taken, or an endpoint that is no URL.
    pub async fn start(settings: &Settings, metrics_listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let prometheus = match metrics_listen {
            Some(address) => Some(Prometheus::bind(address).await?),
            None => None,
        };
        let provider = settings.otlp_endpoint.as_ref().map(traces::start).transpose()?;
        Ok(Self { provider, prometheus, figures: Figures { emf: settings.metrics_emf, stage: settings.deployment.stage } })
    }

    /// The figures of jobs, for a worker.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Starts in `tasks` what runs beside the service: the port, and how the whole deployment stands, which one process
    /// of all publishes.
    pub fn spawn(&mut self, tasks: &mut JoinSet<()>, db: Db, owner: OwnerId, shutdown: &CancellationToken) {
        let asked = self.figures.emf || self.prometheus.is_some();
        if let Some(prometheus) = self.prometheus.take() {
            let shutdown = shutdown.clone();
            tasks.spawn(async move { prometheus.serve(shutdown).await });
        }
        if asked {
            let (figures, shutdown) = (self.figures, shutdown.clone());
            tasks.spawn(async move { figures.publish(db, owner, shutdown).await });
        }
    }

    /// Sends the last spans, but waits no longer than 2 s for a collector that is away.
    pub async fn finish(self) {
        let Some(provider) = self.provider else { return };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        match tokio::time::timeout(FLUSH, flushed).await {
            Ok(Ok(Ok(()))) => {}
            _ => tracing::warn!("the last spans could not be sent within {} s", FLUSH.as_secs()),
        }
    }
}
