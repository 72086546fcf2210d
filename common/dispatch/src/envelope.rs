//! Events of AWS services: what they wrap, and what each service expects as its answer.
//!
//! Every service has one file here and one line in [`SOURCES`]. An event is recognised by marks that a
//! request cannot carry by chance; whatever no source recognises is the request itself. Envelopes nest
//! (an SQS record holds an SNS notification that holds an EventBridge event), up to [`DEEPEST`].

mod eventbridge;
mod http;
mod s3;
mod sns;
mod sqs;

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::registry::Erased;
use crate::{Ctx, HandlerError};

/// How many envelopes may lie in each other. S3 → EventBridge → SNS → SQS, the longest chain that AWS can
/// build from these services, is four.
const DEEPEST: usize = 4;

/// Records of one batch that run at the same time: the size of an SQS batch unless somebody raises it.
/// Standard queues promise no order, and one slow record must not push the others past the deadline.
const RECORDS_AT_ONCE: usize = 10;

/// One service whose events we open.
struct Source {
    /// Whether an event has this service's marks.
    recognises: fn(&Value) -> bool,
    /// Opens an event that has them.
    open: fn(Value) -> Result<Envelope, HandlerError>,
}

/// All of them.
const SOURCES: [Source; 8] = [
    sqs::SOURCE,
    sns::LAMBDA_SOURCE,
    sns::NOTIFICATION_SOURCE,
    s3::SOURCE,
    s3::TEST_SOURCE,
    eventbridge::SOURCE,
    http::ALB_SOURCE,
    http::API_GATEWAY_V2_SOURCE,
];

/// An opened event.
enum Envelope {
    /// One event inside; its answer is the answer.
    Inner(Value),
    /// Several events that succeed or fail together; the answer is the list of answers.
    Each(Vec<Value>),
    /// Several events, each on its own; the answer names those that failed.
    Batch(Vec<Record>),
    /// An HTTP request; the answer is an HTTP response in the dialect of who sent it.
    Http(Result<crate::HttpRequest, HandlerError>, http::Dialect),
    /// The service only tries whether we are here; the answer is null.
    Probe,
}

/// One event of a [`Envelope::Batch`].
struct Record {
    /// What the service calls it.
    id: String,
    /// What it holds.
    event: Value,
}

/// Opens `event` and calls `handler` with what is inside.
pub(crate) fn deliver(handler: &dyn Erased, ctx: Ctx, event: Value) -> BoxFuture<'_, Result<Value, HandlerError>> {
    deliver_at(0, handler, ctx, event)
}

fn deliver_at(depth: usize, handler: &dyn Erased, ctx: Ctx, event: Value) -> BoxFuture<'_, Result<Value, HandlerError>> {
    async move {
        let Some(source) = SOURCES.iter().find(|source| (source.recognises)(&event)) else {
            return handler.json(ctx, event).await;
        };
        if depth == DEEPEST {
            return Err(HandlerError::Invalid(format!("more than {DEEPEST} event envelopes lie in each other")));
        }
        match (source.open)(event)? {
            Envelope::Inner(event) => deliver_at(depth + 1, handler, ctx, event).await,
            Envelope::Each(events) => {
                let calls = events.into_iter().map(|event| deliver_at(depth + 1, handler, ctx.clone(), event));
                join_all(calls).await.into_iter().collect::<Result<_, _>>().map(Value::Array)
            }
            Envelope::Batch(records) => Ok(deliver_batch(depth, handler, ctx, records).await),
            Envelope::Http(_, _) if depth > 0 => Err(HandlerError::Invalid("an HTTP event lies inside another event".to_owned())),
            Envelope::Http(request, dialect) => {
                let request_id = ctx.request_id.clone();
                let result = match request {
                    Ok(request) => handler.http(ctx, request).await,
                    Err(error) => Err(error),
                };
                Ok(dialect.answer(&request_id, result))
            }
            Envelope::Probe => Ok(Value::Null),
        }
    }
    .boxed()
}

/// Calls `handler` once a record; a record that fails goes back to the queue alone
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>).
async fn deliver_batch(depth: usize, handler: &dyn Erased, ctx: Ctx, records: Vec<Record>) -> Value {
    let failed = |Record { id, event }: Record| {
        let span = tracing::info_span!("record", message_id = %id);
        let call = deliver_at(depth + 1, handler, ctx.clone(), event);
        async move {
            let error = call.await.err()?;
            tracing::warn!(error_type = error.error_type(), causes = ?error.causes(), "message {id} goes back to its queue: {error}");
            Some(json!({ "itemIdentifier": id }))
        }
        .instrument(span)
    };
    let calls = records.into_iter().map(failed).collect::<Vec<_>>();
    let failures: Vec<Value> = stream::iter(calls).buffered(RECORDS_AT_ONCE).filter_map(std::future::ready).collect().await;
    json!({ "batchItemFailures": failures })
}

/// Whether `event` is `{"Records": […]}` with at least one record, and all of them have `service` in `field`.
fn all_records_are(event: &Value, field: &str, service: &str) -> bool {
    let records = event.get("Records").and_then(Value::as_array);
    records.is_some_and(|records| !records.is_empty() && records.iter().all(|record| record[field] == service))
}

/// The JSON in a message; text that is not JSON becomes a JSON string, so that a handler can take it.
fn json_or_text(message: String) -> Value {
    serde_json::from_str(&message).unwrap_or(Value::String(message))
}
