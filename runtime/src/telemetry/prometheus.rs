//! Figures in the text format of Prometheus, at `/metrics` of a port of their own: what is open to the world
//! (webhooks, the API) does not show them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::figures;

/// From a claim (a millisecond) to the longest job.
const SECONDS: [f64; 16] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0];
const MILLISECONDS: [f64; 12] = [0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 30_000.0, 300_000.0];
/// How often histograms are put in order.
const UPKEEP: Duration = Duration::from_secs(5);

/// The registry of figures, and the port at which it is read.
pub struct Prometheus {
    listener: TcpListener,
    handle: PrometheusHandle,
}

impl Prometheus {
    /// Listens on `address`, and keeps figures from now on.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}: choose another address with --metrics-listen"))?;
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_ms".to_owned()), &MILLISECONDS)?
            .install_recorder()
            .context("the registry of figures cannot be installed")?;
        figures::describe();
        tracing::info!("figures are at http://{}/metrics", listener.local_addr()?);
        Ok(Self { listener, handle })
    }

    /// Answers until `shutdown`.
    pub async fn serve(self, shutdown: CancellationToken) {
        let (upkeep, handle) = (self.handle.clone(), self.handle);
        let answer = move || {
            let figures = handle.render();
            async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], figures) }
        };
        let router = Router::new().route("/metrics", get(answer));
        let serving = axum::serve(self.listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::warn!("figures can no longer be read: {error}");
                }
            }
            // A reader that holds its connection open must not hold the process.
            () = shutdown.cancelled() => {}
            () = keep(upkeep) => {}
        }
    }
}

/// Puts histograms in order, for ever: otherwise what was recorded waits in memory for a reader.
async fn keep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}
