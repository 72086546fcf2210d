//! Traces: one for each job, with a span for each claim, preparation, step, model call, tool and finalization.
//!
//! The spans are those of the log (`tracing`), so the code says once what happens. They hang below the job's
//! root span, whose id every worker can compute; whoever finalizes the job sends the root itself. A worker that
//! is killed takes only the spans with it that had not ended.

use std::time::{Duration, SystemTime};

use domain::{JobId, Secret};
use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::trace::{
    FutureExt, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, TraceId};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use tracing::Metadata;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::export::Client;
use super::ids::{Ids, Root};

/// What people call the source of the spans.
const SCOPE: &str = "codeteam";
/// The root span of a trace.
const ROOT: &str = "job";
/// The spans of the log that are sent, if they belong to a job.
const SENT: [&str; 6] = ["claim", "prepare", "step", "model_call", "tool", "finalize"];
/// How often ended spans are sent: what a killed worker can lose.
const DELAY: Duration = Duration::from_secs(1);

/// The layer of the log that makes spans; without `start` it does nothing.
pub fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // Events stay in the log: their text may say more than a trace should.
    let sent = |metadata: &Metadata<'_>| metadata.is_span() && SENT.contains(&metadata.name());
    tracing_opentelemetry::layer()
        .with_tracer(Late)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_filter(filter_fn(sent))
}

/// The tracer that there is when a span begins: the log starts before the exporter, which needs tokio.
#[derive(Debug)]
struct Late;

impl Tracer for Late {
    type Span = BoxedSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> BoxedSpan {
        global::tracer(SCOPE).build_with_context(builder, parent)
    }
}

/// Starts sending spans to the collector at `endpoint` (`http://host:4318`), in a thread of its own.
///
/// # Errors
/// An endpoint that is no URL.
pub(super) fn start(endpoint: &Secret) -> anyhow::Result<SdkTracerProvider> {
    let traces = format!("{}/v1/traces", endpoint.expose().trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_http_client(Client::new()?).with_endpoint(traces).build();
    // Its words could hold the URL, and that a password.
    let exporter = exporter
        .map_err(|_| anyhow::anyhow!("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: expected a URL such as http://localhost:4318"))?;
    let batches = BatchConfigBuilder::default().with_scheduled_delay(DELAY).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_id_generator(Ids::default())
        .with_sampler(InJobs)
        .with_resource(Resource::builder().with_service_name(SCOPE).build())
        .build();
    global::set_tracer_provider(provider.clone());
    Ok(provider)
}

/// Runs `work` in the trace of a job.
pub fn in_trace<F: Future>(job_id: JobId, work: F) -> impl Future<Output = F::Output> {
    let root = Root::of(job_id);
    let parent = SpanContext::new(root.trace, root.span, TraceFlags::SAMPLED, true, TraceState::NONE);
    work.with_context(Context::new().with_remote_span_context(parent))
}

/// Sends the root of a job's trace: the job has ended, for good or ill.
pub fn ended(job_id: JobId, attributes: Vec<KeyValue>, failed: bool) {
    let tracer = global::tracer(SCOPE);
    let builder = SpanBuilder::from_name(ROOT)
        .with_kind(SpanKind::Server)
        .with_start_time(SystemTime::from(job_id.created_at()))
        .with_attributes(attributes);
    let mut span = Ids::given(Root::of(job_id), || tracer.build_with_context(builder, &Context::new()));
    if failed {
        span.set_status(Status::error("the job did not succeed"));
    }
    span.end();
}

/// Only what belongs to a job is worth a trace: not the polls of an idle worker.
#[derive(Clone, Debug)]
struct InJobs;

impl ShouldSample for InJobs {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace_id: TraceId,
        name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        let below = parent.is_some_and(|parent| parent.span().span_context().is_sampled());
        let decision = if below || name == ROOT { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}
