//! The ids of a job's trace, computed from the job's id: every worker that ever takes the job continues the same
//! trace, and nothing about it has to be stored.
//!
//! AWS X-Ray takes a trace only if its first 32 bits are the second of its beginning
//! (<https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids>); the id of a
//! job knows when it was made.

use std::cell::Cell;

use domain::JobId;
use opentelemetry::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use sha2::{Digest, Sha256};

/// The trace of a job, and the span that all others of it are below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Root {
    pub trace: TraceId,
    pub span: SpanId,
}

impl Root {
    pub(super) fn of(job_id: JobId) -> Self {
        let hash: [u8; 32] = Sha256::digest(job_id.0.as_bytes()).into();
        let seconds = u32::try_from(job_id.created_at().unix_timestamp()).unwrap_or(u32::MAX);
        let mut trace = [0; 16];
        trace[..4].copy_from_slice(&seconds.to_be_bytes());
        trace[4..].copy_from_slice(&hash[..12]);
        let mut span = [0; 8];
        span.copy_from_slice(&hash[12..20]);
        Self { trace: TraceId::from_bytes(trace), span: SpanId::from_bytes(span) }
    }
}

thread_local! {
    static GIVEN: Cell<Option<Root>> = const { Cell::new(None) };
}

/// Gives random ids, except while [`Ids::given`] says which.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl Ids {
    /// Runs `make`, in which a span without a parent gets the ids of `root`.
    pub(super) fn given<T>(root: Root, make: impl FnOnce() -> T) -> T {
        GIVEN.set(Some(root));
        let made = make();
        GIVEN.set(None);
        made
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        GIVEN.get().map_or_else(|| self.0.new_trace_id(), |root| root.trace)
    }

    fn new_span_id(&self) -> SpanId {
        GIVEN.get().map_or_else(|| self.0.new_span_id(), |root| root.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_begins_with_the_second_in_which_its_job_was_made() {
        let job_id: JobId = "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap();
        let root = Root::of(job_id);
        // 0x0190163d8694 ms since 1970.
        assert_eq!(&root.trace.to_string()[..8], format!("{:08x}", 0x0190_163d_8694_u64 / 1_000));
        assert_eq!(root, Root::of(job_id), "every worker computes the same");
        assert_ne!(root.span, SpanId::INVALID);
    }

    #[test]
    fn jobs_of_one_second_have_traces_of_their_own() {
        assert_ne!(Root::of(JobId::new()), Root::of(JobId::new()));
    }
}
