//! The shapes of the API, version 1: what programs out there rely on. They are written out here, apart from the
//! types of the product, so that nobody changes them by the way.

mod dead;
mod detail;
mod job;
mod money;
mod queue;
mod record;
mod schedule;
mod steering;
mod whole;
mod worker;

pub(crate) use dead::{DeadPage, DeadQuery, DeadSelection, Moved};
pub(crate) use detail::JobDetail;
pub(crate) use job::{CreateJob, JobAccepted, JobCaps, JobPage, JobsQuery};
pub(crate) use money::{Budgets, Costs, CostsQuery, MOST_LIMIT_MICROUSD, SetBudget, Verification, Verify};
pub(crate) use queue::{Gates, LaneLimit, Lanes, Limited, Opened, Pause, ScopeQuery, scope};
pub(crate) use record::{EventPage, LedgerEntries, StepPage, StreamedEvent};
pub(crate) use schedule::{AddSchedule, Schedule, ScheduleName, ScheduleRun, Schedules};
pub(crate) use steering::{Bulk, BulkAction, BulkFilter, BulkResult, BulkResults, Hint, Hinted, Retried, Retry, Steered};
pub(crate) use worker::Workers;
