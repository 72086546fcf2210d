//! The last 4 KiB that an invocation logged, for clients that ask by `X-Amz-Log-Type: Tail`.
//!
//! [`LogTailLayer`] belongs into the subscriber; without it a tail holds only the lines of the door itself. It
//! hears what the subscriber's filter lets through, from every task that carries the invocation's span.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use redact::Redactor;
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

const KEPT_BYTES: usize = 4 * 1024;

/// What one invocation logged last. Clones are the same tail.
#[derive(Clone, Debug, Default)]
pub struct LogTail(Arc<Mutex<String>>);

/// Gives every log line to the tail of the invocation that it belongs to.
#[derive(Debug, Default)]
pub struct LogTailLayer {
    followed: Mutex<HashMap<Id, LogTail>>,
}

impl LogTail {
    /// The tail of whatever is logged inside `span`, until it closes.
    pub(super) fn follow(span: &Span) -> Self {
        let tail = Self::default();
        span.with_subscriber(|(id, subscriber)| {
            if let Some(layer) = subscriber.downcast_ref::<LogTailLayer>() {
                layer.followed().insert(id.clone(), tail.clone());
            }
        });
        tail
    }

    /// Adds a line, without its secrets.
    pub(super) fn push(&self, line: &str) {
        let line = Redactor::of_process().text(line);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend([&line, "\n"]);
        // Cut in strides, so that a chatty handler does not move 4 KiB with every line.
        if kept.len() > 4 * KEPT_BYTES {
            let from = start_of_tail(&kept);
            kept.drain(..from);
        }
    }

    /// The last 4 KiB, or up to three bytes less so as not to begin within a character.
    pub(super) fn last_4_kib(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept[start_of_tail(&kept)..].to_owned()
    }
}

fn start_of_tail(text: &str) -> usize {
    text.ceil_char_boundary(text.len().saturating_sub(KEPT_BYTES))
}

impl LogTailLayer {
    fn followed(&self) -> std::sync::MutexGuard<'_, HashMap<Id, LogTail>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogTailLayer {
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let Some(scope) = ctx.event_scope(event) else { return };
        let tail = {
            let followed = self.followed();
            if followed.is_empty() {
                return;
            }
            scope.into_iter().find_map(|span| followed.get(&span.id()).cloned())
        };
        if let Some(tail) = tail {
            let metadata = event.metadata();
            let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
            event.record(&mut line);
            tail.push(&line.0);
        }
    }

    fn on_close(&self, id: Id, _ctx: Context<'_, S>) {
        self.followed().remove(&id);
    }
}

/// One log line: the message, then its fields as `name=value`.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_last_4_kib_in_whole_characters() {
        let tail = LogTail::default();
        for number in 0..5_000 {
            tail.push(&format!("línea {number}"));
        }
        let kept = tail.last_4_kib();
        assert!((KEPT_BYTES - 3..=KEPT_BYTES).contains(&kept.len()), "{}", kept.len());
        assert!(kept.ends_with("línea 4998\nlínea 4999\n"), "{kept}");
    }

    #[test]
    fn a_tail_ends_with_its_span() {
        use tracing_subscriber::layer::SubscriberExt;
        let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(LogTailLayer::default()));
        // With one subscriber alive, tracing asks only the thread that reaches a call site first; with two, both.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let followed = || subscriber.downcast_ref::<LogTailLayer>().unwrap().followed().len();
        tracing::dispatcher::with_default(&subscriber, || {
            let span = tracing::info_span!("invocation");
            let tail = LogTail::follow(&span);
            span.in_scope(|| tracing::info!(step = 3, "inside"));
            tracing::info!("outside");
            assert_eq!((tail.last_4_kib().as_str(), followed()), ("INFO codeteam::invoke_api::log_tail::tests: inside step=3\n", 1));
        });
        assert_eq!(followed(), 0);
    }
}
