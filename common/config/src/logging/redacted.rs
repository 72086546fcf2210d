//! No line of the log holds a secret, whoever wrote it.

use std::io::{self, Write};

use redact::Redactor;
use tracing_subscriber::fmt::MakeWriter;

/// Writes what its writers are given without the secrets of this process.
pub(super) struct Redacted<M>(pub M);

/// One line of the log. It is held until it is whole, or a secret could be cut in two; it is written when this is dropped.
pub(super) struct Line<W: Write> {
    inner: W,
    bytes: Vec<u8>,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacted<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { inner: self.0.make_writer(), bytes: Vec::new() }
    }
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = String::from_utf8_lossy(&self.bytes);
        let written = self.inner.write_all(Redactor::of_process().text(&line).as_bytes());
        self.bytes.clear();
        written.and_then(|()| self.inner.flush())
    }
}

impl<W: Write> Drop for Line<W> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            // Nobody reads the log any more: that is no reason to fail.
            drop(self.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use domain::Secret;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    use super::*;
    use crate::logging::json::Flat;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn neither_format_lets_a_secret_through() {
        let secret = "log-test \"kX9v\\Q2mL7pRt\"";
        Redactor::of_process().register("LOG_TEST", &Secret::new(secret));
        for is_json in [true, false] {
            let log = Log::default();
            let writer = log.clone();
            let lines = tracing_subscriber::fmt::layer().with_writer(Redacted(move || writer.clone()));
            let lines = match is_json {
                true => lines.fmt_fields(JsonFields::new()).event_format(Flat).boxed(),
                false => lines.with_ansi(true).boxed(),
            };
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                let _span = tracing::info_span!("job", key = secret).entered();
                tracing::warn!(cause = secret, other = ?secret, "no login with {secret}");
            });
            let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert_eq!(log.matches("[redacted: LOG_TEST]").count(), 4, "{log}");
            assert!(!log.contains("7pRt"), "{log}");
            assert!(!is_json || serde_json::from_str::<serde_json::Value>(&log).is_ok(), "{log}");
        }
    }
}
