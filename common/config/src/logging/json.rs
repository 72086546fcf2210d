//! A log line as one flat JSON object: whoever searches for `job.id` finds every line about the job, whichever
//! span says so.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Timestamp, level, message, target, the fields of the event and those of its spans; of two with one name the
/// innermost.
pub(super) struct Flat;

impl<S, N> FormatEvent<S, N> for Flat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Map::new();
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<N>>().map(|formatted| formatted.fields.as_str()).unwrap_or_default();
            if let Ok(Value::Object(of_span)) = serde_json::from_str(formatted) {
                // `otel.` says how a span is sent, not what happened.
                fields.extend(of_span.into_iter().filter(|(name, _)| !name.starts_with("otel.")));
            }
            fields.insert("span".to_owned(), span.name().into());
        }
        event.record(&mut Fields(&mut fields));
        let metadata = event.metadata();
        let mut now = String::new();
        SystemTime.format_time(&mut Writer::new(&mut now))?;
        fields.insert("timestamp".to_owned(), now.into());
        fields.insert("level".to_owned(), metadata.level().as_str().into());
        fields.insert("target".to_owned(), metadata.target().into());
        writeln!(writer, "{}", Value::Object(fields))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

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
    fn a_line_has_the_fields_of_all_its_spans() {
        let log = Log::default();
        let writer = log.clone();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(Flat).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let job = tracing::info_span!("job", job.id = "j-1", epoch = 1).entered();
            let step = tracing::info_span!("step", epoch = 2, step_no = tracing::field::Empty, otel.status_code = "ERROR").entered();
            step.record("step_no", 3);
            tracing::warn!(duration_ms = 1.5, "it \"broke\"");
            drop((step, job));
            tracing::info!("outside");
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [inside, outside] = &lines[..] else { panic!("{log}") };
        let mut inside = inside.clone();
        assert!(inside["timestamp"].as_str().unwrap().ends_with('Z'), "{inside}");
        inside.as_object_mut().unwrap().remove("timestamp");
        let expected = serde_json::json!({
            "level": "WARN", "target": "config::logging::json::tests", "message": "it \"broke\"", "span": "step",
            "job.id": "j-1", "epoch": 2, "step_no": 3, "duration_ms": 1.5,
        });
        assert_eq!(inside, expected);
        assert_eq!((outside.get("job.id"), &outside["message"]), (None, &Value::from("outside")));
    }
}
