//! Metrics and tracing: what a call leaves behind.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch::{Ctx, Registry};
use metrics::{Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;

use crate::handlers::{Obedient, ctx};

/// Every metric by its printed key, with what it was given.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

/// One metric of it.
struct Series(String, Kept);

impl Series {
    fn keep(&self, value: f64) {
        self.1.0.lock().unwrap().entry(self.0.clone()).or_default().push(value);
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.keep(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.keep(value as f64);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.keep(value);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Series(printed(key), self.clone())))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Series(printed(key), self.clone())))
    }
}

fn printed(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

#[test]
fn every_call_is_counted_timed_and_its_error_named() {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    metrics::with_local_recorder(&kept, || {
        runtime.block_on(async {
            let registry = Registry::new().with(Obedient);
            registry.invoke("obedient", ctx(), json!({"do": "add", "terms": []})).await.unwrap();
            registry.invoke("obedient", ctx(), json!({"do": "nothing known"})).await.unwrap_err();
            let short = Ctx::new("r-2", Duration::from_millis(250));
            registry.invoke("obedient", short, json!({"do": "sleep", "millis": 1_000})).await.unwrap_err();
        });
    });
    let expected = [
        ("handler_duration_ms{handler=obedient}", vec![0.0, 0.0, 250.0]),
        ("handler_errors_total{handler=obedient,error_type=Invalid}", vec![1.0]),
        ("handler_errors_total{handler=obedient,error_type=Timeout}", vec![1.0]),
        ("handler_invocations_total{handler=obedient}", vec![1.0, 1.0, 1.0]),
    ];
    let kept = kept.0.lock().unwrap().clone();
    assert_eq!(kept, expected.map(|(key, values)| (key.to_owned(), values)).into());
}

/// A log that the test can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_call_logs_carries_its_handler_and_request_id() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: a subscriber of this thread alone would miss the call sites that another test
    // reached first.
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing::callsite::rebuild_interest_cache();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut event = crate::handlers::event("eventbridge-in-sqs");
    event["Records"][0]["body"] = json!(r#"{"do": "break"}"#);
    let quoted = Ctx::new("r-quoted", Duration::from_secs(60));
    runtime.block_on(Registry::new().with(Chatty).invoke("chatty", quoted, json!("hello"))).unwrap();
    runtime.block_on(Registry::new().with(Obedient).invoke("obedient", ctx(), event)).unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains(r#"handler{handler="chatty" request_id=r-quoted}"#) && log.contains("said hello"), "{log}");
    let failure = "message 059f36b4-87a3-44ab-83d2-661975830a7d goes back to its queue: cannot store the reply";
    assert!(log.contains(failure) && log.contains("disk full"), "{log}");
}

/// Logs what it is told.
#[derive(Clone)]
struct Chatty;

impl dispatch::Handler for Chatty {
    const NAME: &'static str = "chatty";
    type Request = String;
    type Response = ();

    async fn handle(&self, _ctx: Ctx, request: String) -> Result<(), dispatch::HandlerError> {
        tracing::info!("said {request}");
        Ok(())
    }
}
