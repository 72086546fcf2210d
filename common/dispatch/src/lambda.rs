//! Runs a handler as an AWS Lambda function.

use std::time::Duration;

use domain::{Clock, SystemClock};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use time::OffsetDateTime;

use crate::{Ctx, Handler, HandlerError, envelope};

/// Lambda kills the process at its deadline; the answer must have left before.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);

/// Serves `handler` under the Lambda runtime API (AWS Lambda, `cargo lambda watch`), with the same envelopes
/// and guards as everywhere; returns only when that API is gone.
///
/// Errors reach Lambda with our `errorType` and `errorMessage`. The runtime client has no field for
/// `stackTrace`; it logs the error with its causes instead.
///
/// # Errors
/// When the runtime API cannot be reached.
///
/// # Panics
/// When the process does not run under Lambda: the client insists on its environment variables.
pub async fn run_lambda<H: Handler>(handler: H) -> anyhow::Result<()> {
    let serve = |LambdaEvent { payload, context }: LambdaEvent<Value>| {
        let ctx = Ctx::new(context.request_id, time_left(context.deadline, SystemClock.now()));
        let handler = handler.clone();
        async move { envelope::deliver(&handler, ctx, payload).await }
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(|error| anyhow::anyhow!(error).context("the Lambda runtime API failed"))
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self { error_type: error.error_type().to_owned(), error_message: error.to_string() }
    }
}

/// The time until `deadline_ms` (milliseconds since 1970), less the margin for the answer.
///
/// `cargo lambda watch` sends the time a call may take in the place of its deadline (600000), so what lies in
/// 1970 is taken for that.
fn time_left(deadline_ms: u64, now: OffsetDateTime) -> Duration {
    const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
    let now_ms = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let left_ms = if deadline_ms < YEAR_MS { deadline_ms } else { deadline_ms.saturating_sub(now_ms) };
    Duration::from_millis(left_ms).saturating_sub(ANSWER_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_sees_the_stable_name_and_the_message_of_an_error() {
        let diagnostic = Diagnostic::from(HandlerError::LeaseLost("job 7 has a new epoch".into()));
        assert_eq!(diagnostic, Diagnostic { error_type: "LeaseLost".into(), error_message: "job 7 has a new epoch".into() });
    }

    #[test]
    fn a_call_ends_early_enough_for_its_answer_to_leave() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        assert_eq!(time_left(1_700_000_003_000, now), Duration::from_millis(2_900));
        assert_eq!(time_left(1_699_999_999_000, now), Duration::ZERO);
    }

    #[test]
    fn a_deadline_in_1970_is_the_time_a_call_may_take() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        assert_eq!(time_left(600_000, now), Duration::from_millis(599_900));
    }
}
