//! The shapes of the API, version 1: what programs out there rely on. They are written out here, apart from the
//! types of the product, so that nobody changes them by the way.

mod detail;
mod job;
mod record;
mod steering;

pub(crate) use detail::JobDetail;
pub(crate) use job::{CreateJob, JobAccepted, JobCaps, JobPage, JobsQuery};
pub(crate) use record::{EventPage, LedgerEntries, StepPage, StreamedEvent};
pub(crate) use steering::{Bulk, BulkAction, BulkFilter, BulkResult, BulkResults, Retried, Retry, Steered};
