//! One call of one handler: everything that every call gets, whoever makes it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::Instrument;

use crate::{Ctx, Handler, HandlerError};

/// How long a call may go on after it was cancelled, to bring what it has begun to an end. A model call in
/// flight is paid for, so its reply is worth waiting for.
pub const CANCEL_GRACE: Duration = Duration::from_secs(20);

/// Calls `handler` in this process, without JSON.
///
/// The call runs in a span `handler{handler, request_id}` and counts in the metrics
/// `handler_invocations_total`, `handler_errors_total` (by `error_type`) and `handler_duration_ms`, all by
/// `handler`. It is dropped at `ctx.deadline`, and [`CANCEL_GRACE`] after `ctx.cancel`; a call that is
/// cancelled before it starts is not started.
///
/// # Errors
/// What the handler returns; [`HandlerError::Panic`] when it panics; [`HandlerError::Timeout`] at the
/// deadline; [`HandlerError::RetryAfter`] when it was cancelled.
pub async fn call<H: Handler>(handler: &H, ctx: Ctx, request: H::Request) -> Result<H::Response, HandlerError> {
    let work = {
        let ctx = ctx.clone();
        async move { handler.handle(ctx, request).await }
    };
    observe(H::NAME, ctx, work).await
}

/// Runs `work`, a call of the handler `name`, as [`call`] says.
pub(crate) async fn observe<T>(
    name: &'static str,
    ctx: Ctx,
    work: impl Future<Output = Result<T, HandlerError>>,
) -> Result<T, HandlerError> {
    let span = tracing::info_span!("handler", handler = name, request_id = %ctx.request_id);
    let started = Instant::now();
    async move {
        let result = guard(name, &ctx, started, work).await;
        let duration_ms = started.elapsed().as_secs_f64() * 1_000.0;
        metrics::counter!("handler_invocations_total", "handler" => name).increment(1);
        metrics::histogram!("handler_duration_ms", "handler" => name).record(duration_ms);
        if let Err(error) = &result {
            metrics::counter!("handler_errors_total", "handler" => name, "error_type" => error.error_type()).increment(1);
        }
        result
    }
    .instrument(span)
    .await
}

/// Runs `work` until it ends, panics, or has to be dropped.
async fn guard<T>(name: &str, ctx: &Ctx, started: Instant, work: impl Future<Output = Result<T, HandlerError>>) -> Result<T, HandlerError> {
    let timeout = HandlerError::Timeout(ctx.deadline.saturating_duration_since(started));
    if ctx.cancel.is_cancelled() {
        return Err(cancelled(name));
    }
    if ctx.deadline <= started {
        return Err(timeout);
    }
    let work = timeout_at(ctx.deadline, AssertUnwindSafe(work).catch_unwind());
    tokio::select! {
        biased;
        result = work => match result {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(HandlerError::Panic(message_of(panic))),
            Err(_elapsed) => Err(timeout),
        },
        () = grace_over(ctx) => Err(cancelled(name)),
    }
}

async fn grace_over(ctx: &Ctx) {
    ctx.cancel.cancelled().await;
    sleep_until(Instant::now() + CANCEL_GRACE).await;
}

fn cancelled(name: &str) -> HandlerError {
    HandlerError::RetryAfter { after: Duration::from_secs(1), message: format!("{name} was cancelled: this process is stopping") }
}

fn message_of(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "no message".to_owned(), ToString::to_string),
    }
}
