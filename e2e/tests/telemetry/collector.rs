//! A collector of OpenTelemetry on loopback, which decodes what it is sent.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The collector.
pub struct Collector(MockServer);

/// A span, its ids in hexadecimal digits.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub fields: BTreeMap<String, String>,
    pub failed: bool,
    pub duration_ns: u64,
    pub start_ns: u64,
}

impl Span {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl Collector {
    pub async fn start() -> Self {
        let server = MockServer::start().await;
        Mock::given(method("POST")).and(path("/v1/traces")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        Self(server)
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        self.0.uri()
    }

    /// All spans that came so far.
    pub async fn spans(&self) -> Vec<Span> {
        let requests = self.0.received_requests().await.unwrap();
        let requests = requests.iter().map(|request| {
            assert_eq!(request.headers["content-type"], "application/x-protobuf");
            ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap()
        });
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).map(span).collect()
    }

    /// Everything that came, as it came.
    pub async fn bytes(&self) -> Vec<u8> {
        self.0.received_requests().await.unwrap().into_iter().flat_map(|request| request.body).collect()
    }
}

fn span(span: opentelemetry_proto::tonic::trace::v1::Span) -> Span {
    let text = |value: Option<AnyValue>| match value {
        Some(AnyValue::StringValue(text)) => text,
        Some(AnyValue::IntValue(number)) => number.to_string(),
        Some(AnyValue::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    };
    let fields = span.attributes.into_iter().map(|field| (field.key, text(field.value.and_then(|value| value.value))));
    Span {
        name: span.name,
        trace: hex::encode(span.trace_id),
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        fields: fields.collect(),
        failed: span.status.is_some_and(|status| status.code == StatusCode::Error as i32),
        duration_ns: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
        start_ns: span.start_time_unix_nano,
    }
}
